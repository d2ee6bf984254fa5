"""Our own verifier for Alipay's form notices, and what their states mean.

The form is decoded once (UTF-8, strictly); `sign` and `sign_type` are dropped, the rest sorted
and joined, and the RSA2 signature checked with Alipay's key. A notice is a state, not an event:
a partial refund sends TRADE_SUCCESS again, a full refund sends TRADE_CLOSED, and so does an
unpaid trade that ran out of time. Only the refund fields tell them apart (facts of the
platform, notify; traps 2, 3, 4, 12).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from backend.payments.providers.alipay_account import Account
from backend.payments.providers.base import BadNotice, Notice, NoticeKind
from backend.payments.providers.values import fen_of_yuan, shanghai_time

_MAXIMUM_FIELDS = 200
_PAID = ("TRADE_SUCCESS", "TRADE_FINISHED")


def read_form(raw_body: bytes) -> dict[str, str]:
    """Decode the form once. Raises BadNotice(malformed) on bad UTF-8 or a repeated field."""
    try:
        pairs = parse_qsl(
            raw_body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MAXIMUM_FIELDS,
        )
    except ValueError as error:
        raise BadNotice("malformed", "not a UTF-8 form") from error
    form = dict(pairs)
    if not form or len(form) != len(pairs):
        raise BadNotice("malformed", "no field, or one appears twice")
    return form


def string_to_sign(form: Mapping[str, str], *, keep_sign_type: bool = False) -> bytes:
    """Return the sorted `k=v` text the signature covers.

    keep_sign_type: the service market's messages keep that field; trade notices drop it.
    """
    dropped = ("sign",) if keep_sign_type else ("sign", "sign_type")
    return "&".join(f"{k}={v}" for k, v in sorted(form.items()) if k not in dropped).encode()


def check_signature(
    account: Account, form: Mapping[str, str], *, keep_sign_type: bool = False
) -> None:
    """Verify a form as RSA2. Raises BadNotice(bad_signature)."""
    if form.get("sign_type") != "RSA2":
        raise BadNotice("bad_signature", "sign_type is not RSA2")
    message = string_to_sign(form, keep_sign_type=keep_sign_type)
    if not account.verifies(message, form.get("sign", "")):
        raise BadNotice("bad_signature")


def parse(account: Account, raw_body: bytes) -> Notice:
    """Verify and read one notice. Raises BadNotice; see `base.Provider`."""
    form = read_form(raw_body)
    check_signature(account, form)
    try:
        return _notice(form)
    except (KeyError, ValueError) as error:
        raise BadNotice("malformed", f"{type(error).__name__} in the notice") from error


def kind_of(form: Mapping[str, str]) -> NoticeKind:
    """Tell what a trade notice is about; see the module's idea."""
    status, refunded = form.get("trade_status"), bool(_refund_mark(form))
    if form.get("notify_type") != "trade_status_sync":
        return "other"
    if status == "TRADE_CLOSED":
        return "refund" if refunded else "closed"
    if status in _PAID:
        return "refund" if refunded else "payment"
    return "other"


def _notice(form: dict[str, str]) -> Notice:
    kind = kind_of(form)
    is_refund = kind == "refund"
    status = form.get("trade_status", "")
    return Notice(
        kind=kind,
        event_key=":".join((_filled(form, "notify_id"), status, _refund_mark(form))),
        event_type=status or form.get("notify_type", ""),
        out_trade_no=form.get("out_trade_no") if kind == "other" else _filled(form, "out_trade_no"),
        out_refund_no=form.get("out_biz_no") or None if is_refund else None,
        channel_txn=form.get("trade_no") if kind == "other" else _filled(form, "trade_no"),
        amount_fen=fen_of_yuan(form["total_amount"]) if kind == "payment" else None,
        refunded_total_fen=_refunded_total(form) if is_refund else None,
        refund_state="succeeded" if is_refund else None,
        currency="CNY",
        paid_at=shanghai_time(form.get("gmt_refund")) if is_refund else _paid_at(form, kind),
        payer=form.get("buyer_id") or form.get("buyer_open_id"),
        merchant_ids={name: form[name] for name in ("app_id", "seller_id") if form.get(name)},
        payload=form,
    )


def _refund_mark(form: Mapping[str, str]) -> str:
    """Return what distinguishes one refund's notice from the payment's and the next refund's:
    "" when the notice tells of no refund."""
    fee = form.get("refund_fee", "")
    if not form.get("gmt_refund") and fee.strip("0.") == "":
        return ""
    return "/".join((form.get("out_biz_no", ""), fee, form.get("gmt_refund", "")))


def _refunded_total(form: Mapping[str, str]) -> int | None:
    return fen_of_yuan(form["refund_fee"]) if form.get("refund_fee") else None


def _paid_at(form: Mapping[str, str], kind: NoticeKind):
    if kind != "payment":
        return None
    return shanghai_time(_filled(form, "gmt_payment"))


def _filled(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise ValueError(f"{name} is missing")
    return form[name]
