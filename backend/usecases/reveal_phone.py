"""Showing one phone number in full: with a reason, on the record, and not to call whom we may not.

A number is revealed to be dialled, so the permit of a call is taken here, under the house account's
lock: not when the owner asked not to be contacted (E-C17), not when nothing is overdue or money may
be on its way, unless the owner asked to be called back. Hours and counts do not refuse; what they
said at that moment stands in the audit row (C17, C27, C57, design 4.7).
"""

from __future__ import annotations

from collections.abc import Callable

from backend import audit, clock
from backend.billing import operations as billing
from backend.conduct import queries as conduct
from backend.conduct.operations import write_permit
from backend.db import db, retrying, transaction
from backend.errors import NotFound, Refusal
from backend.estate import privacy
from backend.estate.models import ContactPoint
from backend.identity.scope import Scope, require_house, require_party

NOTHING_TO_ASK = ("paid", "payment_in_progress")
REPLIES = ("回复业主来电", "业主要求回电")


def reveal_phone(
    *,
    scope: Scope,
    house_id: int,
    phone_id: int,
    reason: str,
    bind: Callable[[str], None] = lambda reference: None,
) -> str:
    """Return the number. Raises NotFound, Refusal `reason_required` (422), `E-C17`, `paid`,
    `payment_in_progress` (409).

    bind: called with a reference inside the transaction; a caller who remembers answers keeps the
    reference instead of the number, which must not be stored in the clear.
    """
    reason = reason.strip()
    if len(reason) < 2:
        raise Refusal(
            "reason_required",
            message="a reason is required",
            message_zh="查看完整号码须填写原因。",
            http=422,
            fields={"reason": "请填写原因"},
        )
    return retrying(lambda: _reveal(scope, house_id, phone_id, reason, bind))


def _reveal(
    scope: Scope, house_id: int, phone_id: int, reason: str, bind: Callable[[str], None]
) -> str:
    with transaction():
        require_house(scope, house_id)
        point = db.session.get(ContactPoint, phone_id)
        if point is None or point.company_id != scope.company_id:
            raise NotFound("电话")
        require_party(house_id, point.party_id)
        billing.lock_houses([house_id])
        says = _permit(house_id, point, is_reply=reason.startswith(REPLIES))
        audit.record(
            actor=f"steward:{scope.steward_id}",
            action="phone_revealed",
            object=f"contact_point:{phone_id}",
            at=clock.wire_now(),
            company_id=scope.company_id,
            detail={"house_id": house_id, "reason": reason, "contact": says},
        )
        bind(f"contact_point:{phone_id}")
        return privacy.decrypt(point.company_id, point.value_enc)


def _permit(house_id: int, point: ContactPoint, *, is_reply: bool) -> str:
    """Take the permit of a call; return what the contact rules say of this moment."""
    party_id = point.party_id
    refused = conduct.stop_contact(house_id=house_id, party_id=party_id, day=clock.business_today())
    if refused is not None:
        raise refused
    answer = conduct.permission(
        house_id=house_id, party_id=party_id, kind="call", at=clock.business_now()
    )
    if answer.code in NOTHING_TO_ASK and not is_reply:
        raise Refusal(
            answer.code,
            message="nothing to call about",
            message_zh=answer.reason_zh or "",
            what_to_do="请刷新住户页面；业主来电要求回电的，原因请选“回复业主来电”。",
        )
    write_permit(
        subject_type="call",
        subject_id=point.id,
        house_id=house_id,
        party_id=party_id,
        no=None,
        reason="reply" if is_reply else "ok",
    )
    return answer.code or "allowed"
