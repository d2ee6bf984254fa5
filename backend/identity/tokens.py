"""Log-in tokens: short signed statements of who somebody is, good for one face of the product.

HS256 and nothing else, one key per audience derived from SECRET_KEY, so that an owner's token is
not even readable by the steward API. `ver` is compared with the account's token_version on every
request: raising it there ends every token at once (role change, lost phone).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt

ALGORITHM = "HS256"
ISSUER = "jiaoqing"
OWNER, STEWARD = "owner", "steward"
LIFETIME = {OWNER: timedelta(days=7), STEWARD: timedelta(hours=12)}
_LONGEST = 1024
_REQUIRED = ["iss", "aud", "sub", "ver", "iat", "exp"]


@dataclass(frozen=True)
class Claims:
    """Whose token it is: id of the owner account or steward, and the token version it carries."""

    subject: int
    version: int


class BadToken(Exception):
    """Not a token of ours, of another audience, or expired."""


def issue(
    *, audience: str, subject: int, version: int, secret: str, now: datetime
) -> tuple[str, datetime]:
    """Return (token, instant of expiry) for `audience` OWNER or STEWARD; now: the wire clock."""
    expires = now.replace(microsecond=0) + LIFETIME[audience]
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "sub": str(subject),
        "ver": version,
        "iat": int(now.timestamp()),
        "exp": int(expires.timestamp()),
    }
    return jwt.encode(claims, _key(secret, audience), algorithm=ALGORITHM), expires


def read(token: str, *, audience: str, secret: str, now: datetime) -> Claims:
    """Return the claims of a valid token. Raises BadToken; says nothing about the reason."""
    if not token or len(token) > _LONGEST:
        raise BadToken("length")
    try:
        claims = jwt.decode(
            token,
            _key(secret, audience),
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=ISSUER,
            options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False},
        )
        subject, version, expires = claims["sub"], claims["ver"], claims["exp"]
    except jwt.PyJWTError as error:
        raise BadToken(type(error).__name__) from None
    if not (type(expires) is int and type(version) is int and str(subject).isascii()):
        raise BadToken("types")
    if now.timestamp() >= expires or not str(subject).isdigit():
        raise BadToken("expired")
    return Claims(int(subject), version)


def _key(secret: str, audience: str) -> bytes:
    return hmac.new(secret.encode(), b"token:" + audience.encode(), hashlib.sha256).digest()
