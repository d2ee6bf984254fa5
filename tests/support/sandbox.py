"""The sandbox platforms as a process of their own, and a small client of their console."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from launcher.children import spawn, stop
from tests.support.wait import wait_for

PROJECT = Path(__file__).resolve().parents[2]


class Sandbox:
    """Talks to one sandbox. Paths are absolute ("/_sandbox/book/payments"); JSON in and out.

    `get`, `post` and `delete` return the parsed body and raise AssertionError with the whole
    answer when the status is not 2xx; `http` is the requests session for anything else.
    """

    def __init__(self, url: str, state: Path) -> None:
        self.url = url
        self.state = state
        self.http = requests.Session()
        self.http.trust_env = False  # a proxy of the machine must not see loopback calls

    def get(self, path: str, **params: Any) -> Any:
        """GET with query parameters."""
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Any = None, **fields: Any) -> Any:
        """POST `body` as JSON, or the keyword arguments as one object."""
        return self._call("POST", path, json=fields if body is None else body)

    def delete(self, path: str, **params: Any) -> Any:
        """DELETE with query parameters."""
        return self._call("DELETE", path, params=params)

    def reset(self) -> None:
        """Forget people, orders, messages and faults."""
        self.post("/_sandbox/reset")

    def is_up(self) -> bool:
        """Tell whether the sandbox answers HTTP at all."""
        try:
            return self.http.get(self.url + "/_sandbox/health", timeout=2).ok
        except requests.RequestException:
            return False

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self.http.request(method, self.url + path, timeout=30, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


@contextmanager
def running_sandbox(port: int, state: Path) -> Iterator[Sandbox]:
    """Start `python -m sandbox` on `port` with its book in `state`; stop it on leaving."""
    log = state.with_suffix(".log")
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--state", str(state)]
    with log.open("wb") as output:
        process = spawn(
            command, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT, env=dict(os.environ)
        )
    sandbox = Sandbox(f"http://127.0.0.1:{port}", state)

    def up() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"sandbox ended with {process.returncode}:\n{log.read_text()}")
        return sandbox.is_up()

    try:
        wait_for(up, 30, what="the sandbox to answer")
        yield sandbox
    finally:
        sandbox.http.close()
        stop(process, signal.SIGTERM, patience=5)
