"""Alipay as a `Provider`: wap (system browser), qr (order code) and bar (steward scans).

Messages are shaped by `alipay-sdk-python`, spoken by `alipay_transport`, notices read by
`alipay_notice`. A trade does not exist at Alipay until its cashier is opened or its code is
scanned: `not_exist` is then the normal answer, also to closing, and an old code may still be
paid until its `time_expire`. A refund's code 10000 is not a refund: `fund_change` decides.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from datetime import date, datetime
from importlib import import_module
from typing import Any
from urllib.parse import quote

from backend.money import require_fen, yuan_text
from backend.payments.providers import alipay_bill, alipay_notice, http
from backend.payments.providers.alipay_account import load_account
from backend.payments.providers.alipay_transport import GatewayClient
from backend.payments.providers.base import (
    Answer,
    BadNotice,
    CloseWord,
    MerchantConfig,
    Notice,
    Prepay,
    PrepayRequest,
    Provider,
    ProviderError,
    RefundState,
    StatementRow,
    TradeState,
    TradeWord,
)
from backend.payments.providers.values import fen_of_yuan, shanghai_text, shanghai_time

TRADE_WORDS: dict[str, TradeWord] = {
    "WAIT_BUYER_PAY": "unpaid",
    "TRADE_SUCCESS": "paid",
    "TRADE_FINISHED": "paid",
    "TRADE_CLOSED": "closed",
}
_PRODUCTS = {"wap": "QUICK_WAP_WAY", "qr": "QR_CODE_OFFLINE", "bar": "FACE_TO_FACE_PAYMENT"}
_SPECIAL = re.compile(r"[\x00-\x1f<>&\"'/=,]+")
_SUBJECT_CHARS = 128
_NAMELESS = "物业缴费"


class AlipayProvider(Provider):
    """One Alipay app; see `base.Provider` for what each method promises."""

    channel = "alipay"

    def __init__(self, merchant: MerchantConfig, gateway: str) -> None:
        self.merchant = merchant
        self._account = load_account(merchant)
        self._client = GatewayClient(self._account, gateway)

    def prepay(self, request: PrepayRequest) -> Prepay:
        if request.method not in _PRODUCTS:
            raise _refused_here("METHOD_NOT_OFFERED", request.method)
        fields = self._order_fields(request)
        if request.method == "wap":
            message = _message("TradeWapPay", fields | {"quit_url": request.return_url})
            message.notify_url, message.return_url = request.notify_url, request.return_url
            return Prepay(params={"pay_url": self._client.page_url(message)})
        if request.method == "qr":
            message = _message("TradePrecreate", fields)
            message.notify_url = request.notify_url
            answer = self._client.call(message)
            _about(request.out_trade_no, answer)
            return Prepay(params={"qr_code": _field(answer, "qr_code")})
        return self._scan(request, fields)

    def query(self, out_trade_no: str, *, timeout: float | None = None) -> TradeState:
        message = _message("TradeQuery", {"out_trade_no": out_trade_no})
        try:
            answer = self._client.call(message, timeout=timeout)
        except ProviderError as error:
            if error.outcome == "refused" and error.reason == "not_exist":
                return TradeState(state="not_exist", raw_code=error.code)
            raise
        return self._trade_state(out_trade_no, answer)

    def close(self, out_trade_no: str) -> CloseWord:
        try:
            answer = self._client.call(_message("TradeClose", {"out_trade_no": out_trade_no}))
            _about(out_trade_no, answer)
        except ProviderError as error:
            if error.outcome == "unknown":
                return "unknown"
            if error.reason == "not_exist":
                return "not_exist"
            return self._close_by_state(out_trade_no)
        return "closed"

    def refund(
        self,
        *,
        out_trade_no: str,
        out_refund_no: str,
        amount_fen: int,
        total_fen: int,
        reason: str = "",
        notify_url: str | None = None,
    ) -> RefundState:
        """As in `base`; a refund has no notice address of its own: it uses the payment's."""
        fields = {
            "out_trade_no": out_trade_no,
            "out_request_no": out_refund_no,
            "refund_amount": yuan_text(require_fen(amount_fen, minimum=1)),
            "refund_reason": _SPECIAL.sub(" ", reason)[:_SUBJECT_CHARS] or None,
        }
        answer = self._client.call(_message("TradeRefund", fields))
        _about(out_trade_no, answer)
        if answer.get("fund_change") != "Y":
            return RefundState(state="processing", raw_code=str(answer.get("fund_change")))
        return RefundState(state="succeeded", raw_code="Y", amount_fen=amount_fen)

    def query_refund(self, *, out_trade_no: str, out_refund_no: str) -> RefundState:
        fields = {
            "out_trade_no": out_trade_no,
            "out_request_no": out_refund_no,
            "query_options": ["gmt_refund_pay"],
        }
        try:
            answer = self._client.call(_message("TradeFastpayRefundQuery", fields))
        except ProviderError as error:
            if error.outcome == "refused" and error.reason == "not_exist":
                return RefundState(state="not_exist", raw_code=error.code)
            raise
        return _refund_state(out_refund_no, answer)

    def download_bill(self, day: date) -> list[StatementRow]:
        fields = {"bill_type": "trade", "bill_date": day.isoformat()}
        try:
            answer = self._client.call(_message("DataDataserviceBillDownloadurlQuery", fields))
        except ProviderError as error:
            if error.reason == "not_exist":
                return []
            raise
        reply = http.call("GET", _field(answer, "bill_download_url"), headers={}, label="bill")
        if reply.status != 200:
            raise _bad_answer(f"statement file: HTTP {reply.status}")
        try:
            return alipay_bill.parse(reply.content)
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise _bad_answer(f"statement file: {error}") from error

    def parse_notice(self, headers: Mapping[str, str], raw_body: bytes, now: datetime) -> Notice:
        """As in `base`; a redelivery carries its first signature for 25 hours, so a notice has
        no age limit: its `event_key` makes a replay harmless."""
        return alipay_notice.parse(self._account, raw_body)

    def ack(self) -> Answer:
        return 200, "text/plain", b"success"

    def nack(self, error: BadNotice | None = None) -> Answer:
        return error.http if error else 500, "text/plain", b"fail"

    def _order_fields(self, request: PrepayRequest) -> dict[str, Any]:
        fields = {
            "out_trade_no": request.out_trade_no,
            "total_amount": yuan_text(require_fen(request.amount_fen, minimum=1)),
            "subject": clean_subject(request.description),
            "product_code": _PRODUCTS[request.method],
            "time_expire": shanghai_text(request.time_expire),
            "seller_id": self._account.seller_id,
        }
        if request.attach:
            fields["passback_params"] = quote(request.attach, safe="")
        return fields

    def _scan(self, request: PrepayRequest, fields: dict[str, Any]) -> Prepay:
        """Charge the payment code the owner shows; 10003 means the owner is asked right now."""
        if not request.auth_code:
            raise _refused_here("PARAM_ERROR", "auth_code")
        message = _message(
            "TradePay", fields | {"scene": "bar_code", "auth_code": request.auth_code}
        )
        message.notify_url = request.notify_url
        answer = self._client.call(message)
        if answer["code"] != "10000":
            return Prepay(params={}, trade=TradeState(state="unknown", raw_code=answer["code"]))
        paid = answer | {"trade_status": "TRADE_SUCCESS", "send_pay_date": answer["gmt_payment"]}
        return Prepay(params={}, trade=self._trade_state(request.out_trade_no, paid))

    def _close_by_state(self, out_trade_no: str) -> CloseWord:
        """Closing was refused because of the trade's state: ask which it is."""
        try:
            state = self.query(out_trade_no).state
        except ProviderError:
            return "unknown"
        words: dict[str, CloseWord] = {
            "paid": "paid",
            "refunded": "paid",
            "closed": "closed",
            "not_exist": "not_exist",
        }
        return words.get(state, "unknown")

    def _trade_state(self, out_trade_no: str, answer: dict[str, Any]) -> TradeState:
        try:
            _about(out_trade_no, answer)
            raw = answer["trade_status"]
            paid_at = shanghai_time(answer.get("send_pay_date"))
            state = TRADE_WORDS.get(raw, "unknown")
            if state == "closed" and paid_at:
                state = "refunded"  # closed by a full refund: it once was paid
            if state == "paid" and not paid_at:
                raise ValueError("a paid trade without time")
            return TradeState(
                state=state,
                raw_code=raw,
                channel_txn=_field(answer, "trade_no"),
                amount_fen=fen_of_yuan(answer["total_amount"]),
                paid_at=paid_at,
                payer=answer.get("buyer_user_id") or answer.get("buyer_open_id"),
                currency=answer.get("trans_currency", "CNY"),
                appid=self._account.app_id,
            )
        except (KeyError, ValueError, TypeError) as error:
            raise _bad_answer(str(error)) from error


