"""Our own verifier for what WeChat Pay v3 sends us: callbacks and answers alike.

Nothing is parsed before it is verified, and verification reads the raw bytes. The order is
probe mark, serial, age, signature, then decryption: an unknown serial costs no key operation
and no network call (a client that goes looking for the certificate can be made to call out by
anybody). Good signature but failing decryption means *our* APIv3 key is out of date: 5xx, so
that the platform repeats it for a day (facts of the platform, traps 1, 2, 11, 13, 14).
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backend.money import require_fen
from backend.payments.providers import keys
from backend.payments.providers.base import BadNotice, Notice, RefundWord
from backend.payments.providers.values import rfc3339_time
from backend.payments.providers.wechatpay_account import Account, normal_serial

MAXIMUM_AGE_SECONDS = 300
PROBE_PREFIX = "WECHATPAY/SIGNTEST/"
SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"
REFUND_WORDS: dict[str, RefundWord] = {
    "SUCCESS": "succeeded",
    "CLOSED": "closed",
    "PROCESSING": "processing",
    "ABNORMAL": "abnormal",
}


def check_signature(
    platform: Mapping[str, RSAPublicKey],
    headers: Mapping[str, str],
    raw_body: bytes,
    now: datetime,
) -> None:
    """Verify `Wechatpay-*` headers over the raw body. Raises BadNotice; returns if genuine.

    platform: serial (see `normal_serial`) -> key. now: `clock.wire_now()`.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    serial, signature, timestamp, nonce = (
        lowered.get(f"wechatpay-{name}", "")
        for name in ("serial", "signature", "timestamp", "nonce")
    )
    if signature.startswith(PROBE_PREFIX):
        raise BadNotice("probe")
    key = platform.get(normal_serial(serial))
    if key is None:
        raise BadNotice("wrong_serial", serial[:64])
    if lowered.get("wechatpay-signature-type", SIGNATURE_TYPE) != SIGNATURE_TYPE:
        raise BadNotice("bad_signature", "unknown signature type")
    _check_age(timestamp, now)
    message = f"{timestamp}\n{nonce}\n".encode() + raw_body + b"\n"
    if not keys.verify(key, message, signature):
        raise BadNotice("bad_signature")


def decrypt_resource(apiv3_key: bytes, resource: Mapping[str, Any]) -> bytes:
    """Open an AEAD_AES_256_GCM resource; `associated_data` may be "" or absent.

    Raises BadNotice(undecryptable).
    """
    if resource.get("algorithm", "AEAD_AES_256_GCM") != "AEAD_AES_256_GCM":
        raise BadNotice("undecryptable", "unknown algorithm")
    try:
        return AESGCM(apiv3_key).decrypt(
            resource["nonce"].encode(),
            b64decode(resource["ciphertext"], validate=True),
            (resource.get("associated_data") or "").encode(),
        )
    except (InvalidTag, KeyError, ValueError, AttributeError, TypeError) as error:
        raise BadNotice("undecryptable", type(error).__name__) from error


def parse(account: Account, headers: Mapping[str, str], raw_body: bytes, now: datetime) -> Notice:
    """Verify, decrypt and read one callback. Raises BadNotice; see `base.Provider`."""
    check_signature(account.platform, headers, raw_body, now)
    envelope = _json_object(raw_body)
    resource = envelope.get("resource")
    if envelope.get("resource_type") != "encrypt-resource" or not isinstance(resource, dict):
        raise BadNotice("malformed", "no encrypted resource")
    content = _json_object(decrypt_resource(account.apiv3_key, resource))
    try:
        return _notice(envelope, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadNotice(
            "malformed", f"{type(error).__name__} in {envelope.get('event_type')}"
        ) from error


def _check_age(timestamp: str, now: datetime) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise BadNotice("bad_signature", "no timestamp")
    if abs(now.timestamp() - int(timestamp)) > MAXIMUM_AGE_SECONDS:
        raise BadNotice("stale", timestamp)


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadNotice("malformed", "not JSON") from error
    if not isinstance(value, dict):
        raise BadNotice("malformed", "not an object")
    return value


def _notice(envelope: dict, content: dict) -> Notice:
    event_type = envelope["event_type"]
    if event_type == "TRANSACTION.SUCCESS" and content["trade_state"] == "SUCCESS":
        return _payment(envelope, content)
    if event_type.startswith("REFUND."):
        return _refund(envelope, content)
    return Notice(
        kind="other",
        event_key=_key(envelope),
        event_type=event_type,
        out_trade_no=content.get("out_trade_no"),
        merchant_ids=merchant_ids(content),
        payload=content,
    )


def _payment(envelope: dict, content: dict) -> Notice:
    amount = content["amount"]
    return Notice(
        kind="payment",
        event_key=_key(envelope),
        event_type=envelope["event_type"],
        out_trade_no=_filled(content["out_trade_no"]),
        channel_txn=_filled(content["transaction_id"]),
        amount_fen=require_fen(amount["total"]),
        currency=amount.get("currency", "CNY"),
        paid_at=rfc3339_time(content["success_time"]),
        payer=payer_of(content),
        merchant_ids=merchant_ids(content),
        payload=content,
    )


def _refund(envelope: dict, content: dict) -> Notice:
    return Notice(
        kind="refund",
        event_key=_key(envelope),
        event_type=envelope["event_type"],
        out_trade_no=_filled(content["out_trade_no"]),
        out_refund_no=_filled(content["out_refund_no"]),
        channel_txn=content.get("transaction_id"),
        amount_fen=require_fen(content["amount"]["refund"]),
        refund_state=REFUND_WORDS.get(content["refund_status"], "unknown"),
        currency=content["amount"].get("currency", "CNY"),
        paid_at=rfc3339_time(content.get("success_time")),
        merchant_ids=merchant_ids(content),
        payload=content,
    )


def merchant_ids(content: Mapping[str, Any]) -> dict[str, str]:
    """Collect the account a message is about; service-provider names fold into the same keys."""
    found = {
        "appid": content.get("appid") or content.get("sp_appid"),
        "mchid": content.get("mchid") or content.get("sp_mchid"),
        "sub_mchid": content.get("sub_mchid"),
    }
    return {name: value for name, value in found.items() if value}


def payer_of(content: Mapping[str, Any]) -> str | None:
    """Return the payer's openid as seen by our own appid, if reported."""
    payer = content.get("payer") or {}
    return payer.get("openid") or payer.get("sp_openid")


def _key(envelope: dict) -> str:
    return _filled(envelope["id"])


def _filled(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("an identifier is missing")
    return value
