"""A platform calls back: verify on raw bytes, store, commit, acknowledge. Nothing is booked here.

A genuine notice that does not fit its order (other amount, currency, app or merchant) is stored
as quarantined and *not* acknowledged; a person sees it under exceptions. A genuine notice for a
number we do not know stays pending for a while and is then quarantined (design 4.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text

from backend import clock
from backend.db import db, transaction
from backend.payments import gateways, operations
from backend.payments.checks import mismatch
from backend.payments.providers.base import Answer, BadNotice, Notice, Provider
from backend.telemetry import NOTICES, log

_KEPT_HEADERS = (
    "Wechatpay-Serial",
    "Wechatpay-Timestamp",
    "Wechatpay-Nonce",
    "Wechatpay-Signature",
    "Content-Type",
)


def receive_notice(
    *, channel: str, merchant_name: str, headers: Mapping[str, str], raw: bytes
) -> Answer:
    """Return the platform's expected answer (status, content type, body).

    Bad signature, age, serial, probe: refused by the provider's code and nothing is stored.
    """
    merchant = gateways.merchant_named(merchant_name, channel)
    if merchant is None:
        return 404, "text/plain; charset=utf-8", b"fail"
    provider = gateways.provider_of(merchant)
    now = clock.wire_now()
    try:
        notice = provider.parse_notice(headers, raw, now)
    except BadNotice as bad:
        NOTICES.labels(channel, bad.reason).inc()
        level = log.info if bad.reason == "probe" else log.warning
        level("notice_refused", channel=channel, merchant=merchant_name, reason=bad.reason)
        return provider.nack(bad)
    with transaction():
        problem = _store(provider, notice, headers, raw, now)
    NOTICES.labels(channel, "mismatch" if problem else "stored").inc()
    if problem:
        log.error("notice_quarantined", channel=channel, reason=problem)
        return provider.nack()
    return provider.ack()


def _store(
    provider: Provider, notice: Notice, headers: Mapping[str, str], raw: bytes, now: datetime
) -> str | None:
    merchant = provider.merchant
    order = db.session.execute(
        text(
            "SELECT out_trade_no, amount_fen, merchant_id FROM payment_order WHERE out_trade_no=:n"
        ),
        {"n": notice.out_trade_no or ""},
    ).first()
    problem = order and mismatch(
        notice,
        amount_fen=order.amount_fen,
        same_merchant=order.merchant_id == merchant.id,
        account=merchant.config,
    )
    inbox_id = operations.store_notice(
        channel=merchant.channel,
        merchant_id=merchant.id,
        event_key=notice.event_key,
        kind=notice.kind,
        out_trade_no=notice.out_trade_no or "",
        raw=raw,
        headers={k: headers.get(k, "") for k in _KEPT_HEADERS},
        parsed=parsed_form(notice),
        at=now,
    )
    if problem and inbox_id:
        operations.judge(inbox_id=inbox_id, state="quarantined", reason=problem, at=now)
    return problem or None


def parsed_form(notice: Notice) -> dict[str, object]:
    """Return the few fields settling needs, without the payer's identity."""
    return {
        "channel_txn": notice.channel_txn,
        "amount_fen": notice.amount_fen,
        "currency": notice.currency,
        "paid_at": notice.paid_at.isoformat() if notice.paid_at else None,
        "out_refund_no": notice.out_refund_no,
        "refund_state": notice.refund_state,
        "merchant_ids": notice.merchant_ids,
    }
