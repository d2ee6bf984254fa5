"""How a platform request is received: raw bytes, fault points, the request log.

``Sandbox`` ties the book, the faults and the notifier together; views reach it by ``here()``.
"""

from __future__ import annotations

import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Response, current_app, g, request

from .faults import INCOMING_KINDS, Faults
from .notifier import Notifier
from .state import Book, now_ms

DEFAULTS = {
    "time_factor": 0.01,
    "probe_rate": 0.1,
    "notify_timeout": 5.0,
    "refund_ms": 100,
    "receipt_ms": 50,
    "sms_daily_limit": 50,
    "serials": "public_key",
}


class Sandbox:
    """Book, faults, settings and notifier of one process."""

    def __init__(self, state_dir):
        self.book = Book(state_dir)
        self.faults = Faults()
        self.settings = dict(DEFAULTS)
        self.settings.update(self.book.tables["meta"].get("settings", {}).get("value", {}))
        self.requests: deque = deque(maxlen=20_000)
        self.counts: Counter = Counter()
        self.notifier = Notifier(self)


def here() -> Sandbox:
    """The sandbox of the running app."""
    return current_app.extensions["sandbox"]


def raw_target() -> str:
    """Path and query exactly as the client sent them (it signed these very characters)."""
    raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or ""
    if raw.startswith("http"):
        parts = urlsplit(raw)
        raw = parts.path + (f"?{parts.query}" if parts.query else "")
    return raw or request.full_path.rstrip("?")


def base_url() -> str:
    """Scheme and host under which the client reached us, without a final slash."""
    return request.host_url.rstrip("/")


def cut() -> Response:
    """Break the connection without an answer."""
    sock = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    return Response("", 502)


def guard(
    point: str, handle: Callable[[], Response], refuse: Callable[[str], Response], key: str = ""
) -> Response:
    """Run one platform operation under the faults of ``point`` and log it.

    ``refuse(code)`` answers in the platform's own error shape; code ``http_500`` is its 500.
    ``key`` is what the request is about (an order number, a phone) for the log and for ``match``.
    """
    box, started = here(), time.monotonic()
    text = key + " " + raw_target()
    hit = box.faults.strike(point, INCOMING_KINDS, text)
    entry = {"at": now_ms(), "point": point, "key": key, "faults": sorted(hit), "status": 0}
    box.requests.append(entry)
    box.counts[point] += 1
    if "delay" in hit:
        time.sleep(hit["delay"]["ms"] / 1000)
    if "drop" in hit:
        return cut()
    g.spoil, g.arrived_at = "bad_signature" in hit, entry["at"]
    if "http_500" in hit:
        answer = refuse("http_500")
    elif "code" in hit:
        answer = refuse(hit["code"]["code"])
    else:
        answer = handle()
    entry["status"], entry["ms"] = answer.status_code, int((time.monotonic() - started) * 1000)
    if "slow" in hit:
        time.sleep(hit["slow"]["ms"] / 1000)
    return cut() if "lose_reply" in hit else answer
