"""One tap: open an order for chosen bills and return what the payer's client needs.

First transaction: house accounts locked, amounts quoted, order and its bills committed, the
idempotency key bound to the number. Then the platform is asked (no transaction). Second
transaction: the answer. A retry with the same key rebuilds the answer for the same number;
a timeout is `unknown`, never "failed" (design 4.3, 4.6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from backend import audit, clock
from backend.billing import operations as billing
from backend.billing import queries as bills
from backend.billing.models import Bill
from backend.db import db, retrying, transaction
from backend.errors import NotFound, Refusal
from backend.payments import gateways, operations
from backend.payments.models import LIVE, Merchant, OrderBill, PaymentOrder
from backend.payments.providers.base import PrepayRequest, Provider, ProviderError
from backend.usecases.query_orders import ask_order, close_order

EXPIRES_AFTER = timedelta(minutes=30)
METHODS = {"wechatpay": ("jsapi", "h5", "native"), "alipay": ("qr", "wap", "bar")}


@dataclass(frozen=True)
class Payer:
    """Who pays: `key` ('account:7', 'code:AB12', 'desk:3'), as which party, from where."""

    key: str
    party_id: int
    company_id: int
    openid: str | None = None
    client_ip: str | None = None
    return_url: str | None = None
    auth_code: str | None = None


def start_payment(
    *,
    payer: Payer,
    bill_ids: Sequence[int],
    channel: str,
    method: str,
    public_base_url: str,
    out_trade_no: str | None = None,
    bind: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Return {order, params}. bill_ids must be visible to the payer (checked by the caller).

    out_trade_no: given on a retry of the same intent, to rebuild the answer for that number.
    bind: called with the number inside the transaction that opens the order (design 4.6).
    Raises Refusal: channel_unknown, nothing_to_pay, one_payee_per_order, already_paid,
    payment_in_doubt, platform_refused, platform_unknown.
    """
    if method not in METHODS.get(channel, ()):
        raise Refusal("channel_unknown", message_zh="不支持该支付方式。", http=422)
    if out_trade_no is not None:
        return _prepay(out_trade_no, payer, public_base_url)
    reused = _reuse_or_clear(payer, bill_ids, channel, method)
    if reused is None:
        opened = retrying(lambda: _open_order(payer, bill_ids, channel, method, bind))
        return _prepay(opened, payer, public_base_url)
    if bind is not None:
        with transaction():
            bind(reused)
    return _prepay(reused, payer, public_base_url, reused=True)


def _reuse_or_clear(payer: Payer, bill_ids: Sequence[int], channel: str, method: str) -> str | None:
    """Return the payer's own live order of the same, or close the others that overlap; then None.

    The platforms ask to re-open under the *same* number, so that nobody pays twice. One look for
    both: an order that appears after it is met by the unique index, never closed unseen.
    """
    older = [o for o in operations.live_orders_of_bills(bill_ids) if o.payer == payer.key]
    wanted = _amounts(bill_ids) if older else {}
    for order in older:
        if (order.channel, order.method) == (channel, method) and _is_same(order, wanted):
            return order.out_trade_no
    for number in [o.out_trade_no for o in older]:
        _clear(number)
    return None


