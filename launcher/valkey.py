"""An embedded Valkey (Redis protocol). It holds hints only, so nothing is written to disk."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

from launcher.children import spawn, stop, tail, unprivileged
from launcher.ports import LOOPBACK, free_port
from launcher.runtime import Runtime
from launcher.say import Stop

_START_SECONDS = 10.0


class Valkey:
    """One server on 127.0.0.1 behind a password."""

    def __init__(
        self, runtime: Runtime, state: Path, *, password: str, port: int | None = None
    ) -> None:
        self.program = runtime.valkey_server
        self.log = state / "valkey.log"
        self.password = password
        self.port = port or 0
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start and return when commands are answered. Raises Stop with the last log lines."""
        for _ in range(5):
            self.port = free_port(self.port or None)
            self._launch()
            if self._comes_up():
                return
            self.port = 0
        raise Stop(f"Valkey 无法启动 / did not start: {tail(self.log)}")

    def stop(self) -> None:
        """Stop; what it held is rebuilt from the database."""
        if self.process is not None:
            stop(self.process, signal.SIGTERM, patience=10)
            self.process = None

    @property
    def url(self) -> str:
        """The redis:// URL of database 0."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def _launch(self) -> None:
        # Settings go in by stdin: on the command line the password would show in `ps`.
        settings = (
            f"bind {LOOPBACK}\nport {self.port}\nrequirepass {self.password}\n"
            'save ""\nappendonly no\ndir /tmp\nmaxmemory 256mb\nmaxmemory-policy noeviction\n'
        )
        with self.log.open("ab") as log:
            self.process = spawn(
                [str(self.program), "-"],
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                **unprivileged(),
            )
        try:
            self.process.stdin.write(settings.encode())
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it died at once; the caller reads the log

    def _comes_up(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            if self._pings():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _pings(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), 1) as line:
                line.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                heard = b""
                while heard.count(b"\r\n") < 2:
                    more = line.recv(64)
                    if not more:
                        return False
                    heard += more
        except OSError:
            return False
        return heard == b"+OK\r\n+PONG\r\n"
