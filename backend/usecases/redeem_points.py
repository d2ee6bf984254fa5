"""Points pay part of a bill: points go down and the principal with them, in one transaction (M10).

Under the house account's lock; the points account has a floor of zero in the ledger, so two taps at
once cannot spend the same points twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg.errors as pg
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from backend import audit, clock
from backend.billing import operations as billing
from backend.billing.models import Bill, PrincipalEvent
from backend.db import db, retrying, transaction
from backend.dunning import operations as dunning
from backend.errors import Refusal
from backend.ledger import operations as ledger
from backend.ledger.operations import Entry
from backend.points.models import PointsEntry
from backend.points.rules import Deduction, deduct_points
from backend.reminders import operations as reminders

EXCHANGE_POINTS, EXCHANGE_FEN = 1, 1
"""One point pays one fen; the announced rule (C48)."""


@dataclass(frozen=True)
class Redeemed:
    """What was taken and what it paid; points_used may be fewer than offered."""

    points_used: int
    fen: int


def redeem_points(
    *, bill_id: int, party_id: int, points: int, by: str, company_id: int, key: str
) -> Redeemed:
    """Pay part of a bill's principal with points of a party.

    The caller has checked that `by` may see the bill and acts for the party. key: names this
    redemption once. Raises Refusal `nothing_to_pay`, `points_not_enough`.
    """
    return retrying(lambda: _redeem(bill_id, party_id, points, by, company_id, key))


def _redeem(
    bill_id: int, party_id: int, points: int, by: str, company_id: int, key: str
) -> Redeemed:
    now = clock.wire_now()
    with transaction():
        bill = db.session.get_one(Bill, bill_id)
        billing.lock_houses([bill.house_id])
        db.session.refresh(bill)
        if bill.reversed or bill.open_fen <= 0:
            raise Refusal(
                "nothing_to_pay",
                message="nothing open on this bill",
                message_zh="该账单已结清。",
                what_to_do="请刷新账单列表。",
            )
        paid = deduct_points(
            points=points,
            exchange_points=EXCHANGE_POINTS,
            exchange_fen=EXCHANGE_FEN,
            principal_left=bill.open_fen,
        )
        source = f"{party_id}:{key}"
        journal_id = _post(bill, party_id, paid, company_id, source, now)
        _apply(bill, party_id, paid, journal_id, source, now)
        audit.record(
            actor=by,
            action="points_redeemed",
            object=f"bill:{bill.id}",
            at=now,
            company_id=company_id,
            detail={"points": paid.points_used, "fen": paid.fen, "party_id": party_id},
        )
        return Redeemed(paid.points_used, paid.fen)


def _post(
    bill: Bill, party_id: int, paid: Deduction, company_id: int, source: str, now: datetime
) -> int:
    try:
        return ledger.post(
            company_id=company_id,
            source_type="points_redeemed",
            source_key=source,
            entries=[
                Entry(ledger.points_account(party_id), paid.points_used, None, "PT"),
                Entry("points_liability", -paid.points_used, None, "PT"),
                Entry("discount", paid.fen, bill.id),
                Entry("receivable", -paid.fen, bill.id),
            ],
            at=now,
        )
    except IntegrityError as error:
        if not isinstance(error.orig, pg.CheckViolation):
            raise
        raise Refusal(
            "points_not_enough",
            message="more points than there are",
            message_zh="积分余额不足。",
            what_to_do="请刷新积分后重试。",
        ) from error


def _apply(
    bill: Bill, party_id: int, paid: Deduction, journal_id: int, source: str, now: datetime
) -> None:
    today = clock.business_today()
    bill.waived_fen += paid.fen
    db.session.execute(
        insert(PrincipalEvent).values(
            bill_id=bill.id,
            day=today,
            kind="waiver",
            amount_fen=paid.fen,
            journal_id=journal_id,
        )
    )
    db.session.add(
        PointsEntry(
            party_id=party_id,
            house_id=bill.house_id,
            bill_id=bill.id,
            source_type="points_redeemed",
            source_key=source,
            points=-paid.points_used,
            journal_id=journal_id,
            at=now,
        )
    )
    db.session.flush()
    reminders.cancel_for_paid_bills([bill.id])
    dunning.after_payment(house_ids=[bill.house_id], day=today, now=clock.business_now())
