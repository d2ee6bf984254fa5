"""Writing down what a person did: the contact, its place in the counts, and what follows from it.

A contact that happened is always recorded, also one that should not have happened; what was wrong
with it is named for the audit trail and never hidden (C16, C27). Nothing here commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import text

from backend.clock import date_of
from backend.conduct import operations as conduct
from backend.conduct import queries as conduct_queries
from backend.conduct.models import Hold
from backend.db import db
from backend.dunning import rules
from backend.dunning.models import Contact, StewardTask
from backend.errors import NotFound

_HOLD_OF = {"dispute": "dispute", "hardship": "hardship"}


@dataclass(frozen=True)
class Made:
    """A contact as a person reports it. at: business instant at which it happened."""

    kind: str
    community_id: int
    house_id: int
    party_id: int
    steward_id: int
    second_steward_id: int | None
    result: str
    reason_code: str
    note: str
    at: datetime


def violations(made: Made, *, now: datetime) -> list[str]:
    """Return the codes of the rules this contact broke when it was made, [] if none.

    E-C15 hours, E-C16 counts, E-C17 stop of contact, E-C21 nobody who owes, hold_<kind>, paid.
    """
    found = []
    day = date_of(made.at)
    if not _owes_or_owns(made.house_id, made.party_id, day):
        found.append("E-C21")
    if not _something_was_open(made, day):
        found.append("paid")
    holds = conduct.holds_in_force(
        house_id=made.house_id, party_id=made.party_id, bill_ids=[], day=day
    )
    kinds = {hold.kind for hold in holds if hold.created_at <= made.at}
    found += sorted("E-C17" if kind == "stop_contact" else f"hold_{kind}" for kind in kinds)
    no = conduct.conduct_no(
        party_id=made.party_id, kind=made.kind, contact_class="reminder", at=made.at
    )
    return [*found, no.code] if no else found


def _owes_or_owns(house_id: int, party_id: int, day: date) -> bool:
    return db.session.scalar(
        text(
            "SELECT EXISTS (SELECT 1 FROM ownership WHERE house_id = :h AND party_id = :p "
            "AND valid @> CAST(:d AS date)) OR EXISTS (SELECT 1 FROM liability WHERE house_id = :h "
            "AND party_id = :p AND valid @> CAST(:d AS date)) OR EXISTS (SELECT 1 FROM bill "
            "WHERE house_id = :h AND party_id = :p AND open_fen > 0 AND NOT reversed)"
        ),
        {"h": house_id, "p": party_id, "d": day},
    )


def _something_was_open(made: Made, day: date) -> bool:
    """Nothing open now means paid before, unless money came in on or after the contact's day."""
    return db.session.scalar(
        text(
            "SELECT EXISTS (SELECT 1 FROM bill b WHERE b.house_id = :h AND b.party_id = :p "
            "AND NOT b.reversed AND b.issued_on <= :d AND (b.open_fen > 0 OR EXISTS ("
            "SELECT 1 FROM principal_event e WHERE e.bill_id = b.id AND e.day >= :d)))"
        ),
        {"h": made.house_id, "p": made.party_id, "d": day},
    )


def write_contact(made: Made, *, now: datetime) -> Contact:
    """Append the contact and count it for everybody after it (C16)."""
    connected = rules.is_connected(made.kind, made.result)
    contact = Contact(
        community_id=made.community_id,
        house_id=made.house_id,
        party_id=made.party_id,
        steward_id=made.steward_id,
        second_steward_id=made.second_steward_id,
        kind=made.kind,
        result=made.result,
        reason_code=made.reason_code,
        note=made.note,
        connected=connected,
        at=made.at,
        recorded_at=now,
    )
    db.session.add(contact)
    db.session.flush()
    conduct.log_contact(
        party_id=made.party_id,
        house_id=made.house_id,
        kind=made.kind,
        contact_class="reminder",
        channel="phone" if made.kind == "call" else "visit",
        connected=connected or made.kind == "visit",
        subject_type="contact",
        subject_id=contact.id,
        at=made.at,
    )
    return contact


