"""RSA keys and signatures of the sandbox, written apart from the product's on purpose."""

from __future__ import annotations

import base64
import secrets
import string
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

ALPHABET = string.ascii_letters + string.digits


def token(length: int) -> str:
    """A random string of letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_pair() -> tuple[str, str]:
    """A fresh RSA-2048 pair: (private PKCS#8 PEM, public SubjectPublicKeyInfo PEM)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def certificate(private_pem: str, *, name: str) -> tuple[str, str]:
    """A self-signed certificate over the key: (PEM, serial as upper-case hexadecimal)."""
    key = _private(private_pem)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(b"\x5e" + secrets.token_bytes(19), "big"))
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=5 * 365))
        .sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM).decode()
    return pem, f"{built.serial_number:040X}"


@lru_cache(maxsize=256)
def _private(pem: str):
    return serialization.load_pem_private_key(pem.encode(), None)


@lru_cache(maxsize=256)
def _public(pem: str):
    return serialization.load_pem_public_key(pem.encode())


def sign(private_pem: str, message: bytes) -> str:
    """RSA PKCS#1 v1.5 SHA-256 signature, base64."""
    raw = _private(private_pem).sign(message, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(raw).decode()


def verify(public_pem: str, message: bytes, signature_b64: str) -> bool:
    """Whether the signature is a SHA-256 one of ``message`` by that key; never raises."""
    try:
        raw = base64.b64decode(signature_b64, validate=True)
        _public(public_pem).verify(raw, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def spoil(signature_b64: str) -> str:
    """The same signature with one bit of its first byte turned: a bad one of the right shape."""
    raw = bytearray(base64.b64decode(signature_b64))
    raw[0] ^= 1
    return base64.b64encode(bytes(raw)).decode()
