"""The business checks a genuine notice must pass before money is believed (facts: both platforms).

Pure comparison of what the platform reports with what we asked for: our number, our amount, our
currency, our application and our merchant account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.payments.providers.base import Notice, TradeState

_IDS = ("appid", "mchid", "sub_mchid", "app_id", "seller_id")


def mismatch(
    notice: Notice, *, amount_fen: int, same_merchant: bool, account: Mapping[str, Any]
) -> str | None:
    """Return the reason a notice does not fit its order, None if it does.

    account: the merchant's own ids (appid, mchid … or app_id, seller_id) as configured.
    """
    if not same_merchant:
        return "merchant_mismatch"
    for name, value in notice.merchant_ids.items():
        if name in _IDS and account.get(name) and str(account[name]) != str(value):
            return f"{name}_mismatch"
    if notice.kind != "payment":
        return None
    if notice.amount_fen != amount_fen:
        return "amount_mismatch"
    if notice.currency not in (None, "CNY"):
        return "currency_mismatch"
    if not notice.channel_txn or notice.paid_at is None:
        return "incomplete"
    return None


def trade_mismatch(state: TradeState, *, amount_fen: int, account: Mapping[str, Any]) -> str | None:
    """Return the reason an answer to our own query does not fit the order, None if it does."""
    if state.amount_fen != amount_fen:
        return "amount_mismatch"
    if state.currency not in (None, "CNY"):
        return "currency_mismatch"
    for name in ("appid", "mchid"):
        reported = getattr(state, name)
        if reported and account.get(name) and str(account[name]) != reported:
            return f"{name}_mismatch"
    return None
