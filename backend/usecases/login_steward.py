"""A member of staff logs in with a password.

The account's row is locked while the password is checked, so that parallel guesses are counted
one by one. Failures of a login that does not exist are counted as well (in Redis, a hint only):
"locked" must not tell which logins exist.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import redis
from flask import current_app

from backend import audit, clock
from backend.db import db, transaction
from backend.errors import Refusal
from backend.estate.models import Company
from backend.identity import steward_auth
from backend.identity.models import Steward


@dataclass(frozen=True)
class LoggedIn:
    """Who logged in, as the token and the first page need it."""

    steward_id: int
    company_id: int
    name: str
    role: str
    company_name: str
    token_version: int


def login_steward(*, login: str, password: str) -> LoggedIn:
    """Check a password. Raises Refusal `login_failed` (401) or `login_locked` (429)."""
    now = clock.wire_now()
    refusal: Refusal | None = None
    with transaction():
        steward = steward_auth.lock_by_login(login)
        if steward is None:
            refusal = _unknown_login(login, password)
        elif steward_auth.is_locked(steward, now):
            refusal = steward_auth.login_locked()
        elif not steward_auth.matches(steward.password_hash, password):
            steward_auth.note_failure(steward, now)
            _audit(steward, "login_failed")
            refusal = steward_auth.login_failed()
        else:
            steward_auth.note_success(steward, password)
            _audit(steward, "login")
            found = _logged_in(steward)
    if refusal is not None:
        raise refusal
    return found


def _logged_in(steward: Steward) -> LoggedIn:
    company = db.session.get_one(Company, steward.company_id)
    return LoggedIn(
        steward_id=steward.id,
        company_id=steward.company_id,
        name=steward.name,
        role=steward.role,
        company_name=company.name,
        token_version=steward.token_version,
    )


def _audit(steward: Steward, action: str) -> None:
    audit.record(
        actor=f"steward:{steward.id}",
        action=action,
        object=f"steward:{steward.id}",
        at=clock.wire_now(),
        company_id=steward.company_id,
    )


def _unknown_login(login: str, password: str) -> Refusal:
    steward_auth.matches(None, password)
    if _count_unknown(login) > steward_auth.MAX_FAILURES:
        return steward_auth.login_locked()
    return steward_auth.login_failed()


def _count_unknown(login: str) -> int:
    """Count a try at a login nobody has; 1 when Redis is away (then it is never locked)."""
    url = current_app.config["SETTINGS"].redis_url
    if not url:
        return 1
    key = "login:unknown:" + hashlib.sha256(login.encode()).hexdigest()
    try:
        pipe = _redis(url).pipeline()
        pipe.incr(key)
        pipe.expire(key, int(steward_auth.LOCKED_FOR.total_seconds()), nx=True)
        return int(pipe.execute()[0])
    except redis.RedisError:
        return 1


@lru_cache(maxsize=4)
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=0.3, socket_connect_timeout=0.3)
