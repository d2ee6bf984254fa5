"""WeChat Pay v3 as a `Provider`: jsapi (mini-program), h5 and native payments.

Requests are built by `wechatpayv3`, spoken by `wechatpay_wire`, callbacks read by
`wechatpay_notice`, answers put into our words by `wechatpay_answers`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from wechatpayv3 import WeChatPayType

from backend.money import require_fen
from backend.payments.providers import wechatpay_bill, wechatpay_notice, wechatpay_wire
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
)
from backend.payments.providers.values import rfc3339_text
from backend.payments.providers.wechatpay_account import load_account
from backend.payments.providers.wechatpay_answers import (
    answer_of,
    field,
    refund_state,
    trade_state,
    unknown,
)

_PAY_TYPES = {
    "jsapi": WeChatPayType.JSAPI,
    "h5": WeChatPayType.H5,
    "native": WeChatPayType.NATIVE,
    "qr": WeChatPayType.NATIVE,
}
_NUMBER = re.compile(r"[0-9A-Za-z_\-*]{6,32}")
_REFUND_NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")
_DESCRIPTION_CHARS = 127
_REASON_CHARS = 80


class WechatPayProvider(Provider):
    """One WeChat Pay merchant; see `base.Provider` for what each method promises."""

    channel = "wechatpay"

    def __init__(self, merchant: MerchantConfig, base_url: str) -> None:
        self.merchant = merchant
        self._account = load_account(merchant)
        self._base_url = base_url.rstrip("/")
        self._client = wechatpay_wire.client_for(self._account, self._base_url)
        self._sub = {"sub_mchid": self._account.sub_mchid} if self._account.sub_mchid else {}

    def prepay(self, request: PrepayRequest) -> Prepay:
        pay_type = _PAY_TYPES.get(request.method)
        if pay_type is None:
            raise _refused_here("METHOD_NOT_OFFERED", request.method)
        answer = self._ask(
            self._client.pay,
            pay_type=pay_type,
            out_trade_no=_number(request.out_trade_no),
            description=request.description[:_DESCRIPTION_CHARS],
            amount={"total": require_fen(request.amount_fen, minimum=1), "currency": "CNY"},
            time_expire=rfc3339_text(request.time_expire),
            notify_url=request.notify_url,
            attach=request.attach or None,
            **self._who_pays(request),
            **self._sub,
        )
        return Prepay(params=self._client_params(request, answer))

    def query(self, out_trade_no: str, *, timeout: float | None = None) -> TradeState:
        try:
            with wechatpay_wire.within(timeout):
                answer = self._ask(
                    self._client.query, out_trade_no=_number(out_trade_no), **self._sub
                )
        except ProviderError as error:
            if error.outcome == "refused" and error.reason in ("not_exist", "closed"):
                return TradeState(state=error.reason, raw_code=error.code)
            raise
        return trade_state(out_trade_no, answer)

    def close(self, out_trade_no: str) -> CloseWord:
        try:
            self._ask(self._client.close, out_trade_no=_number(out_trade_no), **self._sub)
        except ProviderError as error:
            words = {"already_paid": "paid", "not_exist": "not_exist", "closed": "closed"}
            return words.get(error.reason, "unknown") if error.outcome == "refused" else "unknown"
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
        amount = {
            "refund": require_fen(amount_fen),
            "total": require_fen(total_fen),
            "currency": "CNY",
        }
        answer = self._ask(
            self._client.refund,
            out_trade_no=_number(out_trade_no),
            out_refund_no=_number(out_refund_no, _REFUND_NUMBER),
            amount=amount,
            reason=reason[:_REASON_CHARS] or None,
            notify_url=notify_url,
            **self._sub,
        )
        return refund_state(out_refund_no, answer)

    def query_refund(self, *, out_trade_no: str, out_refund_no: str) -> RefundState:
        try:
            answer = self._ask(
                self._client.query_refund,
                out_refund_no=_number(out_refund_no, _REFUND_NUMBER),
                **self._sub,
            )
        except ProviderError as error:
            if error.outcome == "refused" and error.reason == "not_exist":
                return RefundState(state="not_exist", raw_code=error.code)
            raise
        return refund_state(out_refund_no, answer)

    def download_bill(self, day: date) -> list[StatementRow]:
        try:
            answer = self._ask(
                self._client.trade_bill, bill_date=day.isoformat(), tar_type="GZIP", **self._sub
            )
        except ProviderError as error:
            if error.reason == "not_exist":
                return []
            raise
        return _statement(answer, self._file(answer))

    def parse_notice(self, headers: Mapping[str, str], raw_body: bytes, now: datetime) -> Notice:
        return wechatpay_notice.parse(self._account, headers, raw_body, now)

    def ack(self) -> Answer:
        return 200, "application/json", b'{"code":"SUCCESS","message":"OK"}'

    def nack(self, error: BadNotice | None = None) -> Answer:
        body = json.dumps({"code": "FAIL", "message": "失败"}, ensure_ascii=False)
        return error.http if error else 500, "application/json", body.encode()

    def _who_pays(self, request: PrepayRequest) -> dict[str, Any]:
        if request.method == "jsapi":
            if not request.openid:
                raise _refused_here("PARAM_ERROR", "openid")
            return {"payer": {"sp_openid" if self._sub else "openid": request.openid}}
        if request.method == "h5":
            if not request.client_ip:
                raise _refused_here("PARAM_ERROR", "client_ip")
            info = {"payer_client_ip": request.client_ip, "h5_info": {"type": "Wap"}}
            return {"scene_info": info}
        return {}

    def _client_params(self, request: PrepayRequest, answer: dict[str, Any]) -> dict[str, str]:
        if request.method == "jsapi":
            return self._sheet(field(answer, "prepay_id"))
        if request.method == "h5":
            url = field(answer, "h5_url")
            if request.return_url:
                url += "&redirect_url=" + quote(request.return_url, safe="")
            return {"h5_url": url}
        return {"qr_code": field(answer, "code_url")}

    def _sheet(self, prepay_id: str) -> dict[str, str]:
        """The arguments of wx.requestPayment; `appId` is there for the in-browser bridge."""
        timestamp, nonce = wechatpay_wire.wire_timestamp(), wechatpay_wire.new_nonce()
        package = f"prepay_id={prepay_id}"
        account = self._account
        return {
            "appId": account.appid,
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": wechatpay_wire.pay_sign(
                account.private_key, account.appid, timestamp, nonce, package
            ),
        }

    def _file(self, answer: dict[str, Any]) -> bytes:
        """Download with our signed request, at our own base only: it must not go elsewhere."""
        url = urlsplit(field(answer, "download_url"))
        status, content = self._client.download_bill(f"{self._base_url}{url.path}?{url.query}")
        if status != 200:
            raise unknown(f"HTTP_{status}", "statement file")
        return content.encode() if isinstance(content, str) else content

    def _ask(self, operation: Callable[..., tuple[int, str | bytes]], **arguments: Any) -> dict:
        return answer_of(*operation(**arguments))


def _statement(answer: dict[str, Any], packed: bytes) -> list[StatementRow]:
    """Unpack, compare with the signed SHA-1 (the file itself is unsigned), parse."""
    try:
        content = gzip.decompress(packed) if packed.startswith(b"\x1f\x8b") else packed
        if answer.get("hash_type") != "SHA1":
            raise ValueError("the statement's hash type is unknown")
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        if digest.lower() != str(answer["hash_value"]).lower():
            raise ValueError("the statement's hash differs")
        return wechatpay_bill.parse(content)
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise unknown("BAD_STATEMENT", str(error)) from error


def _number(number: str, shape: re.Pattern[str] = _NUMBER) -> str:
    """Return our number if the platform takes it; the library pastes it into paths as it is."""
    if not shape.fullmatch(number):
        raise _refused_here("PARAM_ERROR", "number")
    return number


def _refused_here(code: str, detail: str) -> ProviderError:
    return ProviderError("refused", code, reason="bad_request", detail=detail)
