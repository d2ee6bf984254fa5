"""What WeChat Pay's answers mean in our few words.

HTTP 200 decides nothing: `trade_state` and `status` do, and only about the number that was
asked. Error codes are spelled differently across the platform's pages (ORDERPAID, ORDER_PAID),
so they are compared without underscores.
"""

from __future__ import annotations

import json
from typing import Any

from backend.money import require_fen
from backend.payments.providers.base import ProviderError, RefundState, TradeState, TradeWord
from backend.payments.providers.values import rfc3339_time
from backend.payments.providers.wechatpay_notice import REFUND_WORDS, merchant_ids, payer_of

TRADE_WORDS: dict[str, TradeWord] = {
    "SUCCESS": "paid",
    "REFUND": "refunded",
    "NOTPAY": "unpaid",
    "PAYERROR": "unpaid",
    "CLOSED": "closed",
    "REVOKED": "closed",
    "USERPAYING": "unknown",  # the payer is typing the password: neither paid nor unpaid
    "ACCEPT": "unknown",
}
REASONS = {
    "ORDERPAID": "already_paid",
    "ORDERCLOSED": "closed",
    "ORDERNOTEXIST": "not_exist",
    "RESOURCENOTEXISTS": "not_exist",
    "OUTTRADENOUSED": "number_used",
    "NOTENOUGH": "not_enough",
    "USERACCOUNTABNORMAL": "not_refundable",
    "FREQUENCYLIMITED": "rate_limited",
    "FREQUENCYLIMITEXCEED": "rate_limited",
    "RATELIMITEXCEEDED": "rate_limited",
    "PARAMERROR": "bad_request",
    "INVALIDREQUEST": "bad_request",
    "SIGNERROR": "bad_signature",
    "NOAUTH": "no_right",
    "APPIDMCHIDNOTMATCH": "config",
    "MCHNOTEXISTS": "config",
    "SYSTEMERROR": "busy",
    "BANKERROR": "busy",
    "STATEMENTCREATING": "busy",
    "NOSTATEMENTEXIST": "not_exist",
}


def answer_of(status: int, content: str | bytes) -> dict[str, Any]:
    """Return the JSON object of a 2xx answer ({} for 204).

    Raises ProviderError: `refused` for a 4xx with the platform's own code, `unknown` for
    everything else (5xx, a proxy's page, SYSTEM_ERROR: the platform may have acted).
    """
    answer = _object(content)
    if 200 <= status < 300:
        return answer
    code = answer.get("code")
    if not isinstance(code, str) or not 400 <= status < 500:
        raise unknown(str(code or f"HTTP_{status}"))
    spelling = code.upper().replace("_", "")
    if spelling in ("SYSTEMERROR", "BANKERROR"):
        raise unknown(code)
    reason = "rate_limited" if status == 429 else REASONS.get(spelling, "other")
    raise ProviderError(
        "refused",
        code,
        reason=reason,
        retryable=reason in ("rate_limited", "not_enough", "busy"),
        detail=str(answer.get("message", "")),
    )


def trade_state(out_trade_no: str, answer: dict[str, Any]) -> TradeState:
    """Read a query's answer. Raises ProviderError(unknown) when it is about another order or a
    paid one comes without number, amount or time."""
    try:
        if answer["out_trade_no"] != out_trade_no:
            raise ValueError("an answer about another order")
        raw = answer["trade_state"]
        state = TRADE_WORDS.get(raw, "unknown")
        amount = answer.get("amount") or {}
        ids = merchant_ids(answer)
        if state in ("paid", "refunded"):
            for name in ("transaction_id", "success_time"):
                field(answer, name)
        return TradeState(
            state=state,
            raw_code=raw,
            channel_txn=answer.get("transaction_id"),
            amount_fen=_total(state, amount),
            paid_at=rfc3339_time(answer.get("success_time")),
            payer=payer_of(answer),
            currency=amount.get("currency"),
            appid=ids.get("appid"),
            mchid=ids.get("mchid"),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise unknown("BAD_ANSWER", str(error)) from error


def refund_state(out_refund_no: str, answer: dict[str, Any]) -> RefundState:
    """Read the answer to a refund or a refund query. Raises ProviderError(unknown)."""
    try:
        if answer["out_refund_no"] != out_refund_no:
            raise ValueError("an answer about another refund")
        return RefundState(
            state=REFUND_WORDS.get(answer["status"], "unknown"),
            raw_code=answer["status"],
            amount_fen=require_fen(answer["amount"]["refund"]),
            channel_refund_no=answer.get("refund_id"),
            refunded_at=rfc3339_time(answer.get("success_time")),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise unknown("BAD_ANSWER", str(error)) from error


def _total(state: TradeWord, amount: dict[str, Any]) -> int | None:
    """An unpaid or closed order may come without amount; a paid one never."""
    if "total" not in amount and state not in ("paid", "refunded"):
        return None
    return require_fen(amount["total"])


def _object(content: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(content) if content else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def field(answer: dict[str, Any], name: str) -> str:
    """Return a text the answer must have. Raises ProviderError(unknown)."""
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise unknown("BAD_ANSWER", f"{name} is missing")
    return value


def unknown(code: str, detail: str = "") -> ProviderError:
    """Return the error for "nobody knows whether the platform acted"."""
    return ProviderError("unknown", code, reason="busy", retryable=True, detail=detail)
