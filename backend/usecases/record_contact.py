"""A steward records what he did: a call here, a visit in `record_visit`; one transaction for all.

The contact, its place in the counts, the closed task, a promise, a hold and the next call appear
together or not at all. What already happened is always recorded; what was against the contact
rules is named in the audit row (C16, C27).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from backend import audit, clock
from backend.billing import operations as billing
from backend.conduct import operations as conduct
from backend.db import db, retrying, transaction
from backend.dunning import contacts, rules
from backend.dunning.contacts import Made
from backend.dunning.models import Contact
from backend.errors import NotFound
from backend.estate.models import ContactPoint
from backend.identity.scope import Scope, require_house, require_party
from backend.usecases.record_promise import add_promise


@dataclass(frozen=True)
class PromiseMade:
    """The promise that came out of a contact: fen, day, way of paying."""

    amount_fen: int
    day: date
    pay_by: str


@dataclass(frozen=True)
class ContactInput:
    """What the steward says. at: business instant, None = now; phone_id: the number dialled."""

    house_id: int
    party_id: int
    result: str
    reason_code: str
    note: str = ""
    task_id: int | None = None
    at: datetime | None = None
    phone_id: int | None = None
    promise: PromiseMade | None = None


@dataclass(frozen=True)
class Recorded:
    """What was written; violations: codes of the contact rules the contact broke, often ()."""

    contact_id: int
    promise_id: int | None
    violations: tuple[str, ...]


def record_contact(*, scope: Scope, contact: ContactInput) -> Recorded:
    """Record a call of `scope.steward_id`. results: rules.CALL_RESULTS, reasons: rules.REASONS_ZH.

    Raises NotFound outside the scope, Refusal `contact_invalid`, `contact_time`,
    `promise_invalid` (422), `nothing_to_pay` (409); then nothing is written.
    """
    return record(scope=scope, kind="call", contact=contact, second_steward_id=None)


def record(
    *, scope: Scope, kind: str, contact: ContactInput, second_steward_id: int | None
) -> Recorded:
    """Record a contact of either kind; see `record_contact`, `record_visit.record_visit`."""
    rules.check_contact(
        kind=kind,
        result=contact.result,
        reason_code=contact.reason_code,
        promised=contact.promise is not None,
    )
    now = clock.business_now()
    at = contact.at or now
    rules.check_time(at=at, now=now)
    return retrying(lambda: _record(scope, kind, contact, second_steward_id, at, now))


def _record(
    scope: Scope,
    kind: str,
    contact: ContactInput,
    second_steward_id: int | None,
    at: datetime,
    now: datetime,
) -> Recorded:
    with transaction():
        house = require_house(scope, contact.house_id)
        require_party(house.id, contact.party_id)
        billing.lock_houses([house.id])
        conduct.lock_person(contact.party_id)
        made = Made(
            kind=kind,
            community_id=house.community_id,
            house_id=house.id,
            party_id=contact.party_id,
            steward_id=scope.steward_id,
            second_steward_id=second_steward_id,
            result=contact.result,
            reason_code=contact.reason_code,
            note=contact.note.strip(),
            at=at,
        )
        broken = contacts.violations(made, now=now)
        row = contacts.write_contact(made, now=now)
        promise_id = _consequences(scope, contact, made, row, now)
        _audit(scope, row, broken)
        return Recorded(row.id, promise_id, tuple(broken))


def _consequences(
    scope: Scope, contact: ContactInput, made: Made, row: Contact, now: datetime
) -> int | None:
    """Close the task; hold, wrong number, next call, promise; return the promise's id."""
    actor = f"steward:{scope.steward_id}"
    task = contacts.close_task(task_id=contact.task_id, made=made, now=now)
    contacts.hold_for_result(made, actor=actor, now=now)
    if made.result == "wrong_number":
        _wrong_number(scope, contact, actor)
    contacts.plan_follow_up(row, stage=task.stage if task else "S25", now=now)
    if contact.promise is None:
        return None
    return add_promise(
        community_id=made.community_id,
        house_id=made.house_id,
        party_id=made.party_id,
        amount_fen=contact.promise.amount_fen,
        day=contact.promise.day,
        pay_by=contact.promise.pay_by,
        made_by=actor,
        company_id=scope.company_id,
    ).id


def _wrong_number(scope: Scope, contact: ContactInput, actor: str) -> None:
    if contact.phone_id is not None:
        point = db.session.get(ContactPoint, contact.phone_id)
        if point is None or point.party_id != contact.party_id:
            raise NotFound("电话")
    marked = contacts.mark_wrong_number(party_id=contact.party_id, phone_id=contact.phone_id)
    if marked is not None:
        audit.record(
            actor=actor,
            action="phone_invalid",
            object=f"contact_point:{marked}",
            at=clock.wire_now(),
            company_id=scope.company_id,
        )


def _audit(scope: Scope, row: Contact, broken: list[str]) -> None:
    detail: dict[str, object] = {
        "kind": row.kind,
        "house_id": row.house_id,
        "result": row.result,
        "reason": row.reason_code,
    }
    if broken:
        detail["violations"] = broken
    audit.record(
        actor=f"steward:{scope.steward_id}",
        action="contact_recorded",
        object=f"contact:{row.id}",
        at=clock.wire_now(),
        company_id=scope.company_id,
        detail=detail,
    )