def clean_subject(text: str) -> str:
    """Return a title Alipay takes: no markup and none of / = & , (traps 12 and statement)."""
    return _SPECIAL.sub(" ", text).strip()[:_SUBJECT_CHARS] or _NAMELESS


def _refund_state(out_refund_no: str, answer: dict[str, Any]) -> RefundState:
    """An empty answer means there is no such refund (yet); old answers carry no status."""
    amount, status = answer.get("refund_amount"), str(answer.get("refund_status") or "")
    if not amount:
        return RefundState(state="not_exist", raw_code=status)
    if answer.get("out_request_no") != out_refund_no:
        raise _bad_answer("about another refund")
    try:
        return RefundState(
            state="succeeded" if status in ("", "REFUND_SUCCESS") else "processing",
            raw_code=status,
            amount_fen=fen_of_yuan(amount),
            channel_refund_no=answer.get("trade_no"),
            refunded_at=shanghai_time(answer.get("gmt_refund_pay")),
        )
    except (ValueError, TypeError) as error:
        raise _bad_answer(str(error)) from error


def _message(name: str, fields: dict[str, Any]) -> Any:
    """Build the SDK's request object, e.g. TradeQuery -> AlipayTradeQueryRequest(model)."""
    model = _sdk_class("domain", f"Alipay{name}Model")()
    for field, value in fields.items():
        if not hasattr(model, field):
            raise AttributeError(f"Alipay{name}Model has no {field}")
        if value is not None:
            setattr(model, field, value)
    return _sdk_class("request", f"Alipay{name}Request")(biz_model=model)


def _sdk_class(package: str, name: str) -> Any:
    """Import one class of the SDK by name: importing its packages would load 36,000 files."""
    return getattr(import_module(f"alipay.aop.api.{package}.{name}"), name)


def _about(out_trade_no: str, answer: dict[str, Any]) -> None:
    """An answer counts only for the number that was asked."""
    if answer.get("out_trade_no") != out_trade_no:
        raise _bad_answer("about another trade")


def _field(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise _bad_answer(f"{name} is missing")
    return value


def _bad_answer(detail: str) -> ProviderError:
    return ProviderError("unknown", "BAD_ANSWER", reason="busy", retryable=True, detail=detail)


def _refused_here(code: str, detail: str) -> ProviderError:
    return ProviderError("refused", code, reason="bad_request", detail=detail)
