"""Somebody is looking at a payment's result: ask the platform now instead of in half a minute.

At most one question in a few seconds per order, however many pages are open; the answer goes
through the inbox like a callback and is settled by the worker.
"""

from __future__ import annotations

from datetime import timedelta

from backend import clock
from backend.db import db
from backend.errors import Refusal
from backend.payments.models import LIVE, PaymentOrder
from backend.usecases.query_orders import ask_order

NOT_AGAIN_WITHIN = timedelta(seconds=5)
PATIENCE = 2.0


def watch_payment(out_trade_no: str) -> None:
    """Ask about a live order that was not asked about just now. Never raises for a silent platform.

    The order must be the watcher's own (checked by the caller).
    """
    order = db.session.scalar(
        db.select(PaymentOrder).where(PaymentOrder.out_trade_no == out_trade_no)
    )
    if order is None or order.state not in LIVE:
        return
    now = clock.wire_now()
    last = max(order.created_at, order.asked_at or order.created_at)
    if now - last < NOT_AGAIN_WITHIN:
        return
    db.session.rollback()
    try:
        ask_order(out_trade_no, timeout=PATIENCE)
    except Refusal:
        db.session.rollback()
