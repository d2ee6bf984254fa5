"""Aliyun's ACS3-HMAC-SHA256 request signature, checked as the gateway does."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from datetime import UTC, datetime
from urllib.parse import quote

from flask import request

from .web import here

ALGORITHM = "ACS3-HMAC-SHA256"
_seen: dict[str, float] = {}
_seen_lock = threading.Lock()


class Problem(Exception):
    """An error of the gateway: HTTP status, Code, Message."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def authenticate() -> dict:
    """The SMS account that signed the present request. Raises Problem."""
    header = request.headers.get("Authorization", "")
    found = re.fullmatch(
        rf"{ALGORITHM} Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]+)", header
    )
    if not found:
        raise Problem(400, "MissingAuthorization", "Authorization is mandatory for this action.")
    accounts = [a for a in here().book.rows("sms") if a["access_key_id"] == found[1]]
    if not accounts:
        raise Problem(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    _check_time()
    body_hash = hashlib.sha256(request.get_data()).hexdigest()
    if request.headers.get("x-acs-content-sha256") != body_hash:
        raise Problem(400, "ContentSHA256Mismatch", "The body does not match its hash.")
    names = found[2].split(";")
    if not {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date"} <= set(names):
        raise Problem(400, "IncompleteSignature", "Headers are missing in SignedHeaders.")
    headers = "".join(f"{n}:{request.headers.get(n, '').strip()}\n" for n in names)
    text = "\n".join([request.method, "/", _query(), headers, found[2], body_hash])
    wanted = f"{ALGORITHM}\n{hashlib.sha256(text.encode()).hexdigest()}"
    secret = accounts[0]["access_key_secret"].encode()
    proof = hmac.new(secret, wanted.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(proof, found[3]):
        raise Problem(400, "SignatureDoesNotMatch", "Specified signature is not matched.")
    _check_nonce(request.headers.get("x-acs-signature-nonce", ""))
    return accounts[0]


def _query() -> str:
    pairs = sorted(request.args.items(multi=True))
    return "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in pairs)


def _check_time() -> None:
    try:
        text = request.headers.get("x-acs-date", "")
        sent = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Problem(400, "InvalidTimeStamp.Format", "x-acs-date is malformed.") from None
    if abs(time.time() - sent.timestamp()) > 900:
        raise Problem(400, "InvalidTimeStamp.Expired", "Specified time stamp is expired.")


def _check_nonce(nonce: str) -> None:
    now = time.time()
    with _seen_lock:
        if nonce and now - _seen.get(nonce, 0) < 900:
            raise Problem(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        if len(_seen) > 100_000:
            for old in [n for n, at in _seen.items() if now - at > 900]:
                del _seen[old]
        _seen[nonce] = now
