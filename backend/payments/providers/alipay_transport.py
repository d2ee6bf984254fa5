"""The part of `alipay-sdk-python` that talks, replaced: transport, signature, answer.

The SDK knows the platform's 36,000 message shapes and puts a request together; as published its
client cannot reach a URL with a port, crashes on every HTTP status but 200, signs in pure
Python (21 ms), writes local time, accepts SHA-1 answers, and takes a failure for a success.
`GatewayClient` keeps the SDK's request building and replaces the rest:

* signing uses the C library (0.7 ms) and the timestamp is Shanghai time from our clock;
* the call goes through `http.call` (kept connections, hard timeouts, ports);
* the answer's own text is cut out by a JSON scanner, verified as RSA2 only, and then judged by
  `code == "10000"`. Nothing is logged by the SDK: its logger prints personal data.
"""

from __future__ import annotations

import importlib
import json
import re
import uuid
from datetime import datetime, timedelta
from json.decoder import scanstring
from types import SimpleNamespace
from typing import Any

import structlog
from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.constant.CommonConstants import THREAD_LOCAL
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.util.WebUtils import url_encode

from backend import clock
from backend.payments.providers import http, keys
from backend.payments.providers.alipay_account import Account
from backend.payments.providers.base import ProviderError

_CHARSET = "utf-8"
_SPACE = re.compile(r"[ \t\r\n]*")
_decoder = json.JSONDecoder()
_log = structlog.get_logger(__name__)


class GatewayClient(DefaultAlipayClient):
    """One app at one gateway. Calls raise ProviderError; see `call` and `page_url`."""

    def __init__(self, account: Account, gateway: str) -> None:
        config = AlipayClientConfig()
        config.app_id = account.app_id
        config.app_private_key = account.private_key_text
        config.sign_type = "RSA2"
        config.charset = _CHARSET
        config.server_url = gateway
        super().__init__(config)
        self._account = account
        self._gateway = gateway

    def call(self, request: Any, *, timeout: float | None = None) -> dict[str, Any]:
        """Execute an SDK request and return the verified inner object of a success.

        Raises ProviderError: `refused` when Alipay named a business code, `unknown` when no
        believable answer came or Alipay itself does not know (20000, SYSTEM_ERROR).
        """
        query, body_params = self._signed(request)
        method = request.get_params()["method"]
        reply = http.call(
            "POST",
            f"{self._gateway}?{query}",
            headers={"Content-Type": f"application/x-www-form-urlencoded;charset={_CHARSET}"},
            body=url_encode(body_params, _CHARSET).encode(),
            timeout=timeout,
            label=method,
        )
        if reply.status != 200:
            raise _unknown(f"HTTP_{reply.status}", method)
        return self._believed(method, reply.content)

    def page_url(self, request: Any) -> str:
        """Return the signed GET address of a page request (no network; GET because the SDK's
        POST form lets the browser decode entities and so breaks the signature)."""
        query, params = self._signed(request)
        return f"{self._gateway}?{query}&{url_encode(params, _CHARSET)}"

    def _signed(self, request: Any) -> tuple[str, dict[str, Any]]:
        THREAD_LOCAL.uuid = str(uuid.uuid4())
        return self._DefaultAlipayClient__prepare_request(request)

    def _believed(self, method: str, raw: bytes) -> dict[str, Any]:
        """Verify the answer and return its object if it is a success."""
        try:
            text = raw.decode(_CHARSET)
            members = top_level(text)
        except ValueError as error:
            raise _unknown("BAD_ANSWER", method) from error
        node = members.get(method.replace(".", "_") + "_response")
        if node is None:
            raise _gateway_error(members.get("error_response"), method)
        signature = json.loads(members.get("sign", '""'))
        if not isinstance(signature, str) or not self._account.verifies(node.encode(), signature):
            _log.warning("alipay_answer_not_believed", call=method)
            raise _unknown("BAD_ANSWER_SIGNATURE", method)
        return judged(json.loads(node), waiting=method == "alipay.trade.pay")


