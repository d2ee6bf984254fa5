"""Showing one phone number in full: with a reason, on the record, and not to call whom we may not.

A number is revealed to be dialled, so the owner's "do not contact me" is kept here: E-C17. Hours
and counts do not refuse (an owner may have asked to be called back); what they said at that
moment stands in the audit row (C17, C57).
"""

from __future__ import annotations

from collections.abc import Callable

from backend import audit, clock
from backend.conduct import queries as conduct
from backend.db import db, transaction
from backend.errors import NotFound, Refusal
from backend.estate import privacy
from backend.estate.models import ContactPoint
from backend.identity.scope import Scope, require_house, require_party


def reveal_phone(
    *,
    scope: Scope,
    house_id: int,
    phone_id: int,
    reason: str,
    bind: Callable[[str], None] = lambda reference: None,
) -> str:
    """Return the number. Raises NotFound, Refusal `reason_required` (422), `E-C17` (409).

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
    with transaction():
        require_house(scope, house_id)
        point = db.session.get(ContactPoint, phone_id)
        if point is None or point.company_id != scope.company_id:
            raise NotFound("电话")
        require_party(house_id, point.party_id)
        refused = conduct.stop_contact(
            house_id=house_id, party_id=point.party_id, day=clock.business_today()
        )
        if refused is not None:
            raise refused
        allowed = conduct.permission(
            house_id=house_id, party_id=point.party_id, kind="call", at=clock.business_now()
        )
        audit.record(
            actor=f"steward:{scope.steward_id}",
            action="phone_revealed",
            object=f"contact_point:{phone_id}",
            at=clock.wire_now(),
            company_id=scope.company_id,
            detail={"house_id": house_id, "reason": reason, "contact": allowed.code or "allowed"},
        )
        bind(f"contact_point:{phone_id}")
        return privacy.decrypt(point.company_id, point.value_enc)
