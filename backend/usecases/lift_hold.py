"""A supervisor lifts a hold: contact is possible again and the late fee it froze runs again.

A dispute that was answered, a hardship that ended, a button pressed by mistake. A promise lifts
its own hold (kept, broken, replaced); a stop of contact wants the owner's new consent (C17).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text

from backend import audit, clock
from backend.billing import operations as billing
from backend.conduct.models import Hold
from backend.conduct.operations import lock_person
from backend.conduct.queries import HOLDS_ZH, PROMISED
from backend.db import db, retrying, transaction
from backend.errors import NotFound, Refusal
from backend.identity.scope import Scope, require_house

MIN_REASON = 4


@dataclass(frozen=True)
class Lifted:
    """lifted_at: business instant; bills_unfrozen: bills whose late fee runs again from today."""

    hold_id: int
    kind: str
    lifted_at: datetime
    bills_unfrozen: int


def lift_hold(*, scope: Scope, hold_id: int, reason: str, owner_consent: bool = False) -> Lifted:
    """End a hold in force and the late-fee freeze that came with it, today.

    The caller has made sure of a supervisor's role. owner_consent: the owner agreed to be
    contacted again; `reason` says how (C17). Days frozen so far stay free of late fee. Raises
    NotFound outside the scope, Refusal `reason_required`, `owner_consent_required` (422),
    `hold_of_promise`, `hold_ended` (409); then nothing is written.
    """
    if len(reason.strip()) < MIN_REASON:
        raise Refusal(
            "reason_required",
            message="a reason is required",
            message_zh=f"请填写解除原因（至少 {MIN_REASON} 个字）。",
            http=422,
            fields={"reason": f"至少 {MIN_REASON} 个字"},
        )
    return retrying(lambda: _lift(scope, hold_id, reason.strip(), owner_consent))


def _lift(scope: Scope, hold_id: int, reason: str, owner_consent: bool) -> Lifted:
    with transaction():
        hold = _locked(scope, hold_id)
        now, today = clock.business_now(), clock.business_today()
        _check(hold, today, owner_consent)
        hold.lifted_at, hold.lifted_by = now, f"steward:{scope.steward_id}"
        unfrozen = _unfreeze(hold.id, today)
        audit.record(
            actor=f"steward:{scope.steward_id}",
            action="hold_lifted",
            object=f"hold:{hold.id}",
            at=clock.wire_now(),
            company_id=scope.company_id,
            detail={
                "kind": hold.kind,
                "house_id": hold.house_id,
                "party_id": hold.party_id,
                "bill_id": hold.bill_id,
                "reason": reason,
                "owner_consent": owner_consent,
                "bills_unfrozen": unfrozen,
            },
        )
        return Lifted(hold.id, hold.kind, now, unfrozen)


def _locked(scope: Scope, hold_id: int) -> Hold:
    """Return the hold with its house, its person and its row locked, in this order."""
    hold = db.session.get(Hold, hold_id)
    if hold is None:
        raise NotFound("暂停事项")
    if hold.house_id is not None:
        require_house(scope, hold.house_id)
        billing.lock_houses([hold.house_id])
    elif not _party_in_scope(scope, hold.party_id):
        raise NotFound("暂停事项")
    if hold.party_id is not None:
        lock_person(hold.party_id)
    return db.session.get_one(Hold, hold_id, with_for_update=True, populate_existing=True)


def _party_in_scope(scope: Scope, party_id: int | None) -> bool:
    return db.session.scalar(
        text(
            "SELECT EXISTS (SELECT 1 FROM house h WHERE h.id IN ("
            "SELECT house_id FROM ownership WHERE party_id = :_party "
            "UNION SELECT house_id FROM liability WHERE party_id = :_party "
            f"UNION SELECT house_id FROM bill WHERE party_id = :_party) AND {scope.where('h')})"
        ),
        {"_party": party_id, **scope.params},
    )


def _check(hold: Hold, today: date, owner_consent: bool) -> None:
    if hold.lifted_at is not None or (hold.until_day is not None and hold.until_day <= today):
        raise Refusal(
            "hold_ended",
            message="the hold is not in force any more",
            message_zh="该暂停已经结束。",
            what_to_do="请刷新房屋页面。",
        )
    if hold.kind == PROMISED:
        raise Refusal(
            "hold_of_promise",
            message="a promise's hold ends with the promise",
            message_zh=f"“{HOLDS_ZH[PROMISED]}”的暂停随承诺结束，不能单独解除。",
            what_to_do="请与业主重新约定并登记新的承诺，新承诺会取代原承诺。",
        )
    if hold.kind == "stop_contact" and not owner_consent:
        raise Refusal(
            "owner_consent_required",
            message="only the owner's new consent lifts a stop of contact",
            message_zh="业主已要求停止联系，须取得业主新的同意才能解除。",
            http=422,
            what_to_do="请在业主主动联系并同意后办理，并在原因中写明何时、以何种方式同意。",
            legal_basis="民法典1033条；治安管理处罚法50条",
            fields={"owner_consent": "须确认业主已同意"},
        )


def _unfreeze(hold_id: int, today: date) -> int:
    """End the freezes written with the hold; return of how many bills."""
    return db.session.execute(
        text(
            "UPDATE late_fee_freeze SET day_to = greatest(day_from, :today) "
            "WHERE reason IN ('dispute:' || CAST(:id AS text), 'hold:' || CAST(:id AS text)) "
            "AND NOT voided AND (day_to IS NULL OR day_to > :today)"
        ),
        {"id": str(hold_id), "today": today},
    ).rowcount
