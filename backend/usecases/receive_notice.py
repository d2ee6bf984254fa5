"""A platform calls back: verify on raw bytes, store, commit, acknowledge. Nothing is booked here.

A genuine notice that does not fit its order (other amount, currency, app or merchant) is stored
as quarantined and *not* acknowledged; a person sees it under exceptions. A genuine notice for a
number we do not know stays pending for a while and is then quarantined (design 4.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend import clock
from backend.db import committing_each_statement, db, transaction
from backend.payments import inbox, operations
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
    What this process remembers of the merchant is tried first; if the keys do not fit, or are
    no longer the merchant's when the notice is stored, they are looked up and tried once more.
    """
    known = inbox.remembered(merchant_name, channel)
    if known and (answer := _take(known, headers, raw, is_fresh=False)):
        return answer
    known = inbox.look_up(merchant_name, channel)
    if known is None:
        return 404, "text/plain; charset=utf-8", b"fail"
    return _take(known, headers, raw, is_fresh=True) or known.provider.nack()


def _take(
    addressee: inbox.Addressee, headers: Mapping[str, str], raw: bytes, *, is_fresh: bool
) -> Answer | None:
    """Return the answer; None when the merchant's configuration has to be looked up again."""
    provider, now = addressee.provider, clock.wire_now()
    try:
        notice = provider.parse_notice(headers, raw, now)
    except BadNotice as bad:
        return _refuse(addressee, bad) if is_fresh else None
    kept = {
        "addressee": addressee,
        "notice": notice,
        "headers": {k: headers.get(k, "") for k in _KEPT_HEADERS},
        "parsed": parsed_form(notice),
        "raw": raw,
        "at": now,
    }
    problem = None
    if not _keep_usual(notice, provider, kept):
        with transaction():
            driver = db.session.connection().connection.driver_connection
            stored = inbox.store(driver, only_fitting=False, **kept)
            problem = stored and _problem(addressee, notice, stored)
            if problem and stored.inbox_id:
                operations.judge(
                    inbox_id=stored.inbox_id, state="quarantined", reason=problem, at=now
                )
        if stored is None:
            return None
    NOTICES.labels(provider.channel, "mismatch" if problem else "stored").inc()
    if problem:
        log.error("notice_quarantined", channel=provider.channel, reason=problem)
        return provider.nack()
    return provider.ack()


def _keep_usual(notice: Notice, provider: Provider, kept: dict[str, Any]) -> bool:
    """Store a payment that fits its order in one statement, committed by itself.

    False: nothing was stored; a misfit must be stored and quarantined in the same transaction.
    """
    own_account = provider.merchant.config
    if notice.kind != "payment" or mismatch(
        notice, amount_fen=notice.amount_fen, same_merchant=True, account=own_account
    ):
        return False
    with committing_each_statement() as driver:
        stored = inbox.store(driver, only_fitting=True, **kept)
    return stored is not None and stored.inbox_id is not None


def _refuse(addressee: inbox.Addressee, bad: BadNotice) -> Answer:
    channel = addressee.provider.channel
    NOTICES.labels(channel, bad.reason).inc()
    level = log.info if bad.reason == "probe" else log.warning
    level("notice_refused", channel=channel, merchant=addressee.name, reason=bad.reason)
    return addressee.provider.nack(bad)


def _problem(addressee: inbox.Addressee, notice: Notice, stored: inbox.Stored) -> str | None:
    """Return why a notice does not fit its order; an unknown number is nobody's mistake yet."""
    if stored.order_amount_fen is None:
        return None
    return mismatch(
        notice,
        amount_fen=stored.order_amount_fen,
        same_merchant=stored.order_merchant_id == addressee.merchant_id,
        account=addressee.provider.merchant.config,
    )


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
