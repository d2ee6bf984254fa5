"""One storm for all tests that ask what survived it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.support.product import PROJECT

SEED, SECONDS, KILLS, WIPES, STOPS = 20261122, 30, 60, 20, 5


@pytest.fixture(scope="session")
def storm() -> dict[str, Any]:
    """The result of one storm (tests/chaos/storm.py) in servers and processes of its own."""
    command = [sys.executable, "-m", "tests.chaos.storm", "--seed", str(SEED)]
    command += ["--seconds", str(SECONDS), "--kills", str(KILLS)]
    command += ["--wipes", str(WIPES), "--stops", str(STOPS)]
    ran = subprocess.run(
        command, cwd=PROJECT, env=dict(os.environ), capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    result = json.loads(ran.stdout.splitlines()[-1])
    print(json.dumps(result, ensure_ascii=False))
    return result
