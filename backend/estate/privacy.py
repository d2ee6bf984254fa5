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


class DataKey:
    """The key of one company, for many values at once."""

    def __init__(self, company_id: int, key: bytes) -> None:
        self._company = str(company_id).encode()
        self._cipher = AESGCM(key)
        self._blind = hashlib.sha256(b"blind" + key).digest()

    def encrypt(self, value: str) -> bytes:
        """Return nonce + ciphertext of a text."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, value.encode(), self._company)

    def decrypt(self, stored: bytes) -> str:
        """Return the text; raises cryptography's InvalidTag if it is not this company's."""
        return self._cipher.decrypt(
            bytes(stored[:NONCE]), bytes(stored[NONCE:]), self._company
        ).decode()

    def blind(self, value: str) -> bytes:
        """Return the blind index of a normalised value (exact search without reading)."""
        return hmac.new(self._blind, value.encode(), hashlib.sha256).digest()


def data_key(company_id: int) -> DataKey:
    """Return a company's unwrapped key: one look at the database, then any number of values."""
    wrapped = db.session.get_one(Company, company_id).data_key_wrapped
    return DataKey(company_id, _unwrap(current_app.config["SETTINGS"].data_key, bytes(wrapped)))


def encrypt(company_id: int, value: str) -> bytes:
    """Return nonce + ciphertext of a text under the company's data key."""
    return data_key(company_id).encrypt(value)


def decrypt(company_id: int, stored: bytes) -> str:
    """Return the text; raises cryptography's InvalidTag if it is not this company's."""
    return data_key(company_id).decrypt(stored)


def blind(company_id: int, value: str) -> bytes:
    """Return the blind index of a normalised value (exact search without reading)."""
    return data_key(company_id).blind(value)


def encrypt_json(company_id: int, value: dict[str, Any]) -> bytes:
    """Encrypt a settings document (merchant and app secrets)."""
    return encrypt(company_id, json.dumps(value, ensure_ascii=False))


def decrypt_json(company_id: int, stored: bytes) -> dict[str, Any]:
    """Decrypt a settings document."""
    return json.loads(decrypt(company_id, stored))
