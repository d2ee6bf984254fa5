"""An embedded PostgreSQL of our own: created once, started, recovered after a crash, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from launcher.children import spawn, stop, tail, unprivileged
from launcher.ports import LOOPBACK, free_port
from launcher.runtime import Runtime
from launcher.say import Stop

SUPERUSER = "jiaoqing_admin"
_RETRY_SECONDS = 10.0
_START_SECONDS = 60.0
_PASSING = ("postmaster.pid", "shared memory block", "is being used", "starting up")
_PORT_TAKEN = ("could not bind", "Address already in use", "could not create any TCP/IP sockets")
_UNSAFE_BUT_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres:
    """One server over `state`/postgres, reachable on 127.0.0.1 with a password only.

    `durable=False` gives up crash safety for speed: tests only.
    """

    def __init__(
        self,
        runtime: Runtime,
        state: Path,
        *,
        password: str,
        port: int | None = None,
        durable: bool = True,
    ) -> None:
        self.runtime = runtime
        self.data = state / "postgres"
        self.log = state / "postgres.log"
        self.password = password
        self.port = port or 0
        self.durable = durable
        self._logged = 0  # where the last attempt's lines begin
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Create the data folder when new, start, and return when queries are answered.

        Raises Stop with the last log lines when the server does not come up.
        """
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._same_major_version()
        self._clear_orphan()
        deadline = time.monotonic() + _RETRY_SECONDS
        while not self._attempt():
            why = tail(self.log, 4, after=self._logged)
            if any(words in why for words in _PORT_TAKEN):
                self.port = 0
            elif not any(words in why for words in _PASSING):
                raise Stop(f"PostgreSQL 无法启动 / did not start: {why}")
            if time.monotonic() > deadline:
                raise Stop(f"PostgreSQL 无法启动 / did not start in time: {why}")
            time.sleep(0.3)

    def stop(self) -> None:
        """Stop fast: sessions are ended, everything committed is on disk."""
        if self.process is not None:
            stop(self.process, signal.SIGINT, patience=30)
            self.process = None

    def url(self, user: str, password: str, database: str) -> str:
        """Return a libpq URL for `user` on this server."""
        return f"postgresql://{user}:{quote(password, safe='')}@{LOOPBACK}:{self.port}/{database}"

    def sql(self, text: str, *, database: str = "postgres") -> str:
        """Run `text` as superuser with psql, stop at the first error, return the plain output.

        Raises Stop with psql's own words.
        """
        ran = subprocess.run(
            [self._program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1"],
            input=text,
            text=True,
            capture_output=True,
            cwd="/",
            env={**os.environ, **self._login(database)},
            **unprivileged(),
        )
        if ran.returncode:
            raise Stop(f"PostgreSQL: {ran.stderr.strip()}")
        return ran.stdout.strip()

    def _login(self, database: str) -> dict[str, str]:
        return {
            "PGHOST": LOOPBACK,
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": self.password,
            "PGDATABASE": database,
        }

    def _program(self, name: str) -> str:
        return str(self.runtime.postgres_bin / name)

    def _create(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        self._own(self.data)
        with tempfile.NamedTemporaryFile("w", dir=self.data.parent) as secret:
            secret.write(self.password)
            secret.flush()
            self._own(Path(secret.name))
            command = [self._program("initdb"), "-D", str(self.data), "-U", SUPERUSER]
            command += ["-E", "UTF8", *self._locale()]
            command += ["-A", "scram-sha-256", f"--pwfile={secret.name}"]
            command += [] if self.durable else ["--no-sync"]
            made = subprocess.run(
                command, cwd="/", capture_output=True, text=True, **unprivileged()
            )
        if made.returncode:
            why = " | ".join(made.stderr.strip().splitlines()[-3:])
            raise Stop(f"无法创建数据库 / initdb failed in {self.data}: {why}")

    def _own(self, path: Path) -> None:
        who = unprivileged()
        if who:
            os.chown(path, who["user"], who["group"])

    def _locale(self) -> list[str]:
        """Code points decide the order; from 17 on without asking the system's libraries."""
        if int(self._major_version()) >= 17:
            return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        return ["--locale=C.UTF-8"]

    def _major_version(self) -> str:
        ran = subprocess.run(
            [self._program("postgres"), "--version"], capture_output=True, text=True, check=True
        )
        return ran.stdout.split()[2].split(".")[0]

    def _same_major_version(self) -> None:
        made, installed = (self.data / "PG_VERSION").read_text().strip(), self._major_version()
        if installed != made:
            raise Stop(
                f"{self.data} 由 PostgreSQL {made} 创建，已安装的是 {installed}"
                f" / made by {made}, installed is {installed}: dump it with {made} and load it."
            )

    def _clear_orphan(self) -> None:
        """Deal with what a killed launcher left: a live server, or a pid another program got."""
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split()[0])
            home = os.readlink(f"/proc/{pid}/cwd")
        except (OSError, ValueError, IndexError):
            return
        if home == str(self.data):
            command = [self._program("pg_ctl"), "-D", str(self.data), "-m", "fast", "-w", "stop"]
            subprocess.run(command, cwd="/", capture_output=True, **unprivileged())
        else:
            lock.unlink()

    def _attempt(self) -> bool:
        """Start once; True when ready, False when the server gave up by itself."""
        self.port = free_port(self.port or None)
        with self.log.open("ab") as log:
            self._logged = log.tell()
            self.process = spawn(
                self._command(),
                when_parent_dies=signal.SIGINT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **unprivileged(),
            )
        deadline = time.monotonic() + _START_SECONDS
        while self.process.poll() is None:
            if self._is_ready():
                return True
            if time.monotonic() > deadline:
                self.stop()
                raise Stop(f"PostgreSQL 启动超时 / start timed out: {tail(self.log)}")
            time.sleep(0.02)
        return False

    def _command(self) -> list[str]:
        options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "timezone=UTC"]
        options += ["max_connections=100", "log_timezone=UTC"]
        options += [] if self.durable else _UNSAFE_BUT_FAST
        command = [self._program("postgres"), "-D", str(self.data), "-p", str(self.port)]
        for option in options:
            command += ["-c", option]
        return command

    def _is_ready(self) -> bool:
        """Read the status line the server keeps: pid first, state on the eighth line."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and int(lines[0]) == self.process.pid and lines[7].strip() == "ready"
