"""One tap ends all contact about arrears: calls, messages and visits, at every house (C17).

Only a supervisor may lift it, with the owner's new consent; one formal written demand per bill
batch and court papers remain.
"""

from __future__ import annotations

from backend import audit, clock
from backend.conduct.models import Hold
from backend.conduct.operations import lock_person, place_hold
from backend.db import db, transaction


def stop_contact(*, party_id: int, by: str, company_id: int) -> int:
    """Place the hold of a person and return its id; the one in force if there is one.

    by: 'account:7' or 'steward:3'. The hold names no house: it holds wherever the person owes.
    """
    now, today = clock.business_now(), clock.business_today()
    with transaction():
        lock_person(party_id)
        known = db.session.scalar(
            db.select(Hold.id).where(
                Hold.party_id == party_id,
                Hold.kind == "stop_contact",
                Hold.house_id.is_(None),
                Hold.lifted_at.is_(None),
            )
        )
        if known is not None:
            return known
        hold = place_hold(
            kind="stop_contact",
            house_id=None,
            party_id=party_id,
            from_day=today,
            until_day=None,
            reason="业主要求停止联系",
            source=by,
            now=now,
        )
        audit.record(
            actor=by,
            action="contact_stopped",
            object=f"hold:{hold.id}",
            at=clock.wire_now(),
            company_id=company_id,
            detail={"party_id": party_id},
        )
        return hold.id
