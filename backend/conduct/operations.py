"""Send permits and holds: the last check before anybody is contacted (design 4.7, C16, C27).

`refusal_for_message` runs inside the sending transaction after the house account and the person
are locked. It answers why not to send, or None. Whatever is in doubt is a refusal.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import insert, text

from backend import clock
from backend.conduct.models import ContactLog, Hold, Permit
from backend.conduct.rules import PastContact, decide
from backend.db import db
from backend.telemetry import PERMITS

ASKED_WITHIN = timedelta(seconds=1)
FRESH_CLOSED = timedelta(hours=24)
RULE_SET = "conduct-2026-11"


@dataclass(frozen=True)
class No:
    """Why a contact may not happen now. retry_at: business instant to look again; None = never."""

    code: str
    retry_at: datetime | None = None
    text_zh: str = ""


def lock_person(party_id: int) -> None:
    """Lock the liable person after the houses: the counts are per person over all houses.

    NO KEY: a settlement that refers to the person while it waits for a house must not deadlock.
    """
    db.session.execute(text("SELECT 1 FROM party WHERE id = :p FOR NO KEY UPDATE"), {"p": party_id})


def payment_doubt(bill_ids: Collection[int], *, house_id: int) -> str | None:
    """Return why one of these bills may already be paid, None if none can be (design 4.7).

    Unprocessed notices, orders live or closed within a day that the platform was not asked about
    in the last second or did not call unpaid, and credit of the house that waits to be used.
    """
    now = clock.wire_now()
    row = db.session.execute(
        text(
            """
            SELECT
              EXISTS (SELECT 1 FROM inbox_pending ip JOIN payment_order o USING (out_trade_no)
                      JOIN order_bill ob ON ob.order_id = o.id
                      WHERE ob.bill_id = ANY(:ids)) AS inbox,
              EXISTS (SELECT 1 FROM order_bill ob JOIN payment_order o ON o.id = ob.order_id
                      WHERE ob.bill_id = ANY(:ids)
                        AND (o.state IN ('created','pending','unknown','closing')
                             OR (o.state = 'closed' AND o.closed_at > :day_ago))
                        AND (o.asked_at IS NULL OR o.asked_at < :fresh
                             OR o.asked_state NOT IN ('unpaid','not_exist','closed'))) AS doubt,
              (SELECT credit_pending FROM house_account WHERE house_id = :house) AS credit
            """
        ),
        {
            "ids": list(bill_ids), "house": house_id, "fresh": now - ASKED_WITHIN,
            "day_ago": now - FRESH_CLOSED,
        },
    ).one()  # fmt: skip
    if row.inbox:
        return "notice_pending"
    return "order_in_doubt" if row.doubt else "credit_pending" if row.credit else None


def oldest_answer(bill_ids: Collection[int]) -> datetime | None:
    """Return when the platform was asked, at the earliest, about an order that may still be paid.

    None when there is no such order: then nobody can pay before the lock is given back.
    """
    return db.session.scalar(
        text(
            "SELECT min(o.asked_at) FROM order_bill ob JOIN payment_order o ON o.id = ob.order_id "
            "WHERE ob.bill_id = ANY(:ids) AND (o.state IN ('created','pending','unknown','closing')"
            " OR (o.state = 'closed' AND o.closed_at > :day_ago))"
        ),
        {"ids": list(bill_ids), "day_ago": clock.wire_now() - FRESH_CLOSED},
    )


def holds_in_force(
    *, house_id: int, party_id: int, bill_ids: Collection[int], day: date
) -> list[Hold]:
    """Return the holds that silence these bills, this party or this house on a business day."""
    return list(
        db.session.scalars(
            db.select(Hold).where(
                Hold.lifted_at.is_(None),
                Hold.from_day <= day,
                (Hold.until_day.is_(None)) | (Hold.until_day > day),
                (
                    Hold.bill_id.in_(list(bill_ids))
                    | (
                        Hold.bill_id.is_(None)
                        & ((Hold.house_id == house_id) | Hold.house_id.is_(None))
                        & ((Hold.party_id == party_id) | Hold.party_id.is_(None))
                    )
                ),
            )
        )
    )


def history(party_id: int, now: datetime) -> list[PastContact]:
    """Return the last 31 days of contacts of a person over all houses and channels."""
    rows = db.session.scalars(
        db.select(ContactLog).where(
            ContactLog.party_id == party_id, ContactLog.at > now - timedelta(days=31)
        )
    )
    return [PastContact(r.kind, r.class_, r.at, r.connected) for r in rows]


def conduct_no(
    *, party_id: int, kind: str, contact_class: str, at: datetime, notices_of_bill: int = 0
) -> No | None:
    """Ask the one contact policy for people and machines (C15, C16)."""
    answer = decide(
        kind=kind,
        contact_class=contact_class,
        at=at,
        history=history(party_id, at),
        notices_of_bill=notices_of_bill,
    )
    if answer.allowed:
        return None
    return No(answer.code, answer.next_allowed_at, answer.reason_zh)


def notices_sent(bill_ids: Sequence[int]) -> int:
    """Return how many pre-due notices the most-noticed of these bills already had (C16)."""
    return (
        db.session.scalar(
            text(
                "SELECT max(n) FROM (SELECT count(*) n FROM message_bill mb JOIN message m "
                "ON m.id = mb.message_id WHERE mb.bill_id = ANY(:ids) AND mb.stage = 'S23' "
                "AND m.state IN ('calling','accepted','delivered','in_doubt') "
                "AND m.begun_at IS NOT NULL GROUP BY mb.bill_id) s"
            ),
            {"ids": list(bill_ids)},
        )
        or 0
    )


def write_permit(
    *,
    subject_type: str,
    subject_id: int,
    house_id: int,
    party_id: int,
    no: No | None,
    reason: str = "ok",
) -> None:
    """Keep the decision with its reason and rule set version; single use, append-only.

    reason: why it was allowed.
    """
    decision, reason = ("refused", no.code) if no else ("allowed", reason)
    PERMITS.labels(decision, reason).inc()
    db.session.execute(
        insert(Permit).values(
            subject_type=subject_type,
            subject_id=subject_id,
            house_id=house_id,
            party_id=party_id,
            decision=decision,
            reason_code=reason,
            rule_set=RULE_SET,
            at=clock.wire_now(),
        )
    )


def log_contact(
    *,
    party_id: int,
    house_id: int,
    kind: str,
    contact_class: str,
    channel: str,
    connected: bool,
    subject_type: str,
    subject_id: int,
    at: datetime,
) -> None:
    """Remember a contact or attempt for the counts of everybody after it (C16)."""
    db.session.add(
        ContactLog(
            party_id=party_id,
            house_id=house_id,
            kind=kind,
            class_=contact_class,
            channel=channel,
            connected=connected,
            subject_type=subject_type,
            subject_id=subject_id,
            at=at,
        )
    )


def place_hold(
    *,
    kind: str,
    house_id: int | None,
    party_id: int | None,
    bill_id: int | None = None,
    from_day: date,
    until_day: date | None,
    reason: str,
    source: str,
    now: datetime,
) -> Hold:
    """Silence reminders for [from_day, until_day); until_day None = until lifted."""
    hold = Hold(
        kind=kind,
        house_id=house_id,
        party_id=party_id,
        bill_id=bill_id,
        from_day=from_day,
        until_day=until_day,
        reason=reason,
        source=source,
        created_at=now,
    )
    db.session.add(hold)
    db.session.flush()
    return hold
