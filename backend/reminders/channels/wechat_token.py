"""The access token of a WeChat app: fetched once for all processes, never fought over.

`stable_token` in normal mode is idempotent: asking twice gives the same token. So the lock is an
economy, not a safety: with Redis gone every process simply asks the platform itself.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
import structlog
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import LockError, RedisError
from redis.lock import Lock
from redis.retry import Retry

from backend import clock
from backend.reminders.channels.attempt import NotSent
from backend.reminders.channels.wechat_app import WechatApp

log = structlog.get_logger(__name__)

# Ours to repair (secret, IP list): nothing can be sent until somebody did.
SET_UP_ERRORS = {
    "40013": "AppID 无效",
    "40125": "AppSecret 无效",
    "40164": "服务器 IP 不在公众平台白名单",
    "40243": "AppSecret 已被冻结",
    "50004": "禁止使用 token 接口",
    "50007": "账号已冻结",
}
_MARGIN = 200  # seconds before expiry at which the platform already hands out the next token
_REDIS_SECONDS = 0.3  # a message waits at most this long for a cache
_REDIS_PAUSE = 5  # seconds a cache that failed is left alone
_FORCE_PAUSE = 60  # seconds; the platform allows 20 forced refreshes a day, 30 s apart


class TokenProvider:
    """Hands out the app's access token. Thread-safe; build one per app and process.

    redis: the product's client, or None; used through connections of its own that neither wait
    nor retry. Tokens are kept under `wechat:token:<appid>` with the platform's own lifetime.
    """

    def __init__(self, *, app: WechatApp, redis: Redis | None, api_base: str) -> None:
        self._app = app
        self._redis = _impatient(redis) if redis is not None else None
        self._redis_rests_until = 0.0
        self._url = f"{api_base}/cgi-bin/stable_token"
        self._key = f"wechat:token:{app.appid}"
        self._http = requests.Session()
        self._memory: tuple[str, float] | None = None
        self._may_force_at = 0.0
        self._mutex = threading.Lock()

    def get(self, *, timeout: float = 2.0) -> str:
        """Return a token believed valid. Raises NotSent when none can be had in time."""
        return self._known() or self._refresh(bad=None, timeout=timeout)

    def replace(self, bad: str, *, timeout: float = 2.0) -> str:
        """Return another token after the platform refused `bad`. Raises NotSent.

        The platform's normal answer comes first; only if it repeats the refused token is a new
        one forced, at most once a minute for all processes.
        """
        return self._refresh(bad=bad, timeout=timeout)

    def _known(self, *, bad: str | None = None) -> str | None:
        token = self._from_redis() or self._from_memory()
        return token if token and token != bad else None

    def _cache(self, use: Callable[[Redis], Any]) -> Any:
        """Use Redis if it is there; None when it is not, and for a few seconds after it failed."""
        if self._redis is None or clock.monotonic() < self._redis_rests_until:
            return None
        try:
            return use(self._redis)
        except RedisError as error:
            self._redis_rests_until = clock.monotonic() + _REDIS_PAUSE
            log.info("token_cache_gone", appid=self._app.appid, error=type(error).__name__)
            return None

    def _from_redis(self) -> str | None:
        raw = self._cache(lambda redis: redis.get(self._key))
        try:
            return json.loads(raw)["token"] if raw else None
        except (ValueError, KeyError, TypeError):
            return None

    def _from_memory(self) -> str | None:
        memory = self._memory
        return memory[0] if memory and memory[1] > clock.monotonic() else None

    def _refresh(self, *, bad: str | None, timeout: float) -> str:
        ends = clock.monotonic() + timeout
        with self._mutex, self._locked(wait=timeout / 2):
            known = self._known(bad=bad)
            if known:  # another process or thread was faster
                return known
            token, seconds = self._fetch(force=False, ends=ends)
            if token == bad and self._may_force():
                token, seconds = self._fetch(force=True, ends=ends)
            self._remember(token, seconds)
            return token

    @contextmanager
    def _locked(self, *, wait: float) -> Iterator[None]:
        """Hold the refresher's lock if it can be had; go on without it otherwise."""
        lock = self._cache(lambda redis: self._take_lock(redis, wait))
        try:
            yield
        finally:
            if lock is not None:
                try:
                    lock.release()
                except (LockError, RedisError):
                    log.info("token_lock_lost", appid=self._app.appid)

    def _take_lock(self, redis: Redis, wait: float) -> Lock | None:
        lock = redis.lock(f"{self._key}:lock", timeout=5, sleep=0.02, blocking_timeout=wait)
        return lock if lock.acquire() else None

    def _may_force(self) -> bool:
        """Once a minute for all processes; a process without Redis counts for itself."""
        if clock.monotonic() < self._may_force_at:
            return False
        self._may_force_at = clock.monotonic() + _FORCE_PAUSE
        taken = self._cache(
            lambda redis: redis.set(f"{self._key}:forced", "1", nx=True, ex=_FORCE_PAUSE) or "taken"
        )
        return taken != "taken"

    def _fetch(self, *, force: bool, ends: float) -> tuple[str, int]:
        left = ends - clock.monotonic()
        if left <= 0:
            raise NotSent("token_timeout", "获取微信 access_token 超时，消息未发出。")
        body = {
            "grant_type": "client_credential",
            "appid": self._app.appid,
            "secret": self._app.secret,
            "force_refresh": force,
        }
        try:
            response = self._http.post(self._url, json=body, timeout=left)
            answer = response.json()
        except (requests.RequestException, ValueError) as error:
            log.warning("token_unreachable", appid=self._app.appid, error=type(error).__name__)
            raise NotSent("token_unreachable", "无法取得微信 access_token。") from None
        return self._read(answer)

    def _read(self, answer: Any) -> tuple[str, int]:
        if isinstance(answer, dict) and answer.get("access_token"):
            return str(answer["access_token"]), int(answer.get("expires_in", 7200))
        code = str(answer.get("errcode", "?")) if isinstance(answer, dict) else "?"
        log.warning("token_refused", appid=self._app.appid, code=code)
        if code in SET_UP_ERRORS:
            raise NotSent(f"token_{code}", f"微信配置有误：{SET_UP_ERRORS[code]}。", next="stop")
        raise NotSent(f"token_{code}", "微信暂时不发放 access_token。")

    def _remember(self, token: str, seconds: int) -> None:
        keep = seconds - _MARGIN if seconds > 2 * _MARGIN else max(1, seconds // 2)
        self._memory = (token, clock.monotonic() + keep)
        self._cache(lambda redis: redis.set(self._key, json.dumps({"token": token}), ex=keep))


def _impatient(redis: Redis) -> Redis:
    """Return a client of the same server that fails fast: a message under a lock is waiting."""
    pool = redis.connection_pool
    kwargs = pool.connection_kwargs | {
        "socket_timeout": _REDIS_SECONDS,
        "socket_connect_timeout": _REDIS_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **kwargs))