def top_level(text: str) -> dict[str, str]:
    """Cut a JSON object into its members' exact source texts (the signature covers those bytes,
    not a re-serialisation). Raises ValueError; a member that appears twice is refused."""
    members: dict[str, str] = {}
    at = _skip(text, 0, "{")
    while True:
        if text[at : at + 1] != '"':
            raise ValueError("a member's name is missing")
        name, at = scanstring(text, at + 1, True)
        start = _skip(text, _space(text, at), ":")
        _, end = _decoder.raw_decode(text, start)
        if name in members:
            raise ValueError("a member appears twice")
        members[name] = text[start:end]
        at = _space(text, end)
        if text[at : at + 1] == "}":
            return members
        at = _skip(text, at, ",")


def _skip(text: str, at: int, mark: str) -> int:
    """Step over one mark and the white space after it."""
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark} expected")
    return _space(text, at + 1)


def _space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()


REASONS = {
    "TRADE_NOT_EXIST": "not_exist",
    "TRADE_HAS_SUCCESS": "already_paid",
    "TRADE_HAS_CLOSE": "closed",
    "TRADE_HAS_FINISHED": "not_refundable",
    "TRADE_NOT_ALLOW_REFUND": "not_refundable",
    "REASON_TRADE_REFUND_FEE_ERR": "not_refundable",
    "REFUND_AMT_NOT_EQUAL_TOTAL": "not_refundable",
    "SELLER_BALANCE_NOT_ENOUGH": "not_enough",
    "CONTEXT_INCONSISTENT": "number_used",
    "DISCORDANT_REPEAT_REQUEST": "number_used",
    "INVALID_PARAMETER": "bad_request",
    "invalid-signature": "bad_signature",
    "invalid-app-id": "config",
    "BILL_NOT_EXIST": "not_exist",
}
_UNDECIDED = ("SYSTEM_ERROR", "AOP_SYSTEM_ERROR", "unknow-error", "system-error")


def judged(answer: dict[str, Any], *, waiting: bool = False) -> dict[str, Any]:
    """Return the answer if its code is 10000 (success) or, where `waiting` makes sense, 10003
    (the payer is being asked).

    Raises ProviderError: 20000 and SYSTEM_ERROR are `unknown`, other codes `refused`. The SDK's
    own test (`not sub_code`) would call 20000 a success.
    """
    code, sub_code = str(answer.get("code", "")), str(answer.get("sub_code") or "")
    if code == "10000" or (waiting and code == "10003"):
        return answer
    name = sub_code.rpartition(".")[2]
    if code in ("", "10003", "20000") or name in _UNDECIDED:
        raise _unknown(sub_code or code or "NO_CODE", str(answer.get("sub_msg", "")))
    reason = REASONS.get(name, REASONS.get(name.upper(), "other"))
    if code == "40006":
        reason = "no_right"
    raise ProviderError(
        "refused",
        sub_code or code,
        reason=reason,
        retryable=reason == "not_enough",
        detail=str(answer.get("sub_msg") or answer.get("msg") or ""),
    )


def _gateway_error(node: str | None, method: str) -> ProviderError:
    """The gateway turns a request away before any business, and then does not sign: only its
    statement that our own request is wrong (isv.*) counts, everything else is unknown."""
    answer = json.loads(node) if node else {}
    sub_code = str(answer.get("sub_code") or "") if isinstance(answer, dict) else ""
    if not sub_code.startswith("isv."):
        return _unknown(sub_code or "BAD_ANSWER", method)
    reason = REASONS.get(sub_code.removeprefix("isv."), "bad_request")
    return ProviderError("refused", sub_code, reason=reason, detail=method)


def _unknown(code: str, detail: str = "") -> ProviderError:
    return ProviderError("unknown", code, reason="busy", retryable=True, detail=detail)


def _sign(private_key: str, content: str, charset: str) -> str:
    return keys.sign(keys.private_key(private_key), content.encode(charset))


class _ShanghaiNow:
    """Stands in for `datetime.datetime` in the SDK, which would write the host's local time."""

    @staticmethod
    def now() -> datetime:
        return clock.wire_now().astimezone(clock.SHANGHAI)


def _install() -> None:
    """Replace the two module-level names the SDK's request building reads."""
    module = importlib.import_module("alipay.aop.api.DefaultAlipayClient")
    module.sign_with_rsa2 = _sign
    module.datetime = SimpleNamespace(datetime=_ShanghaiNow, timedelta=timedelta)


_install()
