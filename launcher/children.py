"""Child processes that never outlive their parent and never read its Ctrl-C.

A child gets a session of its own, so that Ctrl-C reaches the launcher only, which then stops
everything in order. If the launcher itself is killed with -9, Linux signals the child.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def is_root() -> bool:
    """Tell whether this process must hand server processes to another user."""
    return os.geteuid() == 0


def unprivileged() -> dict[str, object]:
    """Return the Popen arguments that drop root to `nobody`; empty for a plain user.

    PostgreSQL refuses to run as root.
    """
    if not is_root():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def spawn(
    command: list[str],
    *,
    when_parent_dies: signal.Signals = signal.SIGTERM,
    **popen: object,
) -> subprocess.Popen:
    """Start `command` in its own session; `when_parent_dies` is sent if this process vanishes."""
    return subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=_dies_with_parent(when_parent_dies),
        **popen,
    )


def _dies_with_parent(sign: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(sign))
        if os.getppid() != parent:  # the parent died between fork and here
            os._exit(1)

    return arm


def stop(process: subprocess.Popen, sign: signal.Signals, *, patience: float) -> None:
    """Send `sign`, wait `patience` seconds, then kill the whole session of the child."""
    if process.poll() is None:
        process.send_signal(sign)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            kill_session(process)
            process.wait()


def kill_session(process: subprocess.Popen) -> None:
    """Kill a child and what it started, at once."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def tail(path: Path, lines: int = 3, *, after: int = 0) -> str:
    """Return the last lines of a log (behind byte `after`) as one line, for a message."""
    try:
        text = path.read_bytes()[after:].decode(errors="replace")
    except OSError:
        return ""
    return " | ".join(text.splitlines()[-lines:])
