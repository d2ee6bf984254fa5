"""What an owner disputes: the part of his bills that nobody's money may be put on (A42, C13)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from backend.billing.models import LateFeeFreeze
from backend.conduct.operations import holds_in_force
from backend.db import db


def disputed_amounts(
    *, house_id: int, party_id: int, bill_ids: Collection[int], day: date
) -> dict[int, int | None]:
    """Return {bill id: disputed fen, None = the whole bill} of the disputes in force on a day.

    A dispute of a bill carries its amount in its late-fee freeze; a dispute of the household
    covers all bills of the party there, wholly.
    """
    holds = [
        hold
        for hold in holds_in_force(house_id=house_id, party_id=party_id, bill_ids=bill_ids, day=day)
        if hold.kind == "dispute"
    ]
    if any(hold.bill_id is None for hold in holds):
        return dict.fromkeys(bill_ids)
    rows = db.session.execute(
        db.select(LateFeeFreeze.bill_id, LateFeeFreeze.amount_fen).where(
            LateFeeFreeze.reason.in_([f"dispute:{hold.id}" for hold in holds]),
            LateFeeFreeze.bill_id.in_([hold.bill_id for hold in holds]),
            LateFeeFreeze.voided.is_(False),
        )
    )
    amounts = {row.bill_id: row.amount_fen for row in rows}
    return {hold.bill_id: amounts.get(hold.bill_id) for hold in holds}
