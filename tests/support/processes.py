"""Background processes of the Procfile, started as `make run` starts them, on the test servers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher.procfile import Process, read_procfile, stop_together

PROJECT = Path(__file__).resolve().parents[2]
BACKGROUND = ("relay", "worker-money", "worker-messages", "worker-bulk")


@contextmanager
def running_processes(
    environment: dict[str, str], names: tuple[str, ...] = BACKGROUND
) -> Iterator[list[Process]]:
    """Start processes of the Procfile with the product's variables; stop them on leaving."""
    commands = read_procfile(PROJECT / "Procfile")
    variables = {
        **{k: v for k, v in os.environ.items() if k not in ("SECRET_KEY", "DATA_KEY")},
        **environment,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }
    started = [
        Process(name, commands[name], environment=variables, root=PROJECT, number=number)
        for number, name in enumerate(names)
    ]
    try:
        for process in started:
            process.start()
        yield started
    finally:
        stop_together(started)


def run_flask(environment: dict[str, str], *arguments: str) -> str:
    """Run one command of the product in a process of its own; return what it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *arguments],
        cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
