"""Ports that two test runs on one machine never share.

A run takes a block of ports for its life by locking a file; the system frees the lock when the run
ends, however it ends. The blocks lie below the ports that systems hand out by themselves, so
nobody's outgoing connection takes one between the choice and the server's start.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from launcher.ports import is_free

FIRST, SIZE, BLOCKS = 15_000, 100, 100
_locks = []


def own_port() -> int:
    """Return a port of this run's block where nothing listens, each time another one."""
    for port in _block():
        if is_free(port):
            return port
    raise RuntimeError(f"all {SIZE} ports of this test run were handed out")


@cache
def _block() -> Iterator[int]:
    for number in range(BLOCKS):
        if _lock(number):
            first = FIRST + number * SIZE
            return iter(range(first, first + SIZE))
    raise RuntimeError(f"{BLOCKS} test runs at once, or lock files of others in the way")


def _lock(number: int) -> bool:
    """Hold the block's lock; False when another run, or another user, has it."""
    try:
        file = (Path(tempfile.gettempdir()) / f"jiaoqing-test-ports-{number}").open("a")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    _locks.append(file)
    return True
