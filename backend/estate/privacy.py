"""Personal data at rest: one data key per company, wrapped by DATA_KEY, plus blind indexes (C57).

AES-256-GCM with a fresh nonce; the company id is bound in as associated data, so a ciphertext
copied to another company does not open. The blind index is an HMAC under a key derived from the
data key: equal values can be found, nothing can be read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import current_app

from backend.db import db
from backend.estate.models import Company

NONCE = 12


def _master() -> AESGCM:
    return AESGCM(base64.b64decode(current_app.config["SETTINGS"].data_key))


def new_wrapped_key() -> bytes:
    """Return a fresh data key wrapped by DATA_KEY, for a new company."""
    nonce = os.urandom(NONCE)
    return nonce + _master().encrypt(nonce, os.urandom(32), b"company-data-key")


@lru_cache(maxsize=64)
def _unwrap(master: str, wrapped: bytes) -> bytes:
    cipher = AESGCM(base64.b64decode(master))
    return cipher.decrypt(wrapped[:NONCE], wrapped[NONCE:], b"company-data-key")


def _data_key(company_id: int) -> bytes:
    wrapped = db.session.get_one(Company, company_id).data_key_wrapped
    return _unwrap(current_app.config["SETTINGS"].data_key, bytes(wrapped))


def encrypt(company_id: int, value: str) -> bytes:
    """Return nonce + ciphertext of a text under the company's data key."""
    nonce = os.urandom(NONCE)
    cipher = AESGCM(_data_key(company_id))
    return nonce + cipher.encrypt(nonce, value.encode(), str(company_id).encode())


def decrypt(company_id: int, stored: bytes) -> str:
    """Return the text; raises cryptography's InvalidTag if it is not this company's."""
    cipher = AESGCM(_data_key(company_id))
    return cipher.decrypt(
        bytes(stored[:NONCE]), bytes(stored[NONCE:]), str(company_id).encode()
    ).decode()


def blind(company_id: int, value: str) -> bytes:
    """Return the blind index of a normalised value (exact search without reading)."""
    key = hashlib.sha256(b"blind" + _data_key(company_id)).digest()
    return hmac.new(key, value.encode(), hashlib.sha256).digest()


def encrypt_json(company_id: int, value: dict[str, Any]) -> bytes:
    """Encrypt a settings document (merchant and app secrets)."""
    return encrypt(company_id, json.dumps(value, ensure_ascii=False))


def decrypt_json(company_id: int, stored: bytes) -> dict[str, Any]:
    """Decrypt a settings document."""
    return json.loads(decrypt(company_id, stored))
