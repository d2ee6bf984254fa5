"""The running workers and relays of a storm: started, killed with -9, replaced at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from launcher.children import kill_session, spawn
from tests.support.product import PROJECT

SIZES = {"relay": 2, "money": 2, "messages": 2, "bulk": 1}
_COMMANDS = {"relay": ["relay"]} | {
    name: ["worker", name] for name in ("money", "messages", "bulk")
}


class Crew:
    """Processes by role. The first of each role is started by the product's own command."""

    def __init__(self, environment: dict[str, str], log: Path, *, lease: int) -> None:
        self._log = log.open("ab")
        self._environment = {
            **os.environ, **environment, "LOG_LEVEL": "WARNING", "DB_POOL_SIZE": "10",
        }  # fmt: skip
        self._commanded: list[subprocess.Popen] = []
        self._pids: dict[str, list[int]] = defaultdict(list)
        self._nursery = self._spawn(
            [sys.executable, "-m", "tests.chaos.nursery", "--lease", str(lease)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        for role in SIZES:
            self._command(role)
        assert self._nursery.stdout.readline().strip() == "ready"
        for role, size in SIZES.items():
            for _ in range(size - 1):
                self.start(role)

    def _spawn(self, command: list[str], **popen: object) -> subprocess.Popen:
        return spawn(command, cwd=PROJECT, env=self._environment, stderr=self._log, **popen)

    def _command(self, role: str) -> None:
        process = self._spawn(
            [sys.executable, "-m", "flask", "--app", "wsgi", *_COMMANDS[role]],
            stdin=subprocess.DEVNULL, stdout=self._log,
        )  # fmt: skip
        self._commanded.append(process)
        self._pids[role].append(process.pid)

    def start(self, role: str) -> None:
        """Add one process of a role."""
        self._nursery.stdin.write(role + "\n")
        self._nursery.stdin.flush()
        self._pids[role].append(int(self._nursery.stdout.readline()))

    def kill(self, role: str, dice: random.Random) -> None:
        """`kill -9` one process of a role at once and start another in its place."""
        pid = dice.choice(self._pids[role])
        self._pids[role].remove(pid)
        os.kill(pid, signal.SIGKILL)
        for process in self._commanded:
            if process.pid == pid:
                process.wait()
        self.start(role)

    def missing(self) -> list[str]:
        """Return the roles of processes that ended by themselves (they should not)."""
        return [role for role, pids in self._pids.items() for pid in pids if not _alive(pid)]

    def close(self) -> None:
        """End everything."""
        for process in [*self._commanded, self._nursery]:
            kill_session(process)
            process.wait()
        for pids in self._pids.values():
            for pid in pids:
                if _alive(pid):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
        self._log.close()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
