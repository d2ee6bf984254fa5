"""A promise to pay is recorded, by a steward on the phone or by the owner himself (S34, C71)."""

from __future__ import annotations

from datetime import date

from backend import audit, clock
from backend.billing import operations as billing
from backend.db import db, retrying, transaction
from backend.dunning.models import Promise
from backend.dunning.promises import make_promise
from backend.errors import NotFound
from backend.estate.models import Community, House


def record_promise(
    *,
    house_id: int,
    party_id: int,
    amount_fen: int,
    day: date,
    pay_by: str,
    made_by: str,
    company_id: int,
) -> Promise:
    """Record a promise and commit; return it (id, state, day, amount_fen are loaded).

    made_by: 'steward:3' or 'account:7'. The caller has checked that the caller may see house and
    party; the house must be of the company. Replaces an open promise of the same household.
    Raises NotFound, Refusal `nothing_to_pay` (409), `promise_invalid` (422).
    """
    return retrying(
        lambda: _record(house_id, party_id, amount_fen, day, pay_by, made_by, company_id)
    )


def _record(
    house_id: int,
    party_id: int,
    amount_fen: int,
    day: date,
    pay_by: str,
    made_by: str,
    company_id: int,
) -> Promise:
    with transaction():
        community_id = db.session.scalar(
            db.select(House.community_id)
            .join(Community, Community.id == House.community_id)
            .where(House.id == house_id, Community.company_id == company_id)
        )
        if community_id is None:
            raise NotFound("房屋")
        billing.lock_houses([house_id])
        promise = add_promise(
            community_id=community_id,
            house_id=house_id,
            party_id=party_id,
            amount_fen=amount_fen,
            day=day,
            pay_by=pay_by,
            made_by=made_by,
            company_id=company_id,
        )
    db.session.refresh(promise)
    return promise


def add_promise(
    *,
    community_id: int,
    house_id: int,
    party_id: int,
    amount_fen: int,
    day: date,
    pay_by: str,
    made_by: str,
    company_id: int,
) -> Promise:
    """Make the promise with its audit row inside the caller's transaction, house account locked."""
    promise = make_promise(
        community_id=community_id,
        house_id=house_id,
        party_id=party_id,
        amount_fen=amount_fen,
        day=day,
        pay_by=pay_by,
        made_by=made_by,
        now=clock.business_now(),
    )
    audit.record(
        actor=made_by,
        action="promise_made",
        object=f"promise:{promise.id}",
        at=clock.wire_now(),
        company_id=company_id,
        detail={"house_id": house_id, "amount_fen": amount_fen, "day": day.isoformat()},
    )
    return promise
