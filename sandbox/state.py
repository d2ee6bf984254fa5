"""The sandbox's memory: tables of plain dict rows, and the journal that brings them back.

Every change writes the whole row as one JSON line; a restart replays the lines in order, so the
last one wins. Times named ``*_at`` are integer milliseconds since the epoch on the real clock.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

CHINA = timezone(timedelta(hours=8))
LASTING = ("merchants", "apps", "sms", "people", "meta")
PASSING = (
    "orders", "refunds", "tickets", "messages", "deliveries", "notifies", "grants", "codes",
    "tokens",
)  # fmt: skip


def now_ms() -> int:
    """Milliseconds since the epoch, real clock."""
    return int(time.time() * 1000)


def china_time(ms: int) -> datetime:
    """The instant ``ms`` as an aware datetime in Asia/Shanghai."""
    return datetime.fromtimestamp(ms / 1000, CHINA)


def rfc3339(ms: int) -> str:
    """``2026-11-21T10:00:00+08:00``, as WeChat Pay writes times."""
    return china_time(ms).isoformat(timespec="seconds")


def plain_time(ms: int) -> str:
    """``2026-11-21 10:00:00`` in Asia/Shanghai, as Alipay and Aliyun write times."""
    return china_time(ms).strftime("%Y-%m-%d %H:%M:%S")


class Book:
    """Tables of rows under one lock, journaled to ``<state_dir>/journal.jsonl``."""

    def __init__(self, state_dir: Path):
        self.lock = threading.RLock()
        self.dir = Path(state_dir)
        self.dir.mkdir(parents=True, exist_ok=True)
        self._hold_directory()
        self.tables: dict[str, dict] = {name: {} for name in LASTING + PASSING}
        self.seq = 0
        self._clear_indexes()
        path = self.dir / "journal.jsonl"
        self._replay(path)
        self._journal = open(path, "ab", buffering=0)
        if "secret" not in self.tables["meta"]:
            self.put("meta", "secret", {"value": secrets.token_hex(16)})

    def _hold_directory(self) -> None:
        self._guard = open(self.dir / "lock", "a+")
        give_up = time.monotonic() + 5  # a killed server's worker needs a moment to go
        while True:
            try:
                fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > give_up:
                    text = f"sandbox: {self.dir} is in use by another sandbox"
                    raise SystemExit(text) from None
                time.sleep(0.1)
        self._guard.truncate(0)
        self._guard.write(f"[{os.getppid()}, {os.getpid()}]\n")
        self._guard.flush()

    def _replay(self, path: Path) -> None:
        if not path.exists():
            return
        good = 0
        with open(path, "rb") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    break  # torn by a kill in the middle of a write
                good += len(line)
                if "reset" in event:
                    self._forget(event["reset"])
                else:
                    self._store(event["t"], event["k"], event["v"])
        with open(path, "ab") as file:
            file.truncate(good)

    # --- rows -------------------------------------------------------------------------------
    def put(self, table: str, key: str, row: dict) -> dict:
        """Store ``row`` under ``key`` and write it to the journal; returns the row."""
        with self.lock:
            row["seq"] = self.seq + 1
            line = json.dumps({"t": table, "k": key, "v": row}, ensure_ascii=False)
            self._store(table, key, row)
            self._journal.write(line.encode() + b"\n")
        return row

    def _store(self, table: str, key: str, row: dict) -> None:
        self.seq = max(self.seq, row["seq"])
        fresh = key not in self.tables[table]
        self.tables[table][key] = row
        if table == "orders":
            if fresh:
                self.by_number[row["out_trade_no"]].append(key)
            if row.get("transaction_id"):
                self.by_txn[row["transaction_id"]] = key
            if row["person"] and key not in self.orders_of[row["person"]]:
                self.orders_of[row["person"]][key] = True
        elif table == "messages" and fresh and row.get("person"):
            self.by_person[row["person"]].append(key)
        elif table == "people" and fresh:
            self.by_phone[row["phone"]] = key
            for appid in self.appids:
                self.by_openid[appid, self.openid(appid, key)] = key
        elif table in ("apps", "merchants"):
            for appid in row.get("appids", []):
                self._know_appid(appid)

    def get(self, table: str, key: str) -> dict | None:
        return self.tables[table].get(key)

    def rows(self, table: str) -> list[dict]:
        with self.lock:
            return list(self.tables[table].values())

    def reset(self, *, everything: bool) -> None:
        """Forget the book (and with ``everything`` the accounts and people too)."""
        with self.lock:
            self._journal.write(json.dumps({"reset": everything}).encode() + b"\n")
            self._forget(everything)

    def _forget(self, everything: bool) -> None:
        kept = () if everything else LASTING
        lasting = {name: self.tables[name] for name in kept}
        meta = self.tables["meta"]
        self.tables = {name: {} for name in LASTING + PASSING} | lasting | {"meta": meta}
        self.by_number, self.by_txn = defaultdict(list), {}
        self.by_person, self.orders_of = defaultdict(list), defaultdict(dict)
        self.sms_times = {}
        if everything:
            self._clear_indexes()

    def _clear_indexes(self) -> None:
        self.by_number: dict[str, list] = defaultdict(list)
        self.by_txn: dict[str, str] = {}
        self.by_person: dict[str, list] = defaultdict(list)
        self.orders_of: dict[str, dict] = defaultdict(dict)
        self.by_openid: dict[tuple, str] = {}
        self.by_phone: dict[str, str] = {}
        self.sms_times: dict[tuple, list] = {}
        self.appids: list[str] = []

    # --- identities -------------------------------------------------------------------------
    def _know_appid(self, appid: str) -> None:
        if appid in self.appids:
            return
        self.appids.append(appid)
        for person in self.tables["people"]:
            self.by_openid[appid, self.openid(appid, person)] = person

    def openid(self, appid: str, person: str) -> str:
        """The person's id in one app: 28 characters, the same for ever."""
        key = self.tables["meta"]["secret"]["value"].encode()
        digest = hmac.new(key, f"{appid}|{person}".encode(), hashlib.sha256).digest()
        return "o" + base64.urlsafe_b64encode(digest).decode()[:27]

    def person_of(self, appid: str, openid: str) -> dict | None:
        """The person behind ``openid`` in ``appid``, or None."""
        return self.tables["people"].get(self.by_openid.get((appid, openid), ""))

    def business_ms(self) -> int:
        """Real time plus the offset set at the console: what the platforms stamp on payments."""
        return now_ms() + self.tables["meta"].get("clock", {}).get("offset_ms", 0)

    def number(self, digits: int = 10) -> str:
        """A fresh decimal string of ``digits`` digits."""
        return str(secrets.randbelow(9 * 10 ** (digits - 1)) + 10 ** (digits - 1))
