"""Asking the platform: the janitor that finds lost callbacks, and closing what was not paid.

A question is asked outside any transaction; its answer is written in one of its own. "Paid" goes
through the inbox like a callback, so that everything settles in one place. An order is closed
only after the platform said that it is unpaid; a doubt stays a doubt (design 4.5).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import text

from backend import clock
from backend.conduct.operations import FRESH_CLOSED
from backend.db import db, transaction
from backend.payments import gateways, operations
from backend.payments.checks import trade_mismatch
from backend.payments.models import LIVE, Merchant, PaymentOrder
from backend.payments.providers.base import Provider, ProviderError, TradeState
from backend.telemetry import log

CLOSE_GRACE = timedelta(seconds=20)
CREATED_IS_LOST_AFTER = timedelta(minutes=2)

_CLAIM = text(
    """
    UPDATE payment_order SET next_query_at = :lease WHERE id IN (
        SELECT id FROM payment_order WHERE next_query_at <= :now
        ORDER BY next_query_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING out_trade_no
    """
)


def query_orders(*, limit: int = 40) -> int:
    """Ask about due orders, several at a time; return how many were asked."""
    now = clock.wire_now()
    with transaction():
        numbers = list(
            db.session.scalars(
                _CLAIM, {"now": now, "lease": now + timedelta(seconds=60), "limit": limit}
            )
        )
    if not numbers:
        return 0
    app = current_app._get_current_object()

    def one(number: str) -> None:
        with app.app_context():
            try:
                ask_order(number, close_expired=True)
            except Exception as error:
                log.error("query_failed", out_trade_no=number, error=type(error).__name__)
            finally:
                db.session.remove()

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(one, numbers))
    return len(numbers)


def ask_order(
    out_trade_no: str, *, timeout: float | None = None, close_expired: bool = False
) -> str:
    """Ask the platform about one order; return its word (paid, unpaid, closed, …, unknown).

    With close_expired an order past its last moment to pay, or given up by us, is closed once it
    is known unpaid.
    """
    order = db.session.scalar(
        db.select(PaymentOrder).where(PaymentOrder.out_trade_no == out_trade_no)
    )
    provider = gateways.provider_of(db.session.get_one(Merchant, order.merchant_id))
    expired = order.time_expire + CLOSE_GRACE < clock.wire_now()
    given_up = order.state == "closed"
    db.session.rollback()  # no open transaction while the network is awaited
    asked_at = clock.wire_now()  # the answer can be no older than the moment of asking
    trade = _ask(provider, out_trade_no, timeout)
    word = _write_answer(provider, out_trade_no, trade, asked_at)
    if close_expired and given_up and word == "unpaid":
        return _close_again(provider, out_trade_no)
    if close_expired and expired and word in ("unpaid", "not_exist", "closed"):
        return close_order(out_trade_no)
    return word


def _close_again(provider: Provider, out_trade_no: str) -> str:
    """Close at the platform what came into being there after we had given the order up."""
    word = provider.close(out_trade_no)
    return ask_order(out_trade_no) if word == "paid" else word


def _ask(provider: Provider, out_trade_no: str, timeout: float | None) -> TradeState:
    try:
        return provider.query(out_trade_no, timeout=timeout)
    except ProviderError as error:
        log.warning("platform_silent", out_trade_no=out_trade_no, code=error.code)
        return TradeState("unknown", error.code)


def _write_answer(
    provider: Provider, out_trade_no: str, trade: TradeState, asked_at: datetime
) -> str:
    with transaction():
        order = operations.lock_order(out_trade_no)
        order.asked_at, order.asked_state = asked_at, trade.state
        if order.state in LIVE or order.state == "closed":
            if trade.state in ("paid", "refunded"):
                _store_success(provider, order, trade, asked_at)
            if order.state in LIVE:
                delay = operations.query_delay(asked_at - order.created_at)
                order.next_query_at = asked_at + delay if delay else None
            else:
                order.next_query_at = _last_look(order, asked_at)
            if trade.state == "unknown" and order.state == "pending":
                order.state = "unknown"
            elif trade.state == "unpaid" and order.state == "unknown":
                order.state = "pending"
    return trade.state


def _store_success(
    provider: Provider, order: PaymentOrder, trade: TradeState, now: datetime
) -> None:
    """Put the platform's own word into the inbox, as if the callback had arrived."""
    problem = trade_mismatch(trade, amount_fen=order.amount_fen, account=provider.merchant.config)
    parsed = {
        "channel_txn": trade.channel_txn,
        "amount_fen": trade.amount_fen,
        "currency": trade.currency,
        "paid_at": trade.paid_at.isoformat() if trade.paid_at else None,
    }
    inbox_id = operations.store_notice(
        channel=order.channel,
        merchant_id=order.merchant_id,
        event_key=f"query:{order.out_trade_no}:{trade.channel_txn}",
        kind="payment",
        out_trade_no=order.out_trade_no,
        raw=json.dumps(parsed).encode(),
        headers={"source": "query"},
        parsed=parsed,
        at=now,
    )
    if problem and inbox_id:
        operations.judge(inbox_id=inbox_id, state="quarantined", reason=problem, at=now)


def close_order(out_trade_no: str) -> str:
    """Close at the platform, then here; return 'closed', 'paid' or 'unknown'."""
    with transaction():
        order = operations.lock_order(out_trade_no)
        if order.state not in LIVE:
            return "closed" if order.state == "closed" else "paid"
        if order.state != "closing":
            order.state = "closing"
        merchant = db.session.get_one(Merchant, order.merchant_id)
        provider = gateways.provider_of(merchant)
    word = provider.close(out_trade_no)
    if word == "paid":
        ask_order(out_trade_no)
        return "paid"
    with transaction():
        order = operations.lock_order(out_trade_no)
        if order.state not in LIVE:
            return "closed" if order.state == "closed" else "paid"
        if word in ("closed", "not_exist"):
            now = clock.wire_now()
            order.state, order.closed_at = "closed", now
            order.next_query_at = _last_look(order, now) if word == "not_exist" else None
            return "closed"
        order.next_query_at = clock.wire_now() + timedelta(seconds=30)
    return "unknown"


def _last_look(order: PaymentOrder, now: datetime) -> datetime | None:
    """Return when a closed order is asked about once more; None when nobody can pay it any more.

    A trade the platform has never seen cannot be closed there: Alipay opens it when the code is
    scanned, until `time_expire`, whatever we wrote here (facts Z6).
    """
    last = order.time_expire + CLOSE_GRACE
    return last if now < last else None


ORDERS_TO_ASK = """SELECT DISTINCT o.out_trade_no FROM payment_order o
    JOIN order_bill ob ON ob.order_id = o.id WHERE ob.bill_id = ANY(%s)
     AND (o.state IN ('created','pending','unknown','closing')
          OR (o.state = 'closed' AND o.closed_at > :day_ago))"""
"""SQL: the live or freshly closed orders of an array of bills."""


def day_ago() -> datetime:
    """Return since when a closed order is still asked about."""
    return clock.wire_now() - FRESH_CLOSED


def ask_about_bills(bill_ids: Sequence[int], *, timeout: float = 1.0) -> dict[str, str]:
    """Ask about every live or freshly closed order of these bills (before a send permit)."""
    numbers = db.session.scalars(
        text(ORDERS_TO_ASK % ":ids"), {"ids": list(bill_ids), "day_ago": day_ago()}
    ).all()
    return ask_orders(numbers, timeout=timeout)


def ask_orders(numbers: Sequence[str], *, timeout: float = 1.0) -> dict[str, str]:
    """Ask about these orders; return the platform's word on each."""
    return {number: ask_order(number, timeout=timeout) for number in numbers}
