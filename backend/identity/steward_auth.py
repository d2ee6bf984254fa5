"""Staff passwords: argon2 hashes, five wrong ones lock the account for a quarter of an hour.

An unknown login costs the same time as a wrong password and gets the same answer, so that nobody
learns who works here. Rights are the role's (`ROLES`) and, for a steward, the assigned buildings
(`backend.identity.scope`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from backend.db import db
from backend.errors import Refusal
from backend.identity.models import Steward

MAX_FAILURES = 5
LOCKED_FOR = timedelta(minutes=15)
MIN_PASSWORD, MAX_PASSWORD = 10, 128

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password. Raises Refusal `password_too_weak` (422)."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD or len(set(password)) < 5:
        raise Refusal(
            "password_too_weak",
            message="password too short or too simple",
            message_zh=f"密码须为 {MIN_PASSWORD}–{MAX_PASSWORD} 位，且不能只有几个重复字符。",
            http=422,
            fields={"password": "过短或过于简单"},
        )
    return _hasher.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Tell whether the password belongs to the hash; without one, spend the same time on none."""
    try:
        _hasher.verify(password_hash or _nobody(), password[: MAX_PASSWORD + 1])
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher.hash("nobody has this password")


def lock_by_login(login: str) -> Steward | None:
    """Return the active member of staff with this login, locked, or None."""
    return db.session.scalar(
        db.select(Steward)
        .where(Steward.login == login, Steward.active.is_(True))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def note_failure(steward: Steward, now: datetime) -> None:
    """Count a wrong password; the fifth locks the account (now: real instant)."""
    if steward.locked_until is not None and steward.locked_until <= now:
        steward.failed_logins, steward.locked_until = 0, None
    steward.failed_logins += 1
    if steward.failed_logins >= MAX_FAILURES:
        steward.locked_until = now + LOCKED_FOR


def note_success(steward: Steward, password: str) -> None:
    """Forget earlier failures; renew the hash when its parameters have become too weak."""
    steward.failed_logins, steward.locked_until = 0, None
    if _hasher.check_needs_rehash(steward.password_hash):
        steward.password_hash = _hasher.hash(password)


def is_locked(steward: Steward, now: datetime) -> bool:
    """Tell whether the account is locked at a real instant."""
    return steward.locked_until is not None and steward.locked_until > now


def login_failed() -> Refusal:
    """Return the one answer to a wrong login, a wrong password and an inactive account."""
    return Refusal(
        "login_failed",
        message="wrong login or password",
        message_zh="登录名或密码不正确。",
        http=401,
        what_to_do="请核对后重试；连续 5 次错误将锁定 15 分钟。",
    )


def login_locked() -> Refusal:
    """Return the answer while an account (existing or not) is locked."""
    return Refusal(
        "login_locked",
        message="too many wrong passwords",
        message_zh="密码连续错误次数过多，该登录名已锁定 15 分钟。",
        http=429,
        what_to_do="请 15 分钟后再试，或请管理员重置密码。",
    )
