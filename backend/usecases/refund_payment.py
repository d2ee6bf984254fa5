"""Giving unspent credit back the way it came: reserve, ask the platform, wait for its word (C56).

The money leaves the payer's credit in the first transaction, so it cannot be spent or refunded
twice; a second person approves above the limit; then the platform is asked outside any
transaction under a number that never changes. Only "succeeded" means that it went back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func

from backend import audit, clock
from backend.billing import operations as billing
from backend.db import db, retrying, transaction
from backend.errors import NotFound, Refusal
from backend.identity.scope import Scope, require_house
from backend.ledger import operations as ledger
from backend.money import yuan_text
from backend.payments import operations as payments
from backend.payments.credit import unspent_credit
from backend.payments.models import PAID, PaymentOrder, Refund
from backend.usecases.query_refunds import push_refund
from backend.usecases.settle_refunds import reserve_entries

APPROVAL_OVER_FEN = 100_000  # C56: of one payment; above 1000 元 a second person approves
ONLINE = ("wechatpay", "alipay")
_RESUME = timedelta(seconds=30)
_GONE = ("closed", "rejected")


@dataclass(frozen=True)
class RefundAnswer:
    """A refund as the caller sees it; state as in `Refund.state`."""

    out_refund_no: str
    state: str
    amount_fen: int
    needs_approval: bool


def refund_payment(
    *,
    scope: Scope,
    out_trade_no: str,
    amount_fen: int,
    reason: str,
    out_refund_no: str | None = None,
    bind: Callable[[str], None] = lambda number: None,
) -> RefundAnswer:
    """Refund what is still unspent credit of this very payment (M9, A47).

    out_refund_no: given on a retry of the same intent. bind: called with the new number inside
    the transaction that creates it. Raises NotFound, Refusal `not_paid`, `refund_offline`,
    `refund_exceeds` (409).
    """
    if out_refund_no is None:
        out_refund_no = retrying(lambda: _reserve(scope, out_trade_no, amount_fen, reason, bind))
    return advance(scope, out_refund_no)


def advance(scope: Scope, out_refund_no: str) -> RefundAnswer:
    """Ask the platform about a refund that may go out; return how it stands."""
    refund = find_refund(scope, out_refund_no)
    if refund.state in ("pending", "unknown"):
        push_refund(refund.id)
        refund = find_refund(scope, out_refund_no)
    answer = RefundAnswer(
        out_refund_no=refund.out_refund_no,
        state=refund.state,
        amount_fen=refund.amount_fen,
        needs_approval=refund.state == "requested",
    )
    db.session.rollback()
    return answer


def find_refund(scope: Scope, out_refund_no: str) -> Refund:
    """Return a refund of the scope, freshly read. Raises NotFound."""
    row = db.session.execute(
        db.select(Refund, PaymentOrder.house_id)
        .join(PaymentOrder, PaymentOrder.id == Refund.order_id)
        .where(Refund.out_refund_no == out_refund_no)
        .execution_options(populate_existing=True)
    ).first()
    if row is None:
        raise NotFound("退款")
    require_house(scope, row.house_id)
    return row.Refund


def _reserve(
    scope: Scope, out_trade_no: str, amount_fen: int, reason: str, bind: Callable[[str], None]
) -> str:
    with transaction():
        order = db.session.scalar(
            db.select(PaymentOrder).where(PaymentOrder.out_trade_no == out_trade_no)
        )
        if order is None:
            raise NotFound("缴费记录")
        require_house(scope, order.house_id)
        billing.lock_houses([order.house_id])
        order = payments.lock_order(out_trade_no)
        earlier, number = _earlier(order)
        _check(scope, order, amount_fen, earlier)
        waits = earlier + amount_fen > APPROVAL_OVER_FEN
        refund = _add(scope, order, amount_fen, reason, number, waits=waits)
        bind(refund.out_refund_no)
        return refund.out_refund_no


def _earlier(order: PaymentOrder) -> tuple[int, int]:
    """Return (fen already on its way back, number of refunds so far) of an order."""
    row = db.session.execute(
        db.select(
            func.coalesce(func.sum(Refund.amount_fen).filter(Refund.state.not_in(_GONE)), 0).label(
                "fen"
            ),
            func.count().label("count"),
        ).where(Refund.order_id == order.id)
    ).one()
    return int(row.fen), row.count


def _check(scope: Scope, order: PaymentOrder, amount_fen: int, earlier: int) -> None:
    if order.state not in PAID:
        raise Refusal(
            "not_paid",
            message="the order was not paid",
            message_zh="该笔订单没有支付成功，无款可退。",
            what_to_do="请刷新收款记录后核对。",
        )
    if order.channel not in ONLINE:
        raise Refusal(
            "refund_offline",
            message="offline money goes back by hand",
            message_zh="线下收款须按原方式人工退还，不能在线退款。",
            what_to_do="请财务线下办理并登记。",
        )
    credit = unspent_credit(order, company_id=scope.company_id)
    allowed = min(credit, order.amount_fen - earlier)
    if not 0 < amount_fen <= allowed:
        raise Refusal(
            "refund_exceeds",
            message="more than can be refunded",
            message_zh=f"最多可退 {yuan_text(max(0, allowed))} 元（只退该笔付款未使用的余额）。",
            what_to_do="已用于账单的款项不能在此退回，请联系财务核对。",
            fields={"amount_fen": f"最多 {yuan_text(max(0, allowed))} 元"},
        )


def _add(
    scope: Scope,
    order: PaymentOrder,
    amount_fen: int,
    reason: str,
    earlier_refunds: int,
    *,
    waits: bool,
) -> Refund:
    now = clock.wire_now()
    refund = Refund(
        out_refund_no=f"{order.out_trade_no}R{earlier_refunds + 1}",
        order_id=order.id,
        channel=order.channel,
        amount_fen=amount_fen,
        reason=reason,
        state="requested" if waits else "pending",
        requested_by=f"steward:{scope.steward_id}",
        requested_at=now,
        next_query_at=None if waits else now + _RESUME,
    )
    db.session.add(refund)
    db.session.flush()
    ledger.post(
        company_id=scope.company_id,
        source_type="refund_reserved",
        source_key=refund.out_refund_no,
        entries=reserve_entries(refund, order),
        at=now,
    )
    audit.record(
        actor=refund.requested_by,
        action="refund_requested",
        object=f"refund:{refund.id}",
        at=now,
        company_id=scope.company_id,
        detail={"amount_fen": amount_fen, "reason": reason, "order": order.out_trade_no},
    )
    return refund
