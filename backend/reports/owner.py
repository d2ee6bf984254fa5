"""What an owner may read: his bills, payments, points, and who contacted him.

The rule of sight (design 4.12): a bill of a bound house is visible if it is the bound person's own,
or if that person owned the house during some of the bill's period. What is not visible does not
exist.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Row, func, text

from backend.billing import queries as billing
from backend.billing.models import Bill, Receipt
from backend.db import db
from backend.errors import NotFound
from backend.estate import privacy
from backend.estate.models import Community, Company
from backend.fees.models import FeeItem
from backend.ledger import operations as ledger
from backend.money import yuan_text
from backend.payments.models import PAID, OrderBill, PaymentOrder
from backend.points.models import PointsEntry, PointsProgramme, PointsShortage
from backend.reminders.facts import period_text
from backend.reports import texts
from backend.reports.words import ORDER_STATE_ZH, POINTS_ZH

_VISIBLE = """
    SELECT b.id FROM bill b JOIN binding bi ON bi.house_id = b.house_id
    WHERE bi.account_id = :account AND bi.ended_at IS NULL
      AND (b.party_id = bi.party_id OR EXISTS (
          SELECT 1 FROM ownership o WHERE o.house_id = b.house_id AND o.party_id = bi.party_id
            AND o.valid && daterange(b.period_from, b.period_to)))
"""


def visible_bills(
    *,
    account_id: int,
    house_id: int | None = None,
    after: tuple[date, int] | None = None,
    limit: int | None = None,
) -> list[Bill]:
    """Return the visible bills that were not reversed, newest due first.

    after: (due date, id) of the last bill of the page before.
    """
    query = _visible(account_id, house_id).where(Bill.state != "reversed")
    if after:
        query = query.where(db.tuple_(Bill.due_date, Bill.id) < after)
    query = query.order_by(Bill.due_date.desc(), Bill.id.desc())
    return list(db.session.scalars(query.limit(limit)))


def visible_payable_bills(
    *, account_id: int, house_id: int | None = None, as_of: date
) -> list[Bill]:
    """Return the visible bills on which anything can be paid as of a day, oldest due first.

    Late fee left over on a bill whose principal is paid counts, as on the quick-pay page.
    """
    mine = _visible(account_id, house_id).with_only_columns(Bill.id, Bill.house_id)
    visible = {bill_id: house_id for bill_id, house_id in db.session.execute(mine)}
    payable = billing.payable_bills(set(visible.values()), as_of)
    return [bill for bill in payable if bill.id in visible]


def _visible(account_id: int, house_id: int | None) -> Any:
    query = db.select(Bill).where(
        Bill.id.in_(text(_VISIBLE).bindparams(account=account_id).columns(Bill.id))
    )
    return query if house_id is None else query.where(Bill.house_id == house_id)


def require_bills(*, account_id: int, bill_ids: Collection[int]) -> list[Bill]:
    """Return these bills by due date and id. Raises NotFound if one of them is not visible."""
    wanted = set(bill_ids)
    found = list(
        db.session.scalars(
            _visible(account_id, None).where(Bill.id.in_(wanted)).order_by(Bill.due_date, Bill.id)
        )
    )
    if not wanted or len(found) != len(wanted):
        raise NotFound("账单")
    return found


def require_order(*, out_trade_no: str, payer: str) -> PaymentOrder:
    """Return the payer's own order. Raises NotFound."""
    order = db.session.scalar(
        db.select(PaymentOrder).where(
            PaymentOrder.out_trade_no == out_trade_no, PaymentOrder.payer == payer
        )
    )
    if order is None:
        raise NotFound("支付单")
    return order


def payment_view(order: PaymentOrder) -> dict[str, Any]:
    """Return what became of an order: state, what each bill got, credit, points, receipt number."""
    receipt = None
    if order.channel_txn is not None:
        receipt = db.session.scalar(
            db.select(Receipt).where(
                Receipt.source_type == "payment", Receipt.source_key == order.channel_txn
            )
        )
    return {
        "out_trade_no": order.out_trade_no,
        "channel": order.channel,
        "channel_text": texts.PAY_CHANNEL.get(order.channel, order.channel),
        "state": order.state,
        "paid": order.state in PAID,
        "state_text": ORDER_STATE_ZH[order.state],
        "amount_fen": order.amount_fen,
        "amount_text": yuan_text(order.amount_fen),
        "time_expire": order.time_expire,
        "bills": _bills_of(order, receipt.lines if receipt else {}),
        "credit_fen": receipt.credit_fen if receipt else 0,
        "points_earned": _points_of(order),
        "receipt_no": receipt.number if receipt else None,
        "settled_at": order.settled_at,
    }


