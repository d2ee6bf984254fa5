"""How a WeChat Pay v3 request is signed and its answer believed.

`wechatpayv3` builds paths and parameters; the part of it that talks (its `Core`) is replaced:
the bytes that are signed are the bytes that are sent, connections are kept, the call has a hard
timeout, the signature of an answer is checked by our own verifier against our own keys, and no
call is ever made that the product did not ask for (the library's own core looks for unknown
certificates over the network).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.core import Core
from wechatpayv3.type import RequestType

from backend import clock
from backend.payments.providers import http, keys
from backend.payments.providers.base import BadNotice, ProviderError
from backend.payments.providers.wechatpay_account import Account
from backend.payments.providers.wechatpay_notice import check_signature

SCHEME = "WECHATPAY2-SHA256-RSA2048"

_log = structlog.get_logger(__name__)
_timeout: ContextVar[float | None] = ContextVar("wechatpay_timeout", default=None)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Limit the calls made inside to this many seconds (None: the usual limits)."""
    token = _timeout.set(seconds)
    try:
        yield
    finally:
        _timeout.reset(token)


def request_message(method: str, path: str, timestamp: str, nonce: str, body: str) -> bytes:
    """Return the five lines that a request's signature covers (path with its query)."""
    return f"{method}\n{path}\n{timestamp}\n{nonce}\n{body}\n".encode()


def pay_sign(key: RSAPrivateKey, appid: str, timestamp: str, nonce: str, package: str) -> str:
    """Return `paySign` for wx.requestPayment (package `prepay_id=…`), signed with our own key."""
    return keys.sign(key, f"{appid}\n{timestamp}\n{nonce}\n{package}\n".encode())


def authorization(account: Account, method: str, path: str, body: str) -> str:
    """Return the Authorization header of one request, with a fresh nonce and the wire time."""
    timestamp, nonce = wire_timestamp(), new_nonce()
    signature = keys.sign(
        account.private_key, request_message(method, path, timestamp, nonce, body)
    )
    return (
        f'{SCHEME} mchid="{account.mchid}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{account.cert_serial}"'
    )


def wire_timestamp() -> str:
    """Return the real time as the platform's seconds text."""
    return str(int(clock.wire_now().timestamp()))


def new_nonce() -> str:
    """Return a fresh 32-character nonce."""
    return uuid.uuid4().hex.upper()


def client_for(account: Account, base_url: str) -> WeChatPay:
    """Return a `wechatpayv3` client whose calls go to base_url through `SignedCore`.

    The constructor makes no network call: a platform certificate is handed over as the public
    key it contains, named by its serial.
    """
    material = {
        "cert_serial_no": account.cert_serial,
        "private_key": keys.pkcs8_pem(account.private_key),
        "apiv3_key": account.apiv3_key.decode(),
        "public_key": keys.public_pem(account.platform[account.main_serial]),
        "public_key_id": account.main_serial,
    }
    client = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=account.mchid,
        appid=account.appid,
        partner_mode=account.sub_mchid is not None,
        **material,
    )
    client._core = SignedCore(account, base_url, mchid=account.mchid, **material)
    return client


class SignedCore(Core):
    """The library's core with our transport and verifier; `request` keeps its signature."""

    def __init__(self, account: Account, base_url: str, **material: Any) -> None:
        super().__init__(**material)
        self._account = account
        self._gate_way = base_url.rstrip("/")

    def request(
        self,
        path: str,
        method: RequestType = RequestType.GET,
        data: Any = None,
        skip_verify: bool = False,
        **_unused: Any,
    ) -> tuple[int, str | bytes]:
        """Send one signed request; return the status and the body (text where it is JSON).

        skip_verify: only for the statement file, which the platform does not sign. Raises
        ProviderError(unknown) when no believable answer came.
        """
        body = "" if data is None else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        reply = self._send(method.value, path, body)
        if not skip_verify:
            try:
                self._believe(reply)
            except _Probe:
                reply = self._send(method.value, path, body)
                self._believe(reply)
        is_json = "application/json" in reply.headers.get("content-type", "")
        return reply.status, reply.content.decode(errors="replace") if is_json else reply.content

    def _update_certificates(self) -> None:
        """Never ask the network for platform certificates."""

    def _send(self, method: str, path: str, body: str) -> http.Reply:
        return http.call(
            method,
            self._gate_way + path,
            headers=lambda: self._headers(method, path, body),
            body=body.encode() if body else None,
            timeout=_timeout.get(),
            label=f"wechatpay {method} {path.split('?')[0]}",
        )

    def _headers(self, method: str, path: str, body: str) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "jiaoqing/1",
            "Wechatpay-Serial": self._account.main_serial,
            "Authorization": authorization(self._account, method, path, body),
        }

    def _believe(self, reply: http.Reply) -> None:
        """A 2xx counts only with a good signature. The platform cannot sign what it refuses
        before it knows the caller (401), so a signature on other answers is checked if there."""
        if reply.status >= 300 and "wechatpay-signature" not in reply.headers:
            return
        try:
            check_signature(self._account.platform, reply.headers, reply.content, clock.wire_now())
        except BadNotice as bad:
            _log.info("wechatpay_answer_not_believed", reason=bad.reason, status=reply.status)
            kind = _Probe if bad.reason == "probe" else ProviderError
            raise kind(
                "unknown", "BAD_ANSWER_SIGNATURE", reason="busy", retryable=True, detail=bad.reason
            ) from bad


class _Probe(ProviderError):
    """The platform tested whether we verify; the same question now gets its real answer."""
