"""Delivering callbacks, receipts and events: a heap of due times and a pool of threads.

A delivery is a journaled row, so a restart carries on. Its headers are made anew at each attempt
(platforms sign with the time of sending); each attempt leaves a row in ``notifies``.
"""

from __future__ import annotations

import heapq
import http.client
import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .faults import OUTGOING_KINDS
from .state import now_ms

if TYPE_CHECKING:
    from .web import Sandbox

LADDERS = {
    "wechatpay": [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600] + [10800] * 3 + [21600] * 2,
    "alipay": [240, 600, 600, 3600, 7200, 21600, 54000],
    "aliyun": [60, 300, 600],
    "wechat": [5, 5],
}
THREADS = 24


def post(url: str, body: bytes, headers: dict, timeout: float) -> tuple[int, bytes]:
    """One POST on a fresh connection, no redirects: (status, first 2,000 bytes of the answer)."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    link = kind(parts.hostname, parts.port, timeout=timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        link.request("POST", target, body=body, headers={**headers, "Connection": "close"})
        answer = link.getresponse()
        return answer.status, answer.read(2000)
    finally:
        link.close()


class Notifier:
    """Runs deliveries and small timed actions; started once by ``start()``."""

    def __init__(self, box: Sandbox):
        self.box = box
        self.signers: dict[str, Callable] = {}
        self.accepts: dict[str, Callable] = {}
        self._due: list = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._rng = random.Random(20261121)
        self._age = 0

    def start(self) -> None:
        """Start the threads and take up deliveries left over from before a restart."""
        for row in self.box.book.rows("deliveries"):
            if not row["done"]:
                self.at(max(0.0, row["next_at"] / 1000 - time.time()), self._attempt, row["id"])
        for _ in range(THREADS):
            threading.Thread(target=self._run, daemon=True).start()

    def clear(self) -> None:
        """Forget everything that waits (used by reset)."""
        with self._wake:
            self._age += 1
            self._due.clear()

    def at(self, delay: float, action: Callable, *args) -> None:
        """Run ``action(*args)`` after ``delay`` seconds on a pool thread."""
        with self._wake:
            item = (time.monotonic() + delay, next(self._order), self._age, action, args)
            heapq.heappush(self._due, item)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._due or self._due[0][0] > time.monotonic():
                    wait = self._due[0][0] - time.monotonic() if self._due else None
                    self._wake.wait(wait)
                _, _, age, action, args = heapq.heappop(self._due)
                if self._due:
                    self._wake.notify()
            if age != self._age:
                continue
            try:
                action(*args)
            except Exception as error:  # a broken action must not cost a pool thread
                print(f"sandbox notifier: {type(error).__name__}: {error}", flush=True)

    # --- deliveries -------------------------------------------------------------------------
    def send(self, *, point: str, ladder: str, url: str, body: str, delay: float = 0, **about):
        """Queue a delivery; ``about`` (out_trade_no, merchant, event ...) is kept in the book."""
        if not url:
            return None
        book = self.box.book
        with book.lock:
            number = f"n{book.seq + 1}"
            row = {
                "id": number, "point": point, "ladder": ladder, "url": url, "body": body,
                "about": about, "attempt": 0, "done": False, "next_at": now_ms(),
                "created_at": now_ms(),
            }  # fmt: skip
            book.put("deliveries", number, row)
        self.at(delay, self._attempt, number)
        return number

    def _attempt(self, number: str) -> None:
        row = self.box.book.get("deliveries", number)
        if row is None or row["done"]:
            return
        hit = self.box.faults.strike(row["point"], OUTGOING_KINDS, f"{row['url']} {row['about']}")
        pause = hit["delay"]["ms"] if "delay" in hit else 0
        if "reorder" in hit:
            pause += hit["reorder"]["ms"] * hit["reorder"]["dice"]
        if pause:
            self.at(pause / 1000, self._attempt_now, row, hit)
        else:
            self._attempt_now(row, hit)

    def _attempt_now(self, row: dict, hit: dict) -> None:
        if row["attempt"] == 0 and row["ladder"] == "wechatpay":
            if self._rng.random() < self.box.settings["probe_rate"]:
                self.deliver(row, kind="probe")
        if "duplicate" in hit:
            wait = hit["duplicate"]["ms"] / 1000 * hit["duplicate"]["dice"]
            self.at(wait, self.deliver, row, "duplicate")
        if "drop" in hit:
            good = self._record(row, kind="dropped")["ok"]
        else:
            kind = "spoiled" if "bad_signature" in hit else "genuine"
            good = self.deliver(row, kind=kind)["ok"] and "lose_reply" not in hit
        self._plan_next(row, good)

    def _plan_next(self, row: dict, good: bool) -> None:
        book, ladder = self.box.book, LADDERS[row["ladder"]]
        wait = 0.0
        with book.lock:
            if row["id"] not in book.tables["deliveries"]:
                return
            row["attempt"] += 1
            row["ok"] = good
            row["done"] = good or row["attempt"] > len(ladder)
            if not row["done"]:
                wait = ladder[row["attempt"] - 1] * self.box.settings["time_factor"]
                row["next_at"] = now_ms() + int(wait * 1000)
            book.put("deliveries", row["id"], row)
        if not row["done"]:
            self.at(wait, self._attempt, row["id"])

    def deliver(self, row: dict, kind: str = "resend") -> dict:
        """Send one delivery now and keep what was sent and answered; returns its book row.

        ``kind``: genuine, duplicate, resend, spoiled (bad signature) or probe (signature test).
        """
        url, headers, body = self.signers[row["ladder"]](row, kind=kind)
        started, status, answer, error, at = time.monotonic(), 0, b"", "", now_ms()
        try:
            timeout = self.box.settings["notify_timeout"]
            status, answer = post(url, body.encode(), headers, timeout)
        except (OSError, http.client.HTTPException) as problem:
            error = f"{type(problem).__name__}: {problem}"
        good = not error and self.accepts[row["ladder"]](status, answer)
        return self._record(
            row, kind=kind, at=at, ms=int((time.monotonic() - started) * 1000), ok=good,
            status=status, answer=answer[:300].decode("utf-8", "replace"), error=error,
            url=url, headers=headers, body=body,
        )  # fmt: skip

    def _record(self, row: dict, **seen) -> dict:
        entry = {
            "delivery": row["id"], "point": row["point"], "attempt": row["attempt"] + 1,
            "at": now_ms(), "ok": False, "status": 0, **seen, **row["about"],
        }  # fmt: skip
        book = self.box.book
        with book.lock:
            entry["id"] = f"t{book.seq + 1}"
            if row["id"] in book.tables["deliveries"]:
                book.put("notifies", entry["id"], entry)
        return entry