def _bills_of(order: PaymentOrder, lines: dict[str, Any]) -> list[dict[str, Any]]:
    rows = db.session.execute(
        db.select(Bill, FeeItem.name)
        .join(OrderBill, OrderBill.bill_id == Bill.id)
        .join(FeeItem, FeeItem.id == Bill.fee_item_id)
        .where(OrderBill.order_id == order.id)
        .order_by(Bill.due_date, Bill.id)
    )
    principal, late = lines.get("principal", {}), lines.get("late_fee", {})
    return [
        {
            "id": bill.id,
            "fee_name": name,
            "period_text": period_text([bill]),
            "paid_fen": principal.get(str(bill.id), 0) + late.get(str(bill.id), 0),
        }
        for bill, name in rows
    ]


def _points_of(order: PaymentOrder) -> int:
    if order.channel_txn is None:
        return 0
    return db.session.scalar(
        db.select(func.coalesce(func.sum(PointsEntry.points), 0)).where(
            PointsEntry.source_type == "payment", PointsEntry.source_key == order.channel_txn
        )
    )


def points_page(
    *, company_id: int, party_ids: Sequence[int], before: int | None, limit: int
) -> dict[str, Any]:
    """Return {balance, shortage, items, last_id} of these parties, newest entry first."""
    query = db.select(PointsEntry).where(PointsEntry.party_id.in_(list(party_ids)))
    if before is not None:
        query = query.where(PointsEntry.id < before)
    rows = list(db.session.scalars(query.order_by(PointsEntry.id.desc()).limit(limit + 1)))
    shown = rows[:limit]
    return {
        "balance": sum(points_balance(company_id, party) for party in party_ids),
        "shortage": db.session.scalar(
            db.select(func.coalesce(func.sum(PointsShortage.points), 0)).where(
                PointsShortage.party_id.in_(list(party_ids))
            )
        ),
        "items": [
            {
                "points": row.points,
                "reason_text": POINTS_ZH.get(row.source_type, "积分变动"),
                "bill_id": row.bill_id,
                "at": row.at,
            }
            for row in shown
        ],
        "last_id": shown[-1].id if len(rows) > limit else None,
    }


def points_balance(company_id: int, party_id: int) -> int:
    """Return the points a party can spend."""
    code = ledger.points_account(party_id)
    return ledger.balance(company_id=company_id, code=code, currency="PT")


def programmes(community_ids: Collection[int], day: date) -> list[PointsProgramme]:
    """Return the points programmes in force in these communities."""
    return list(
        db.session.scalars(
            db.select(PointsProgramme)
            .where(
                PointsProgramme.community_id.in_(list(community_ids)),
                PointsProgramme.valid.contains(day),
            )
            .order_by(PointsProgramme.community_id)
        )
    )


_CONTACTS = text(
    """
    SELECT at, kind, channel, result, rendered, company_id, id FROM (
        SELECT coalesce(m.begun_at, m.calling_at) AS at, 'message' AS kind, m.channel,
               m.state AS result, m.rendered_enc AS rendered, c.company_id, m.id
        FROM message m JOIN community c ON c.id = m.community_id
        WHERE m.house_id = :house AND m.party_id = ANY(:parties)
          AND m.state IN ('accepted','delivered','in_doubt')
        UNION ALL
        SELECT t.at, t.kind, t.kind, t.result, NULL, c.company_id, t.id
        FROM contact t JOIN community c ON c.id = t.community_id
        WHERE t.house_id = :house AND t.party_id = ANY(:parties)) everything
    WHERE (CAST(:before AS timestamptz) IS NULL OR at < :before) ORDER BY at DESC, id DESC
    LIMIT :limit
    """
)


def contacts_made(
    *, house_id: int, party_ids: Sequence[int], before: Any, limit: int
) -> Sequence[Row[Any]]:
    """Return messages sent and contacts made to these parties at a house, newest first (C59)."""
    return db.session.execute(
        _CONTACTS,
        {"house": house_id, "parties": list(party_ids), "before": before, "limit": limit},
    ).all()


def message_text(row: Row[Any]) -> str:
    """Return the text a message was sent with."""
    return privacy.decrypt(row.company_id, bytes(row.rendered)) if row.rendered else ""


def company_card(company_id: int, community_ids: Collection[int]) -> dict[str, str]:
    """Return {name, hotline}: the community's hotline where it has one."""
    company = db.session.get_one(Company, company_id)
    own = db.session.scalar(
        db.select(Community.hotline)
        .where(Community.id.in_(list(community_ids)), Community.hotline != "")
        .limit(1)
    )
    return {"name": company.name, "hotline": own or company.hotline}
