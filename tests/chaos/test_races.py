"""Pay against send: thousands of real races between processes, judged by the platforms' books.

A batch of households is released: for each a reminder falls due, and at a random moment of the
same few seconds somebody pays, sometimes for several flats at once. Payers, senders and the
settling worker are processes of their own; half of the callbacks are lost, some SMS answers are
slow, so that locks are held long. What counts is the platforms' own clock: no message may begun
later than two seconds after its bill was paid.

The same run with the lock taken out (in the driver process, see racers.py) shows that the race is
real: there people who have paid are written to.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from backend.db import db
from launcher.children import kill_session, spawn
from tests.chaos.town import Household, Town, build_town, plan_messages
from tests.factories.estate import TODAY, set_business_now
from tests.support.product import PROJECT
from tests.support.wait import wait_for

RACES = int(os.environ.get("JIAOQING_RACES", "5000"))
WITHOUT_LOCK = 240
BATCH = 120
DELTA_MS = 2000
VALID_SECONDS = 12  # a doubt is looked at again after 5 s, twice at most
SETTLED_BATCHES = 2  # in the first batches the settling worker runs along

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.alone]


@dataclass
class Result:
    """What a run showed: pairs of (household, payment, message) and how they met."""

    paid: int = 0
    messages: int = 0
    wrongful: int = 0
    close: int = 0  # payment and message within two seconds of each other
    seconds: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)


@pytest.mark.covers("S15")
def test_nobody_who_has_paid_is_written_to(ctx, sandbox, live_server, product_environment):
    result = run(sandbox, live_server.url, product_environment, races=RACES, seed=20261122)
    report("with the lock", result)
    assert result.paid == RACES
    assert result.wrongful == 0
    assert result.messages > RACES * 0.15, "the senders hardly raced"
    assert result.close > RACES * 0.03, "payments and messages hardly met"
    check_books(sandbox)


def test_without_the_lock_people_who_have_paid_are_written_to(
    ctx, sandbox, live_server, product_environment
):
    result = run(
        sandbox, live_server.url, product_environment, races=WITHOUT_LOCK, seed=20261122,
        options=["--without-lock"],
    )  # fmt: skip
    report("without the lock", result)
    assert result.paid == WITHOUT_LOCK
    assert result.wrongful > 0


def report(name: str, result: Result) -> None:
    print(
        f"\nraces {name}: {result.paid} payments against messages, {result.messages} messages "
        f"went out, {result.close} within 2 s of the payment, {result.wrongful} later than "
        f"{DELTA_MS} ms after it, in {result.seconds:.0f} s; {result.reasons}"
    )


def run(
    sandbox: Any, url: str, environment: dict[str, str], *, races: int, seed: int,
    options: list[str] | None = None,
) -> Result:  # fmt: skip
    """Race `races` households in batches and return what the books say."""
    town = build_town(sandbox, households=races)
    set_business_now(TODAY, "10:00")
    sandbox.post("/_sandbox/settings", time_factor=100_000, probe_rate=0)
    for where, kind, rate, ms in (
        ("wechatpay.notify", "drop", 0.5, 0),
        ("sms.send", "slow", 0.1, 700),
    ):
        sandbox.post("/_sandbox/faults", where=where, kind=kind, rate=rate, ms=ms, seed=seed)
    started = time.monotonic()
    with racers(sandbox, url, environment, seed, options or []) as field_:
        field_.race(town, random.Random(seed))
    result = judge(sandbox, town)
    result.seconds = time.monotonic() - started
    return result


class Field:
    """The running processes of one race, kept busy and in step.

    The next batch is released when the senders have looked at almost all messages of the last
    ones. The time over which a batch is paid follows what the senders managed, so that about
    half of the messages meet a payment before them and half after, on a fast machine and a slow.
    """

    def __init__(self, payers: list, senders: list, money: Any) -> None:
        self.payers, self.senders, self.money = payers, senders, money
        self.spread = 3.0

    def race(self, town: Town, dice: random.Random) -> None:
        """Release batch after batch; the settling worker runs along in the first ones."""
        starts = range(0, len(town.households), BATCH)
        for number, start in enumerate(starts):
            if number == SETTLED_BATCHES:
                end(self.money)
            self._release(town, town.households[start : start + BATCH], dice)
            wait_for(lambda: _waiting() < BATCH // 4, 120, what="the senders", every=0.2)
            self._keep_pace()
        for process in self.payers:
            for _ in starts:
                hear(process)
        wait_for(lambda: _waiting() == 0, 120, what="the last messages", every=0.2)

    def _release(self, town: Town, households: list[Household], dice: random.Random) -> None:
        plan_messages(town, households, valid_seconds=VALID_SECONDS)
        orders = baskets(town, households, dice, within=self.spread)
        for k, payer in enumerate(self.payers):
            tell(payer, orders[k :: len(self.payers)])

    def _keep_pace(self) -> None:
        sent, silent = db.session.execute(
            text(
                "SELECT count(*) FILTER (WHERE begun_at IS NOT NULL), "
                "count(*) FILTER (WHERE begun_at IS NULL) FROM (SELECT begun_at FROM message "
                "WHERE event = 'overdue_3' AND reason_code IS NOT NULL ORDER BY id DESC LIMIT :n) s"
            ),
            {"n": BATCH},
        ).one()
        db.session.rollback()
        share = sent / max(1, sent + silent)
        self.spread = min(30.0, max(0.3, self.spread * (1.5 if share < 0.5 else 0.75)))


def baskets(
    town: Town, households: list[Household], dice: random.Random, *, within: float
) -> list[dict[str, Any]]:
    """Spread the households over payers: one to four flats each, at a random moment."""
    left = households[:]
    dice.shuffle(left)
    orders = []
    while left:
        size = dice.choice((1, 2, 3, 4))
        mine, left = left[:size], left[size:]
        orders.append(
            {
                "key": mine[0].number, "party_id": mine[0].party_id,
                "company_id": town.estate.company_id, "bill_ids": [h.bill_id for h in mine],
                "at": dice.uniform(0, within),
            }
        )  # fmt: skip
    return sorted(orders, key=lambda order: order["at"])


def _waiting() -> int:
    """Return how many messages no sender has looked at yet."""
    left = db.session.scalar(
        text(
            "SELECT count(*) FROM message WHERE event = 'overdue_3' AND reason_code IS NULL "
            "AND state IN ('planned', 'calling')"
        )
    )
    db.session.rollback()
    return left


@contextmanager
def racers(
    sandbox: Any, url: str, environment: dict[str, str], seed: int, options: list[str]
) -> Iterator[Field]:
    """Start two payers, two senders and the settling worker; stop them on leaving."""
    asked = ["--sandbox", sandbox.url, "--callback", url, "--threads", "5"]
    payers = [start(environment, "payer", *asked, "--seed", str(seed + k)) for k in range(2)]
    senders = [start(environment, "sender", "--threads", "6", *options) for _ in range(2)]
    money = start(environment, "money")
    everybody = [*payers, *senders, money]
    try:
        for process in everybody:
            assert hear(process)["ready"]
        yield Field(payers, senders, money)
    finally:
        for process in everybody:
            end(process)


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen:
    return spawn(
        [sys.executable, "-m", "tests.chaos.racers", *arguments],
        cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **environment, "LOG_LEVEL": "CRITICAL", "DB_POOL_SIZE": "8"},
    )  # fmt: skip


def tell(process: subprocess.Popen, orders: list[dict[str, Any]]) -> None:
    process.stdin.write(json.dumps(orders) + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen) -> dict[str, Any]:
    return json.loads(process.stdout.readline())


def end(process: subprocess.Popen) -> None:
    """Close its input, which asks it to stop; kill what does not."""
    if process.poll() is not None:
        return
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        kill_session(process)
        process.wait()


# ---------------------------------------------------------------- judging
def judge(sandbox: Any, town: Town) -> Result:
    """Lay the platforms' books beside each other, household by household."""
    paid_at = payments_by_phone(sandbox, town)
    result = Result(paid=len(paid_at))
    for message in sandbox.get("/_sandbox/book/messages", event="overdue_3", accepted="True"):
        paid = paid_at.get(message["to"])
        if paid is None:
            continue
        result.messages += 1
        result.wrongful += message["received_at"] - paid > DELTA_MS
        result.close += abs(message["received_at"] - paid) <= DELTA_MS
    for state, reason, count in db.session.execute(
        text(
            "SELECT state, coalesce(reason_code, ''), count(*) FROM message "
            "WHERE event = 'overdue_3' GROUP BY 1, 2 ORDER BY 1, 2"
        )
    ):
        result.reasons[f"{state}:{reason}"] = count
    db.session.rollback()
    return result


def payments_by_phone(sandbox: Any, town: Town) -> dict[str, int]:
    """Return when, by the platform, each household's bill was paid (milliseconds)."""
    phones = {h.bill_id: h.phone for h in town.households}
    bills = dict(
        db.session.execute(text("SELECT out_trade_no, bill_ids FROM check_v1.payment_orders")).all()
    )
    db.session.rollback()
    return {
        phones[bill]: order["paid_at"]
        for order in sandbox.get("/_sandbox/book/payments", paid=1)
        for bill in bills[order["out_trade_no"]]
    }


def check_books(sandbox: Any) -> None:
    """No message twice, no bill beyond its amount, the ledger in balance."""
    twice = sandbox.get("/_sandbox/book/duplicates")
    assert not any(twice.values()), twice
    assert db.session.scalar(text("SELECT sum(amount) FROM check_v1.postings")) == 0
    live = text(
        "SELECT count(*) FROM (SELECT bill_id, stage, window_key FROM message_bill WHERE live "
        "GROUP BY 1, 2, 3 HAVING count(*) > 1) s"
    )
    assert db.session.scalar(live) == 0
    db.session.rollback()