def close_task(*, task_id: int | None, made: Made, now: datetime) -> StewardTask | None:
    """Mark the task of this contact done; without an id, the household's open task of its kind.

    Raises NotFound when the id is no task of this household. A task closed meanwhile (the owner
    paid) stays as it is.
    """
    mine = db.select(StewardTask).where(
        StewardTask.house_id == made.house_id, StewardTask.party_id == made.party_id
    )
    if task_id is not None:
        task = db.session.scalar(mine.where(StewardTask.id == task_id).with_for_update())
        if task is None:
            raise NotFound("任务")
    else:
        kinds = ("visit",) if made.kind == "visit" else ("call", "promise_broken")
        task = db.session.scalar(
            mine.where(StewardTask.state == "open", StewardTask.kind.in_(kinds))
            .order_by(StewardTask.id)
            .limit(1)
            .with_for_update()
        )
    if task is not None and task.state == "open":
        task.state, task.closed_at = "done", now
        db.session.flush()
    return task


def hold_for_result(made: Made, *, actor: str, now: datetime) -> Hold | None:
    """Silence reminders after a dispute or a hardship, until somebody lifts it (C10, C13, C28).

    The late fee of the household's open bills stops from the day of the contact. A hold of the
    same kind already in force is kept as it is.
    """
    kind = _HOLD_OF.get(made.result)
    if kind is None:
        return None
    day = date_of(made.at)
    known = conduct.holds_in_force(
        house_id=made.house_id, party_id=made.party_id, bill_ids=[], day=date_of(now)
    )
    if any(hold.kind == kind for hold in known):
        return None
    reason = made.note or rules.RESULTS_ZH[made.result]
    hold = conduct.place_hold(
        kind=kind,
        house_id=made.house_id,
        party_id=made.party_id,
        from_day=day,
        until_day=None,
        reason=reason,
        source=actor,
        now=now,
    )
    db.session.execute(
        text(
            "INSERT INTO late_fee_freeze (bill_id, day_from, reason) SELECT id, :d, :r FROM bill "
            "WHERE house_id = :h AND party_id = :p AND open_fen > 0 AND NOT reversed"
        ),
        {"d": day, "r": f"hold:{hold.id}", "h": made.house_id, "p": made.party_id},
    )
    return hold


def mark_wrong_number(*, party_id: int, phone_id: int | None) -> int | None:
    """Mark the dialled number invalid, or the first valid one; return its id (S36)."""
    return db.session.scalar(
        text(
            "UPDATE contact_point SET state = 'invalid' WHERE id = ("
            "SELECT id FROM contact_point WHERE party_id = :p AND state = 'valid' "
            "AND (CAST(:id AS bigint) IS NULL OR id = :id) ORDER BY rank, id LIMIT 1) RETURNING id"
        ),
        {"p": party_id, "id": phone_id},
    )


def plan_follow_up(contact: Contact, *, stage: str, now: datetime) -> date | None:
    """Put a household without a date back on the list for its next allowed day (S35-S37, S40).

    Nothing when it owes nothing overdue, when a task is open already or a hold is in force.
    """
    if contact.result not in rules.CALL_AGAIN:
        return None
    day = conduct_queries.next_call_day(
        party_id=contact.party_id, at=now, not_before=date_of(now) + timedelta(days=1)
    )
    planned = db.session.execute(
        text(
            """
            INSERT INTO steward_task (community_id, house_id, party_id, kind, stage, window_key,
                                      due_day, reason, created_at)
            SELECT :c, :h, :p, 'call', :stage, 'again:' || :contact, :day, :reason, :now
            WHERE EXISTS (SELECT 1 FROM bill WHERE house_id = :h AND party_id = :p
                          AND open_fen > 0 AND NOT reversed AND due_date < :today)
              AND NOT EXISTS (SELECT 1 FROM steward_task WHERE house_id = :h AND party_id = :p
                              AND state = 'open')
              AND NOT EXISTS (SELECT 1 FROM hold WHERE lifted_at IS NULL AND bill_id IS NULL
                              AND (house_id = :h OR house_id IS NULL)
                              AND (party_id = :p OR party_id IS NULL)
                              AND (until_day IS NULL OR until_day > :today))
            """
        ),
        {
            "c": contact.community_id,
            "h": contact.house_id,
            "p": contact.party_id,
            "stage": stage,
            "contact": str(contact.id),
            "day": day,
            "reason": f"上次{rules.RESULTS_ZH[contact.result]}，换时段再联系",
            "now": now,
            "today": date_of(now),
        },
    ).rowcount
    return day if planned else None
