"""The point of no return of a vendor call, and what a broken connection proves.

A call runs on its own thread because a socket timeout bounds one read, not the whole call, and
the caller holds a lock. When the caller stops waiting it must know whether the request may still
be written; when a connection breaks it must know whether the request had been.
"""

from __future__ import annotations

import os
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import requests
import urllib3

from backend import clock

Next = Literal["next_channel", "retry", "stop"]
_WORKERS = 8
_LEAST_SECONDS = 0.05


class NotSent(Exception):
    """Nothing was handed to the vendor: the attempt ended before its request was written."""

    def __init__(self, code: str, reason_zh: str, *, next: Next = "retry") -> None:  # noqa: A002
        super().__init__(code)
        self.code = code
        self.reason_zh = reason_zh
        self.next: Next = next


class Attempt:
    """The one point of no return of a call that runs on its own thread.

    `begin_write` (worker) and `abandon` (the waiting caller) exclude each other: after `abandon`
    returned True the request will not be written, however late the worker wakes up.
    """

    def __init__(self, *, seconds: float, start_within: float | None = None) -> None:
        self._lock = threading.Lock()
        self._state = "open"
        now = clock.monotonic()
        self._ends = now + seconds
        self._starts_by = now + (seconds if start_within is None else min(seconds, start_within))

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, at least 0.05 so that a socket timeout stays valid."""
        return max(_LEAST_SECONDS, self._ends - clock.monotonic())

    @property
    def over(self) -> bool:
        """Tell whether the deadline has come (the least a socket may wait is part of it)."""
        return self._ends - clock.monotonic() < _LEAST_SECONDS

    def begin_write(self) -> None:
        """Pass the point of no return. Raises NotSent if the caller gave up before."""
        with self._lock:
            if self._state == "abandoned" or clock.monotonic() >= self._starts_by:
                self._state = "abandoned"
                raise NotSent("timeout_before_send", "超时，消息尚未发出。")
            self._state = "writing"

    def take_back(self) -> None:
        """Step back before the point of no return: the vendor definitely refused the request."""
        with self._lock:
            if self._state == "writing":
                self._state = "open"

    def abandon(self) -> bool:
        """Give up waiting. True: nothing was or will be written; False: it may have been."""
        with self._lock:
            if self._state == "open":
                self._state = "abandoned"
            return self._state == "abandoned"


_NOT_WRITTEN = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidURL,
    ssl.SSLCertVerificationError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
)


def is_not_written(error: BaseException | None) -> bool:
    """Walk the causes of a requests/urllib3 error for one that happens before writing."""
    seen: set[int] = set()
    queue: list[Any] = [error]
    while queue:
        item = queue.pop()
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, _NOT_WRITTEN):
            return True
        inner = [getattr(item, name, None) for name in ("reason", "inner_exception")]
        queue += [item.__cause__, item.__context__, *inner, *item.args]
    return False


_pools: dict[int, ThreadPoolExecutor] = {}
_pools_lock = threading.Lock()


def pool() -> ThreadPoolExecutor:
    """Return this process's threads: a pool does not survive a fork, so it is kept by pid."""
    with _pools_lock:
        pid = os.getpid()
        if pid not in _pools:
            _pools.clear()
            _pools[pid] = ThreadPoolExecutor(_WORKERS, thread_name_prefix="channel")
        return _pools[pid]
