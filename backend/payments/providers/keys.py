"""RSA keys and signatures for both platforms: whatever spelling the key came in, one loader.

Merchants paste keys as PEM or as one bare base64 line, PKCS#1 or PKCS#8; all of these mean the
same key. Everything here is RSA with SHA-256 and PKCS#1 v1.5 padding (WECHATPAY2-SHA256-RSA2048
and Alipay RSA2); SHA-1 is not offered, so nothing can be talked down to it.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

_ARMOUR = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")
_MINIMUM_BITS = 2048


class BadKey(ValueError):
    """The text is not a usable RSA key; the message never repeats the text."""


@lru_cache(maxsize=256)
def private_key(text: str) -> RSAPrivateKey:
    """Load a private key from PEM or bare base64, PKCS#1 or PKCS#8. Raises BadKey."""
    try:
        key = load_der_private_key(_der(text), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("not an unencrypted RSA private key") from error
    return _checked(key, RSAPrivateKey)


@lru_cache(maxsize=256)
def public_key(text: str) -> RSAPublicKey:
    """Load a public key from PEM or bare base64 (SubjectPublicKeyInfo). Raises BadKey."""
    try:
        key = load_der_public_key(_der(text))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("not an RSA public key") from error
    return _checked(key, RSAPublicKey)


def certificate(text: str) -> tuple[str, RSAPublicKey]:
    """Load an X.509 certificate; return its serial (upper hex) and public key. Raises BadKey."""
    try:
        loaded = x509.load_der_x509_certificate(_der(text))
    except ValueError as error:
        raise BadKey("not an X.509 certificate") from error
    return f"{loaded.serial_number:X}", _checked(loaded.public_key(), RSAPublicKey)


def pkcs8_pem(key: RSAPrivateKey) -> str:
    """Return the key as PKCS#8 PEM, the only form the WeChat Pay client loads."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: RSAPublicKey) -> str:
    """Return the public key as SubjectPublicKeyInfo PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def sign(key: RSAPrivateKey, message: bytes) -> str:
    """Return the base64 RSA-SHA256 signature of the bytes."""
    return b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def verify(key: RSAPublicKey, message: bytes, signature: str) -> bool:
    """Tell whether the base64 signature is the key's over the bytes; never raises."""
    try:
        key.verify(b64decode(signature, validate=True), message, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _der(text: str) -> bytes:
    """Strip armour and white space; what is left must be base64."""
    try:
        return b64decode("".join(_ARMOUR.sub("", text).split()), validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadKey("not base64") from error


def _checked(key: object, kind: type) -> object:
    if not isinstance(key, kind):
        raise BadKey("not an RSA key")
    if key.key_size < _MINIMUM_BITS:
        raise BadKey(f"RSA key shorter than {_MINIMUM_BITS} bits")
    return key
