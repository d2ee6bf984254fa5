"""The longer form: storm after storm. `python -m tests.chaos.long --seed 1 --minutes 10`.

Each storm lasts up to four minutes, begins from an empty product and has its own seed, so that a
bad one can be repeated alone (`python -m tests.chaos.storm --seed …`). The last line sums up:
`chaos: payments=… faults=… kills=… lost=… duplicates=… wrongful=… stuck=…`; exit status 1 if any
of the last four is not zero.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from typing import Any

from tests.support.product import PROJECT

STORM_SECONDS = 240
PER_MINUTE = {"kills": 60, "wipes": 15, "stops": 4}
WRONGS = ("lost", "duplicates", "wrongful", "stuck")


def main() -> int:
    """Run storms for about this many minutes of load; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10)
    asked = parser.parse_args()
    total: Counter[str] = Counter()
    left, seed = asked.minutes * 60, asked.seed
    while left > 0:
        seconds = min(left, STORM_SECONDS)
        total.update(one(seed, seconds))
        left, seed = left - seconds, seed + 1
    names = ("payments", "faults", "kills", *WRONGS)
    print("chaos: " + " ".join(f"{name}={total[name]}" for name in names), flush=True)
    return 1 if any(total[name] for name in WRONGS) else 0


def one(seed: int, seconds: float) -> dict[str, int]:
    """Run one storm in a process of its own and return its counts."""
    command = [sys.executable, "-m", "tests.chaos.storm", "--seed", str(seed)]
    command += ["--seconds", str(seconds)]
    for name, rate in PER_MINUTE.items():
        command += [f"--{name}", str(round(rate * seconds / 60))]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    if ran.returncode:
        print(ran.stderr[-4000:], file=sys.stderr)
        print(f"storm {seed}: broke off", flush=True)
        return {"stuck": 1}
    result = json.loads(ran.stdout.splitlines()[-1])
    print(f"storm {seed}: {json.dumps(result, ensure_ascii=False)}", flush=True)
    found = counts(result)
    if any(found[name] for name in WRONGS):
        print(ran.stderr[-4000:], file=sys.stderr)
    return found


def counts(result: dict[str, Any]) -> dict[str, int]:
    """Return what the summary counts. A wrong sum in the ledger is money lost."""
    wrong = result["wrong"]
    return {
        "payments": result["payments"],
        "faults": result["faults"] + result["wipes"] + result["stops"],
        "kills": result["kills"],
        "lost": wrong["lost"] + (wrong["ledger"] != 0),
        **{name: wrong[name] for name in WRONGS[1:]},
    }


if __name__ == "__main__":
    sys.exit(main())
