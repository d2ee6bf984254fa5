"""A storm: bills are paid and reminders sent while workers die, Redis is wiped, PostgreSQL stops.

`python -m tests.chaos.storm --seed 1 --seconds 45 --kills 60 --wipes 20 --stops 5` builds a
product of its own (place.py), lets it work under load and faults, then waits for calm and lays
the books beside each other. The last line is the result as JSON. Everything random comes from
the seed; what the processes make of it is up to the machine.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import text

from backend.db import db
from tests.chaos import verdict
from tests.chaos.crew import Crew
from tests.chaos.place import Place, own_place
from tests.chaos.town import Town, build_town, plan_messages
from tests.factories.estate import TODAY, set_business_now

WAVE_SECONDS = 3.0
PER_WAVE = 24
LEASE_SECONDS = 12
BACKLOG = 200
CALM_SECONDS = 120
ROLES = ("messages", "messages", "money", "money", "relay")  # who is killed, by weight

FAULTS = (
    {"where": "wechatpay.notify", "kind": "drop", "rate": 0.2},
    {"where": "wechatpay.notify", "kind": "duplicate", "rate": 0.1, "ms": 300},
    {"where": "wechatpay.notify", "kind": "lose_reply", "rate": 0.05},
    {"where": "wechatpay.query", "kind": "http_500", "rate": 0.03},
    {"where": "wechatpay.prepay", "kind": "lose_reply", "rate": 0.02},
    {"where": "sms.send", "kind": "slow", "rate": 0.4, "ms": 400},
    {"where": "sms.send", "kind": "lose_reply", "rate": 0.02},
    {"where": "sms.send", "kind": "drop", "rate": 0.01},
)

T = TypeVar("T")


@dataclass
class Result:
    """What happened, and what was wrong with it (all of `verdict.Wrong` should be zero)."""

    seed: int
    payments: int = 0
    messages: int = 0
    faults: int = 0
    kills: int = 0
    kills_at_work: int = 0
    wipes: int = 0
    stops: int = 0
    calm_after: float = 0.0
    in_doubt: int = 0
    acknowledged: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    seed: int
    seconds: float
    kills: int
    wipes: int
    stops: int


def run(plan: Plan) -> Result:
    """Live through one storm and return what the books say afterwards."""
    with own_place() as place, place.app.app_context():
        town = _found(place, plan)
        crew = Crew(place.environment, place.folder / "crew.log", lease=LEASE_SECONDS)
        payer = _payer(place, plan)
        try:
            result = Storm(place, plan, town, crew, payer).blow()
        finally:
            crew.close()
            payer.kill()
            payer.wait()
            if place.folder.joinpath("crew.log").exists():
                tail = place.folder.joinpath("crew.log").read_text(errors="replace")[-4000:]
                print(tail, file=sys.stderr)
    return result


def _found(place: Place, plan: Plan) -> Town:
    waves = max(1, round(plan.seconds / WAVE_SECONDS))
    town = build_town(place.sandbox, households=waves * PER_WAVE)
    set_business_now(TODAY, "10:00")
    for number, fault in enumerate(FAULTS):
        place.sandbox.post("/_sandbox/faults", fault | {"seed": plan.seed + number})
    return town


def _payer(place: Place, plan: Plan) -> subprocess.Popen:
    from tests.chaos.test_races import hear, start

    payer = start(
        place.environment, "payer", "--sandbox", place.sandbox.url, "--callback",
        place.callback_url, "--threads", "6", "--seed", str(plan.seed), "--tries", "20",
    )  # fmt: skip
    assert hear(payer)["ready"]
    return payer


class Storm:
    """The clockwork: every act has its moment, drawn from the seed."""

    def __init__(
        self, place: Place, plan: Plan, town: Town, crew: Crew, payer: subprocess.Popen
    ) -> None:
        self.place, self.plan, self.town, self.crew, self.payer = place, plan, town, crew, payer
        self.dice = random.Random(plan.seed)
        self.result = Result(seed=plan.seed)
        self.waves = 0

    def blow(self) -> Result:
        """Act by act, then calm, then the verdict."""
        began = time.monotonic()
        for moment, act in self._acts():
            time.sleep(max(0.0, began + moment - time.monotonic()))
            act()
        self.result.faults = sum(f["hits"] for f in self.place.sandbox.get("/_sandbox/faults"))
        self.place.sandbox.delete("/_sandbox/faults")
        for _ in range(self.waves):
            self.payer.stdout.readline()
        self._calm()
        verdict.fill(self.result, self.place, self.town)
        self.result.details += [f"{role} ended by itself" for role in self.crew.missing()]
        return self.result

    def _acts(self) -> list[tuple[float, Callable[[], None]]]:
        """Return (second, act) in order: waves of work, kills, wipes, stops."""
        plan, acts = self.plan, []
        waves = len(self.town.households) // PER_WAVE
        for number in range(waves):
            acts.append((number * WAVE_SECONDS, lambda n=number: self._wave(n)))
        for count, act in ((plan.kills, self._kill), (plan.wipes, self._wipe)):
            acts += [(self.dice.uniform(1, plan.seconds), act) for _ in range(count)]
        gap = plan.seconds / (plan.stops + 1)
        acts += [(gap * (k + 1), self._stop) for k in range(plan.stops)]
        return sorted(acts, key=lambda pair: pair[0])

    def _wave(self, number: int) -> None:
        """Some reminders fall due, and most of these people pay, alone or for several flats.

        A machine that cannot keep up gets no new work: the storm is about failures, not speed.
        """
        if patient(self._waiting) > BACKLOG:
            return
        mine = self.town.households[number * PER_WAVE : (number + 1) * PER_WAVE]
        patient(lambda: plan_messages(self.town, mine))
        payers = self.dice.sample(mine, k=round(len(mine) * 0.7))
        orders = []
        while payers:
            size = self.dice.choice((1, 1, 2, 3))
            some, payers = payers[:size], payers[size:]
            orders.append(
                {
                    "key": some[0].number, "party_id": some[0].party_id,
                    "company_id": self.town.estate.company_id,
                    "bill_ids": [h.bill_id for h in some],
                    "at": self.dice.uniform(0, WAVE_SECONDS),
                }
            )  # fmt: skip
        orders.sort(key=lambda order: order["at"])
        self.payer.stdin.write(json.dumps(orders) + "\n")
        self.payer.stdin.flush()
        self.waves += 1

    def _waiting(self) -> int:
        count = db.session.scalar(
            text(
                "SELECT (SELECT count(*) FROM task WHERE state = 'ready' AND queue = 'messages') "
                "+ (SELECT count(*) FROM inbox_pending)"
            )
        )
        db.session.rollback()
        return count

    def _kill(self) -> None:
        """Kill somebody; wait half a second at most for a moment with work in hand."""
        role = self.dice.choice(ROLES)
        until = time.monotonic() + 0.5
        at_work = patient(self._at_work)
        while not at_work and role != "relay" and time.monotonic() < until:
            time.sleep(0.02)
            at_work = patient(self._at_work)
        self.crew.kill(role, self.dice)
        self.result.kills += 1
        self.result.kills_at_work += bool(at_work)

    def _at_work(self) -> int:
        count = db.session.scalar(
            text(
                "SELECT (SELECT count(*) FROM task WHERE state = 'leased') + "
                "(SELECT count(*) FROM inbox_pending)"
            )
        )
        db.session.rollback()
        return count

    def _wipe(self) -> None:
        self.place.wipe_redis()
        self.result.wipes += 1

    def _stop(self) -> None:
        self.place.stop_postgres_at_once()
        self.result.stops += 1

    def _calm(self) -> None:
        """Wait until nothing is left to do; at most CALM_SECONDS."""
        began = time.monotonic()
        while time.monotonic() < began + CALM_SECONDS:
            if not any(patient(lambda: verdict.unfinished(self.place)).values()):
                break
            time.sleep(0.3)
        self.result.calm_after = round(time.monotonic() - began, 1)


def patient(act: Callable[[], T], *, tries: int = 40) -> T:
    """Do something with the database again while it is away."""
    for _ in range(tries):
        try:
            return act()
        except sa.exc.DBAPIError:
            db.session.remove()
            time.sleep(0.25)
    return act()


def main() -> None:
    """Parse the command line, run one storm, print its result as one JSON line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.storm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=45)
    for name, default in (("kills", 60), ("wipes", 20), ("stops", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    print(json.dumps(asdict(run(Plan(**vars(parser.parse_args())))), ensure_ascii=False))


if __name__ == "__main__":
    main()
