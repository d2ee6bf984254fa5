"""A whole product of its own: durable PostgreSQL, Valkey, sandbox, callbacks, application.

For storms, which stop servers at once and wipe Redis; the servers of the test session are left
alone. The process that uses it must be one of its own (the business clock has one source).
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from flask import Flask

from launcher.children import kill_session
from launcher.postgres import SUPERUSER, Postgres
from launcher.runtime import prepare, state_folder, system_programs
from launcher.valkey import Valkey
from tests.support import product, servers
from tests.support.ports import own_port
from tests.support.sandbox import Sandbox, running_sandbox


@dataclass
class Place:
    """What a storm needs; `folder` holds the logs."""

    app: Flask
    sandbox: Sandbox
    callback_url: str
    environment: dict[str, str]
    folder: Path
    postgres: Postgres
    hints: Valkey

    def stop_postgres_at_once(self) -> None:
        """The immediate stop (SIGQUIT: nothing is written out), then a start that recovers."""
        process = self.postgres.process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        self.postgres.process = None
        self.postgres.start()

    def wipe_redis(self) -> None:
        """FLUSHALL."""
        with redis.Redis.from_url(self.hints.url) as client:
            client.flushall()


@contextmanager
def own_place() -> Iterator[Place]:
    """Start everything in a temporary folder; stop and remove it on leaving."""
    temporary = Path(tempfile.mkdtemp(prefix="jiaoqing-storm-"))
    state = state_folder(temporary)
    system = os.environ.get("JIAOQING_SYSTEM_SERVERS")
    runtime = system_programs() if system else prepare(state)
    password = secrets.token_urlsafe(16)
    postgres = Postgres(runtime, state, password=password, durable=True)
    hints = Valkey(runtime, state, password=password)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        stack.callback(shutil.rmtree, state, ignore_errors=True)
        postgres.start()
        stack.callback(_end, postgres)
        hints.start()
        stack.callback(hints.stop)
        yield stack.enter_context(_product(postgres, hints, password, temporary))


def _end(postgres: Postgres) -> None:
    """What is in it is thrown away: no need to stop in order."""
    if postgres.process is not None:
        postgres.process.send_signal(signal.SIGQUIT)
        try:
            postgres.process.wait(20)
        except Exception:  # noqa: BLE001 - it goes either way
            kill_session(postgres.process)


@contextmanager
def _product(postgres: Postgres, hints: Valkey, password: str, folder: Path) -> Iterator[Place]:
    admin_url = postgres.url(SUPERUSER, password, "postgres")
    web_port, sandbox_port = own_port(), own_port()
    with servers._roles(admin_url) as names, ExitStack() as stack:
        running = servers.Servers(admin_url=admin_url, redis_url=hints.url, **names)
        blank = product.environment(
            running.database("template1"), hints.url, port=web_port, sandbox_port=sandbox_port
        )
        template = product.migrated_template(running, blank)
        database = running.create("storm", template=template.name)
        values = product.environment(database, hints.url, port=web_port, sandbox_port=sandbox_port)
        sandbox = stack.enter_context(running_sandbox(sandbox_port, folder / "sandbox"))
        stack.enter_context(product.environ({**values, "LOG_LEVEL": "CRITICAL"}))
        app = product.build_app()
        server = product.LiveServer(app, web_port)
        stack.callback(server.close)
        yield Place(app, sandbox, server.url, values, folder, postgres, hints)
        with app.app_context():
            from backend.db import db

            db.engine.dispose()
