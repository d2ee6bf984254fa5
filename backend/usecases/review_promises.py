"""Every day: promises met are kept, promises whose day passed are broken (C71).

Keeping happens at the payment already; here it is only made sure of before anything is broken.
A household whose payment is on its way is looked at again half an hour later.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import text

from backend import clock, tasks
from backend.billing import operations as billing
from backend.db import db, transaction
from backend.dunning import operations as dunning

AGAIN = timedelta(minutes=30)


def review_promises(today: date, *, community_id: int | None = None) -> int:
    """Judge the open promises of one community, or of all; return how many were broken.

    One transaction per community, house accounts locked, so that a payment is before or after.
    """
    today = today or clock.business_today()
    if community_id is not None:
        return _one_community(community_id, today)
    communities = list(
        db.session.scalars(
            text(
                "SELECT DISTINCT community_id FROM promise WHERE state = 'open' "
                "AND community_id = coalesce(:c, community_id) ORDER BY 1"
            ),
            {"c": community_id},
        )
    )
    db.session.rollback()
    return sum(_one_community(community, today) for community in communities)


def _one_community(community_id: int, today: date) -> int:
    with transaction():
        houses = list(
            db.session.scalars(
                text(
                    "SELECT DISTINCT house_id FROM promise "
                    "WHERE community_id = :c AND state = 'open' AND day <= :today"
                ),
                {"c": community_id, "today": today},
            )
        )
        if not houses:
            return 0
        billing.lock_houses(houses)
        now = clock.business_now()
        dunning.keep_promises(house_ids=houses, now=now)
        broken = dunning.break_promises(community_id=community_id, today=today, now=now)
        if dunning.promises_waiting(community_id=community_id, today=today):
            _look_again(community_id, now + AGAIN)
        return broken


def _look_again(community_id: int, due_at: datetime) -> None:
    tasks.plan(
        queue="bulk",
        kind="review_promises",
        dedupe_key=f"{community_id}:again:{due_at:%Y-%m-%dT%H:%M}",
        due_at=due_at,
        payload={"community_id": community_id},
        community_id=community_id,
    )
