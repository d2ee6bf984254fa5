"""Misbehaviour on demand. A fault names a point by glob, a kind and how often it strikes.

Points are ``<service>.<operation>``; requests to the platforms are *incoming* points, callbacks,
receipts and event pushes are *outgoing* ones. A kind that means nothing at a point is skipped.
"""

from __future__ import annotations

import fnmatch
import itertools
import random
import threading

INCOMING_KINDS = {"drop", "delay", "slow", "http_500", "lose_reply", "bad_signature", "code"}
OUTGOING_KINDS = {
    "drop", "delay", "slow", "duplicate", "reorder", "bad_signature", "lose_reply", "code",
}  # fmt: skip
KINDS = INCOMING_KINDS | OUTGOING_KINDS


class Faults:
    """The faults in force. Thread-safe; a seed makes one fault's strikes repeatable."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._rules: list[dict] = []

    def add(self, wanted: dict) -> dict:
        """Put one fault in force. Raises ValueError naming what is wrong."""
        kind, rate = wanted.get("kind"), float(wanted.get("rate", 1))
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {sorted(KINDS)}")
        if not 0 <= rate <= 1:
            raise ValueError("rate must be between 0 and 1")
        if kind == "code" and not wanted.get("code"):
            raise ValueError("kind code needs code: the platform's error code")
        with self._lock:
            number = next(self._ids)
            rule = {
                "id": number,
                "where": wanted.get("where", "*"),
                "kind": kind,
                "rate": rate,
                "ms": int(wanted.get("ms", 200)),
                "count": wanted.get("count"),
                "seed": wanted.get("seed", number),
                "match": wanted.get("match", ""),
                "code": str(wanted.get("code", "")),
                "hits": 0,
            }
            rule["_rng"] = random.Random(rule["seed"])
            self._rules.append(rule)
        return self.shown(rule)

    @staticmethod
    def shown(rule: dict) -> dict:
        return {k: v for k, v in rule.items() if not k.startswith("_")}

    def list(self) -> list[dict]:
        with self._lock:
            return [self.shown(rule) for rule in self._rules]

    def remove(self, *, number: int | None = None, where: str | None = None) -> int:
        """Take faults out of force (all of them without arguments); returns how many."""
        with self._lock:
            before = len(self._rules)
            self._rules = [
                r
                for r in self._rules
                if (number is not None and r["id"] != number)
                or (number is None and where is not None and r["where"] != where)
            ]
            return before - len(self._rules)

    def strike(self, point: str, kinds: set[str], text: str = "") -> dict[str, dict]:
        """The faults that hit this one event, by kind; each counts as one of its strikes."""
        if not self._rules:
            return {}
        hit: dict[str, dict] = {}
        with self._lock:
            for rule in self._rules:
                spent = rule["count"] is not None and rule["hits"] >= rule["count"]
                if spent or rule["kind"] not in kinds or rule["kind"] in hit:
                    continue
                if not fnmatch.fnmatch(point, rule["where"]) or rule["match"] not in text:
                    continue
                if rule["_rng"].random() < rule["rate"]:
                    rule["hits"] += 1
                    hit[rule["kind"]] = self.shown(rule) | {"dice": rule["_rng"].random()}
        return hit
