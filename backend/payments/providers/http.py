"""One HTTP transport for both platforms: pooled connections, hard timeouts, no surprises.

The libraries' own transports open a TCP (and TLS) connection per call, follow redirects, read
~/.netrc or cannot speak to a port; here a platform is called over a kept connection, a redirect
is an answer like any other, and every failure to get an answer is `unknown`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
import structlog
from requests.adapters import HTTPAdapter

from backend.payments.providers.base import ProviderError

CONNECT_SECONDS = 3.0
READ_SECONDS = 8.0
_POOL = 32
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_log = structlog.get_logger(__name__)
_lock = threading.Lock()
_sessions: dict[tuple[int, bool], requests.Session] = {}


@dataclass(frozen=True)
class Reply:
    """A platform's HTTP answer, raw. Header names are lower case."""

    status: int
    headers: dict[str, str]
    content: bytes


def call(
    method: str,
    url: str,
    *,
    headers: Callable[[], Mapping[str, str]] | Mapping[str, str],
    body: bytes | None = None,
    timeout: float | None = None,
    label: str = "",
) -> Reply:
    """Send one request and return the answer whatever its status.

    headers: a mapping, or a function called anew for each try (signatures carry a nonce).
    timeout: seconds for connecting and for each read. A connection that broke before any answer
    is tried once more, since every call we make carries our own number and may be repeated.
    Raises ProviderError(unknown) when no answer came.
    """
    limits = (CONNECT_SECONDS, READ_SECONDS) if timeout is None else (timeout, timeout)
    for last in (False, True):
        try:
            return _send(method, url, headers() if callable(headers) else headers, body, limits)
        except requests.RequestException as error:
            if last or not _broke_early(error):
                raise _no_answer(error, label or method) from error
    raise AssertionError("unreachable")


def _send(method: str, url: str, headers: Mapping, body: bytes | None, limits: tuple) -> Reply:
    answer = _session(urlsplit(url).hostname in _LOOPBACK).request(
        method, url, headers=headers, data=body, timeout=limits, allow_redirects=False
    )
    lowered = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(answer.status_code, lowered, answer.content)


def _broke_early(error: requests.RequestException) -> bool:
    """A kept connection the platform had closed meanwhile; a timeout is never repeated."""
    return isinstance(error, requests.ConnectionError) and not isinstance(error, requests.Timeout)


def _no_answer(error: requests.RequestException, label: str) -> ProviderError:
    kind = type(error).__name__
    _log.warning("platform_no_answer", call=label, error=kind)
    return ProviderError("unknown", "NO_ANSWER", reason="busy", retryable=True, detail=kind)


def _session(loopback: bool) -> requests.Session:
    """One session per process (sockets must not be shared across a fork) and kind of host."""
    key = (os.getpid(), loopback)
    with _lock:
        if key not in _sessions:
            for other in [known for known in _sessions if known[0] != key[0]]:
                del _sessions[other]
            _sessions[key] = _new_session(loopback)
        return _sessions[key]


def _new_session(loopback: bool) -> requests.Session:
    session = requests.Session()
    session.trust_env = not loopback  # the machine's proxy is for the outside only
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_connections=8, pool_maxsize=_POOL, max_retries=0))
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = _leave_authorization  # otherwise requests overwrites ours from ~/.netrc
    return session


def _leave_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
