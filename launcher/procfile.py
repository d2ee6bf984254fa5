"""The processes of the Procfile: started with prefixed logs, restarted when they fall."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from launcher import children
from launcher.say import Stop, say

_LINE = re.compile(r"([A-Za-z][\w-]*):\s*(\S.*)")
_COLOURS = (36, 33, 32, 35, 34, 31, 96, 93, 92)
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0
_PATIENCE = 15.0


def read_procfile(path: Path) -> dict[str, str]:
    """Return {process name: shell command} in file order. Raises Stop for a line that is not."""
    commands: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise Stop(f"Procfile: 无法理解此行 / cannot read this line: {line}")
            commands[match[1]] = match[2]
    return commands


class Process:
    """One line of the Procfile as a child process; its output appears behind its name."""

    def __init__(
        self, name: str, command: str, *, environment: Mapping[str, str], root: Path, number: int
    ) -> None:
        self.name = name
        self._command = ["/bin/sh", "-c", f"exec {command}"]
        self._environment = dict(environment)
        self._root = root
        colour = f"\033[{_COLOURS[number % len(_COLOURS)]}m"
        self._prefix = f"{name:<15}| "
        if sys.stdout.isatty():
            self._prefix = f"{colour}{self._prefix}\033[0m"
        self._child: subprocess.Popen | None = None
        self._begun = 0.0
        self._again_at = 0.0
        self._pause = 1.0

    def start(self) -> None:
        """Start the child and the thread that prints what it says."""
        self._begun = time.monotonic()
        self._child = children.spawn(
            self._command,
            cwd=self._root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._relay_output, args=(self._child,), daemon=True).start()

    def look(self) -> None:
        """Start a fallen child again, after a pause that doubles while it keeps falling."""
        if self._child is None or self._child.poll() is None:
            return
        now = time.monotonic()
        if self._again_at < self._begun:  # its end is seen for the first time
            self._pause = 1.0 if now - self._begun > _STEADY_SECONDS else self._pause
            self._again_at = now + self._pause
            say(
                f"{self._prefix}已退出 / ended ({self._child.returncode}),"
                f" 重启 / again in {self._pause:.0f} s"
            )
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        elif now >= self._again_at:
            children.kill_session(self._child)  # what it may have left behind
            self.start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM: finish the work in hand."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Wait until `deadline` (monotonic seconds), then kill what is left."""
        if self._child is None:
            return
        try:
            self._child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            say(f"{self._prefix}未按时退出，强制结束 / did not end in time, killed")
        children.kill_session(self._child)
        self._child.wait()

    def _relay_output(self, child: subprocess.Popen) -> None:
        with child.stdout as lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip("\n")
                try:
                    say(self._prefix + text)
                except (BrokenPipeError, ValueError):
                    return  # nobody reads us any more; the main thread ends everything


def stop_together(processes: list[Process]) -> None:
    """Ask all to stop at once and wait for them within one time limit."""
    for process in processes:
        process.ask_to_stop()
    deadline = time.monotonic() + _PATIENCE
    for process in processes:
        process.wait(deadline)
