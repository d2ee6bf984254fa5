"""Genuine WeChat Pay v3 payment notices by the thousand, signed with keys made for this run.

Each notice is its own event with its own order number, nonce, encryption and signature, exactly
as the platform sends them: header lines Wechatpay-*, an AEAD_AES_256_GCM resource. A signature
costs a millisecond, so they are made before the clock starts, on all cores.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from base64 import b64encode
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

AMOUNT_FEN = 12345
MCHID, APPID = "1900000109", "wxbench0000000000"
SERIAL = "PUB_KEY_ID_0119000001092026112200000000000001"


@dataclass(frozen=True)
class Platform:
    """The platform's signing key (PEM) and the merchant's 32-byte key that it encrypts with."""

    private_key_pem: str
    public_key_pem: str
    apiv3_key: str


def new_platform() -> Platform:
    """Make the keys of one run."""
    private, public = new_pair()
    return Platform(private, public, "b" * 32)


def new_pair() -> tuple[str, str]:
    """Return a fresh RSA-2048 pair as PEM: PKCS#8 and SubjectPublicKeyInfo."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def order_number(number: int) -> str:
    """Return the out_trade_no of the run's order `number`."""
    return f"JQBENCH{number:012d}"


def requests(platform: Platform, *, path: str, first: int, count: int) -> list[bytes]:
    """Return `count` complete HTTP requests for orders first, first + 1, …"""
    size = -(-count // (os.cpu_count() or 1))
    parts = [
        (platform, path, start, min(size, first + count - start))
        for start in range(first, first + count, size)
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(parts), mp_context=context) as pool:
        return [request for made in pool.map(_make, parts) for request in made]


def _make(part: tuple[Platform, str, int, int]) -> list[bytes]:
    platform, path, first, count = part
    key = load_pem_private_key(platform.private_key_pem.encode(), password=None)
    cipher = AESGCM(platform.apiv3_key.encode())
    return [_request(key, cipher, path, number) for number in range(first, first + count)]


def _request(key: rsa.RSAPrivateKey, cipher: AESGCM, path: str, number: int) -> bytes:
    body = json.dumps(_envelope(cipher, number), ensure_ascii=False).encode()
    timestamp, nonce = str(int(time.time())), f"{number:032d}"
    message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = b64encode(key.sign(message, padding.PKCS1v15(), SHA256())).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nWechatpay-Serial: {SERIAL}\r\n"
        f"Wechatpay-Timestamp: {timestamp}\r\nWechatpay-Nonce: {nonce}\r\n"
        f"Wechatpay-Signature: {signature}\r\n"
        "Wechatpay-Signature-Type: WECHATPAY2-SHA256-RSA2048\r\n\r\n"
    )
    return head.encode() + body


def _envelope(cipher: AESGCM, number: int) -> dict[str, object]:
    nonce, associated = f"{number:012d}", "transaction"
    content = json.dumps(_transaction(number), ensure_ascii=False).encode()
    sealed = cipher.encrypt(nonce.encode(), content, associated.encode())
    return {
        "id": f"EV-{number:032d}",
        "create_time": _now(),
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS",
        "summary": "支付成功",
        "resource": {
            "original_type": "transaction",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": b64encode(sealed).decode(),
            "associated_data": associated,
            "nonce": nonce,
        },
    }


def _transaction(number: int) -> dict[str, object]:
    return {
        "mchid": MCHID,
        "appid": APPID,
        "out_trade_no": order_number(number),
        "transaction_id": f"42000{number:023d}",
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
        "bank_type": "CMB_DEBIT",
        "attach": "",
        "success_time": _now(),
        "payer": {"openid": "oBench000000000000000000000"},
        "amount": {
            "total": AMOUNT_FEN,
            "payer_total": AMOUNT_FEN,
            "currency": "CNY",
            "payer_currency": "CNY",
        },
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
