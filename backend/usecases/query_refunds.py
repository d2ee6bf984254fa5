"""Asking what became of refunds: 200 is not "refunded", and a doubt is asked again, never repeated
under a new number (facts W8, Z8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from backend import clock
from backend.db import db, transaction
from backend.payments import gateways, operations
from backend.payments.models import Merchant, PaymentOrder, Refund
from backend.payments.providers.base import Provider, ProviderError
from backend.telemetry import log
from backend.usecases.settle_refunds import note_refund_state

_CLAIM = text(
    """
    UPDATE refund SET next_query_at = :lease WHERE id IN (
        SELECT id FROM refund WHERE next_query_at <= :now ORDER BY next_query_at
        LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING id
    """
)


def query_refunds(*, limit: int = 20) -> int:
    """Ask about due refunds, sending those that were never sent; return how many."""
    now = clock.wire_now()
    with transaction():
        ids = list(
            db.session.scalars(
                _CLAIM, {"now": now, "lease": now + timedelta(seconds=60), "limit": limit}
            )
        )
    for refund_id in ids:
        push_refund(refund_id)
    return len(ids)


def push_refund(refund_id: int) -> str:
    """Bring one refund forward: ask for it (same number, same amount), else query; return state."""
    refund = db.session.get_one(Refund, refund_id)
    order = db.session.get_one(PaymentOrder, refund.order_id)
    provider = gateways.provider_of(db.session.get_one(Merchant, order.merchant_id))
    number, trade, amount = refund.out_refund_no, order.out_trade_no, refund.amount_fen
    total, reason, state = order.amount_fen, refund.reason, refund.state
    db.session.rollback()  # the platform is asked outside any transaction
    word = _queried(provider, trade, number)
    if word == "not_exist" and state in ("pending", "unknown"):
        word = _requested(
            provider,
            out_trade_no=trade,
            out_refund_no=number,
            amount_fen=amount,
            total_fen=total,
            reason=reason[:80],
        )
    with transaction():
        operations.lock_order(trade)
        refund = db.session.get_one(Refund, refund_id, with_for_update=True, populate_existing=True)
        if refund.state not in ("succeeded", "closed", "rejected"):
            note_refund_state(
                refund,
                db.session.get_one(PaymentOrder, refund.order_id),
                "unknown" if word == "not_exist" else word,
                clock.wire_now(),
            )
        return refund.state


def _queried(provider: Provider, out_trade_no: str, out_refund_no: str) -> str:
    """Return the platform's word; a question that failed says nothing about the refund."""
    try:
        return provider.query_refund(out_trade_no=out_trade_no, out_refund_no=out_refund_no).state
    except ProviderError as error:
        log.warning("refund_unanswered", out_refund_no=out_refund_no, code=error.code)
        return "unknown"


def _requested(provider: Provider, *, out_refund_no: str, **wanted: Any) -> str:
    """Ask for the refund; only the platform's plain no to this request closes it."""
    try:
        return provider.refund(out_refund_no=out_refund_no, **wanted).state
    except ProviderError as error:
        log.warning("refund_refused", out_refund_no=out_refund_no, code=error.code)
        return "closed" if error.outcome == "refused" and not error.retryable else "unknown"