def _amounts(bill_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return {bill: (principal, late fee)} open today."""
    chosen = bills.bills_by_id(bill_ids)
    fees = bills.late_fees(chosen, clock.business_today())
    return {b.id: (b.open_fen, fees[b.id].open) for b in chosen}


def _is_same(order: PaymentOrder, wanted: dict[int, tuple[int, int]]) -> bool:
    """Tell whether an order asks for exactly these bills and today's amounts, and lives on."""
    parts = {
        row.bill_id: (row.principal_fen, row.late_fee_fen)
        for row in operations.order_bills(order.id)
    }
    lives = order.time_expire > clock.wire_now() + timedelta(minutes=2)
    return parts == wanted and lives and order.state in ("created", "pending")


def _clear(out_trade_no: str) -> None:
    """Ask, then close an older checkout of the same payer (design 4.3)."""
    word = ask_order(out_trade_no)
    if word in ("unpaid", "not_exist", "closed"):
        word = close_order(out_trade_no)
    if word in ("paid", "refunded"):
        raise Refusal(
            "already_paid",
            message="an earlier order of these bills was paid",
            message_zh="这些账单刚刚已支付成功，正在入账，请勿重复支付。",
            what_to_do="请稍候几秒刷新账单。",
        )
    if word != "closed":
        raise Refusal(
            "payment_in_doubt",
            message="an earlier order cannot be confirmed",
            message_zh="上一笔支付的结果正在确认，暂不能重新发起。",
            what_to_do="请一分钟后再试；如已扣款，系统会自动入账，不会重复收费。",
        )


def _open_order(
    payer: Payer,
    bill_ids: Sequence[int],
    channel: str,
    method: str,
    bind: Callable[[str], None] | None,
) -> str:
    now = clock.wire_now()
    with transaction():
        chosen = bills.bills_by_id(bill_ids)
        if len(chosen) != len(set(bill_ids)):
            raise NotFound("账单")
        billing.lock_houses([b.house_id for b in chosen])
        chosen = bills.bills_by_id(bill_ids)
        fees = bills.late_fees(chosen, clock.business_today())
        total = sum(b.open_fen + fees[b.id].open for b in chosen)
        _check_payable(chosen, total)
        merchant = gateways.merchant_for(payee_id=chosen[0].payee_id, channel=channel)
        order = PaymentOrder(
            out_trade_no=operations.new_out_trade_no(community_id=chosen[0].community_id, at=now),
            community_id=chosen[0].community_id,
            house_id=chosen[0].house_id,
            party_id=payer.party_id,
            merchant_id=merchant.id,
            channel=channel,
            method=method,
            payer=payer.key,
            openid=payer.openid,
            amount_fen=total,
            time_expire=(now + EXPIRES_AFTER).replace(microsecond=0),
            created_at=now,
            next_query_at=now + timedelta(seconds=30),
        )
        db.session.add(order)
        db.session.flush()
        _attach_bills(order, chosen, fees)
        if bind is not None:
            bind(order.out_trade_no)
        audit.record(
            actor=f"payer:{payer.key}",
            action="payment_started",
            object=f"payment_order:{order.id}",
            at=now,
            company_id=payer.company_id,
            detail={"amount_fen": total, "channel": channel, "bills": sorted(bill_ids)},
        )
        return order.out_trade_no


def _attach_bills(order: PaymentOrder, chosen: list[Bill], fees: dict) -> None:
    for bill in chosen:
        db.session.add(
            OrderBill(
                order_id=order.id,
                bill_id=bill.id,
                channel=order.channel,
                payer=order.payer,
                principal_fen=bill.open_fen,
                late_fee_fen=fees[bill.id].open,
            )
        )
    try:
        db.session.flush()
    except IntegrityError as error:
        raise _another_checkout() from error


def _another_checkout() -> Refusal:
    return Refusal(
        "payment_in_doubt",
        message="another checkout of the same payer is being opened",
        message_zh="您刚刚在另一处发起了同一账单的支付。",
        what_to_do="请刷新账单，几秒后再试。",
    )


def _check_payable(chosen: list[Bill], total: int) -> None:
    if any(bill.reversed for bill in chosen) or total <= 0:
        raise Refusal(
            "nothing_to_pay",
            message="nothing open on these bills",
            message_zh="所选账单已结清，无需支付。",
            what_to_do="请刷新账单列表。",
        )
    if len({bill.payee_id for bill in chosen}) > 1:
        raise Refusal(
            "one_payee_per_order",
            message="bills of different payees",
            message_zh="所选账单属于不同收款单位，请分开支付。",
            legal_basis="《非银行支付机构监督管理条例》",
        )


def _prepay(
    out_trade_no: str, payer: Payer, public_base_url: str, *, reused: bool = False
) -> dict[str, Any]:
    order = db.session.scalar(
        db.select(PaymentOrder).where(PaymentOrder.out_trade_no == out_trade_no)
    )
    if reused and order.state in ("closing", "closed"):  # since we looked: by another tap
        raise _another_checkout()
    if order.prepay is not None or order.state not in LIVE:
        return _answer(order)
    if order.state == "closing":  # the platform refused this number before: it is being closed
        raise _refused("")
    merchant = db.session.get_one(Merchant, order.merchant_id)
    provider = gateways.provider_of(merchant)
    request = PrepayRequest(
        out_trade_no=out_trade_no,
        amount_fen=order.amount_fen,
        description="物业服务费",
        time_expire=order.time_expire,
        notify_url=f"{public_base_url}/notify/{order.channel}/{merchant.name}",
        method=order.method,
        openid=order.openid,
        client_ip=payer.client_ip or "127.0.0.1",
        return_url=payer.return_url and payer.return_url.replace("{no}", out_trade_no),
        auth_code=payer.auth_code,
    )
    db.session.rollback()  # the platform is asked outside any transaction
    try:
        prepay = provider.prepay(request)
    except ProviderError as error:
        found = _note_failure(out_trade_no, error)
        if found in ("closing", "closed") and error.outcome != "unknown":
            raise _another_checkout() from error  # it closed this order meanwhile
        raise _prepay_refusal(error) from error
    with transaction():
        order = operations.lock_order(out_trade_no)
        given_up = order.state in ("closing", "closed")
        if not given_up:
            order.prepay = dict(prepay.params)
        if order.state in ("created", "unknown"):
            order.state = "pending"
    if given_up:
        _withdraw(provider, out_trade_no)
        raise _another_checkout()
    return _answer(order)


def _withdraw(provider: Provider, out_trade_no: str) -> None:
    """Close at the platform what was opened there after another checkout had closed it here.

    Nobody holds the parameters of this order; should the platform not answer, it is asked again
    before it expires (`query_orders`), and a payment is booked like any other.
    """
    word = provider.close(out_trade_no)
    if word == "paid":
        ask_order(out_trade_no)
    elif word == "unknown":
        with transaction():
            operations.lock_order(out_trade_no).next_query_at = clock.wire_now()


def _note_failure(out_trade_no: str, error: ProviderError) -> str:
    """Write what a failed prepay means for the order; return the state it was found in."""
    with transaction():
        order = operations.lock_order(out_trade_no)
        found = order.state
        if found == "created":
            order.state = "unknown" if error.outcome == "unknown" else "closing"
            order.next_query_at = clock.wire_now()
    return found


def _prepay_refusal(error: ProviderError) -> Refusal:
    if error.outcome == "unknown":
        return Refusal(
            "platform_unknown",
            message=f"the platform did not answer ({error.code})",
            message_zh="支付平台暂时没有应答，尚未扣款。",
            http=503,
            what_to_do="请稍后重试，系统不会重复收费。",
        )
    return _refused(f" ({error.code})")


def _refused(detail: str) -> Refusal:
    return Refusal(
        "platform_refused",
        message=f"the platform refused{detail}",
        message_zh="支付平台拒绝了本次下单。",
        http=502,
        what_to_do="请换一种支付方式，或联系物业服务中心。",
    )


def _answer(order: PaymentOrder) -> dict[str, Any]:
    return {"order": order, "params": order.prepay or {}}
