"""WeChat Pay v3 on the wire: request authorization, signed answers, encrypted callbacks."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Response, g, request

from . import keys
from .accounts import merchant_by
from .state import rfc3339
from .web import Sandbox, guard, here, raw_target

SIGN_TYPE = "WECHATPAY2-SHA256-RSA2048"
STATUS = {
    "SIGN_ERROR": 401, "ORDER_NOT_EXIST": 404, "RESOURCE_NOT_EXISTS": 404, "NO_AUTH": 403,
    "OUT_TRADE_NO_USED": 403, "RULE_LIMIT": 403, "NOT_ENOUGH": 403, "TRADE_ERROR": 403,
    "FREQUENCY_LIMITED": 429, "RATELIMIT_EXCEEDED": 429, "SYSTEM_ERROR": 500,
}  # fmt: skip


class Problem(Exception):
    """A business refusal: its code and message go to the merchant."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code, self.message = code, message


def serve(point: str, handle: Callable[[dict], Response], key: str = "") -> Response:
    """Authenticate the merchant, run ``handle(merchant)`` under the faults of ``point``, sign."""
    g.merchant = None

    def run() -> Response:
        try:
            g.merchant = authenticate()
            return handle(g.merchant)
        except Problem as problem:
            return refuse(problem.code, problem.message)

    return guard(f"wechatpay.{point}", run, refuse, key)


def authenticate() -> dict:
    """The merchant whose key signed this request. Raises Problem SIGN_ERROR."""
    header = request.headers.get("Authorization", "")
    if not header.startswith(SIGN_TYPE + " "):
        raise Problem("SIGN_ERROR", "Http头Authorization认证类型不正确")
    parts = dict(re.findall(r'(\w+)="([^"]*)"', header))
    merchant = merchant_by(here().book, mchid=parts.get("mchid", ""))
    if merchant is None:
        raise Problem("SIGN_ERROR", "商户号不存在")
    if parts.get("serial_no") != merchant["cert_serial"]:
        raise Problem("SIGN_ERROR", "商户证书序列号有误")
    stamp = parts.get("timestamp", "")
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > 300:
        raise Problem("SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟")
    body = request.get_data().decode("utf-8", "replace")
    lines = [request.method, raw_target(), stamp, parts.get("nonce_str", ""), body, ""]
    message = "\n".join(lines).encode()
    if not keys.verify(merchant["merchant_public_pem"], message, parts.get("signature", "")):
        raise Problem("SIGN_ERROR", "签名错误，请检查后再试")
    return merchant


def refuse(code: str, message: str = "") -> Response:
    """An error answer; the HTTP status follows from the code."""
    code = "SYSTEM_ERROR" if code == "http_500" else code
    body = {"code": code, "message": message or "系统异常，请稍后重试"}
    return answer(body, STATUS.get(code, 400))


def answer(body: dict | None, status: int = 200) -> Response:
    """A JSON answer (204 without a body), signed if the merchant is known."""
    text = "" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    response = Response(text, status, mimetype="application/json")
    response.headers["Request-ID"] = keys.token(32).upper()
    merchant = g.get("merchant")
    if merchant:
        wanted = request.headers.get("Wechatpay-Serial", "")
        kind = "certificate" if wanted == merchant["certificate_serial"] else "public_key"
        if not wanted and here().settings["serials"] == "certificate":
            kind = "certificate"
        response.headers.update(signed_headers(merchant, text, kind, spoil=g.get("spoil", False)))
    return response


def signed_headers(merchant: dict, body: str, kind: str, *, spoil: bool = False) -> dict:
    """The Wechatpay-* headers over ``body`` by the platform's key or certificate."""
    stamp, nonce = str(int(time.time())), keys.token(32)
    signature = keys.sign(_platform_key(merchant, kind), f"{stamp}\n{nonce}\n{body}\n".encode())
    serial = merchant["public_key_id" if kind == "public_key" else "certificate_serial"]
    return {
        "Wechatpay-Timestamp": stamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature": keys.spoil(signature) if spoil else signature,
        "Wechatpay-Signature-Type": SIGN_TYPE,
    }


def _platform_key(merchant: dict, kind: str) -> str:
    return merchant["platform_private_pem" if kind == "public_key" else "certificate_private_pem"]


def encrypt(merchant: dict, plaintext: str, associated: str) -> dict:
    """AES-256-GCM under the merchant's APIv3 key, as the ``resource`` of a callback."""
    nonce = keys.token(12)
    sealed = AESGCM(merchant["apiv3_key"].encode()).encrypt(
        nonce.encode(), plaintext.encode(), associated.encode()
    )
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(sealed).decode(),
        "nonce": nonce,
        "associated_data": associated,
    }


def notify(box: Sandbox, merchant: dict, url: str, event: str, plain: dict, **about) -> None:
    """Queue an encrypted callback of ``event`` (TRANSACTION.SUCCESS, REFUND.SUCCESS ...)."""
    original = "transaction" if event.startswith("TRANSACTION") else "refund"
    number = f"EV-{box.book.number(19)}"
    resource = encrypt(merchant, json.dumps(plain, ensure_ascii=False), original)
    body = {
        "id": number,
        "create_time": rfc3339(box.book.business_ms()),
        "resource_type": "encrypt-resource",
        "event_type": event,
        "summary": {"TRANSACTION.SUCCESS": "支付成功", "REFUND.SUCCESS": "退款成功"}.get(
            event, "退款异常"
        ),
        "resource": {"original_type": original, **resource},
    }
    box.notifier.send(
        point="wechatpay.notify" if original == "transaction" else "wechatpay.refund_notify",
        ladder="wechatpay", url=url, body=json.dumps(body, ensure_ascii=False),
        channel="wechatpay", merchant=merchant["name"], event=event, event_id=number, **about,
    )  # fmt: skip


def sign_callback(box: Sandbox, row: dict, *, kind: str) -> tuple[str, dict, str]:
    """URL, headers and body of one attempt; the signature is made at the time of sending."""
    merchant = box.book.get("merchants", row["about"]["merchant"])
    serials = box.settings["serials"]
    if serials == "mix":  # a merchant switching from certificate to key gets both
        serials = "certificate" if int(box.book.number(2)) % 2 else "public_key"
    headers = signed_headers(merchant, row["body"], serials, spoil=kind == "spoiled")
    if kind == "probe":
        headers["Wechatpay-Signature"] = "WECHATPAY/SIGNTEST/" + keys.token(300) + "=="
    headers |= {"Content-Type": "application/json", "User-Agent": "Mozilla/4.0"}
    return row["url"], headers, row["body"]


def accepts(status: int, _answer: bytes) -> bool:
    return status in (200, 204)
