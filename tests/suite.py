"""`make test`: pytest in two parts, so that two cores are used and the heavy tests are undisturbed.

First everything that bears others beside it, one worker per core, each with servers, a database and
ports of its own; then, one after the other, what loads the whole machine by itself: the storm,
the races, the main loop (marked `alone`). Both parts run even if the first one fails.
`python -m pytest` runs the same tests in one piece.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MOST_WORKERS = 4  # each has a PostgreSQL, a Valkey and a sandbox of its own


def main(arguments: list[str]) -> int:
    """Run both parts with pytest's further arguments; return the worse exit status."""
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    statuses = [_part("together", *arguments, "-n", str(workers), "--dist", "loadfile")]
    stopped = statuses[0] in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
    if not stopped and "--quick" not in arguments:
        statuses.append(_part("alone", *arguments))
    return worst(statuses)


def worst(statuses: list[int]) -> int:
    """Return the exit status of the whole: a part without tests counts only if no part had any."""
    nothing = int(pytest.ExitCode.NO_TESTS_COLLECTED)
    ran = [status for status in statuses if status != nothing]
    return max(ran, key=abs) if ran else nothing  # killed by a signal: negative, and no success


def _part(name: str, *arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", "--part", name, *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
