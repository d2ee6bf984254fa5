"""Where measurements happen: a durable PostgreSQL of our own and the product on a fresh database.

The servers of the test suite give up crash safety for speed; a commit measured on them says
nothing. So the bench starts its own PostgreSQL with everything on (fsync, synchronous_commit,
full_page_writes) and hands its address to the test support, which makes roles and database.
With DATABASE_OWNER_URL or DATABASE_URL set, that server is measured as it is configured.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from flask import Flask

from launcher.ports import free_port
from launcher.postgres import SUPERUSER, Postgres
from launcher.runtime import prepare, state_folder
from tests.support import product
from tests.support.servers import Database, Servers, running_servers


@dataclass(frozen=True)
class Place:
    """A running PostgreSQL and Valkey, a migrated database, and the product's environment."""

    servers: Servers
    database: Database
    environment: dict[str, str]
    app: Flask


@contextmanager
def place() -> Iterator[Place]:
    """Start the servers, migrate, build the application; clean up on leaving."""
    with _durable_postgres(), running_servers() as servers:
        port, sandbox_port = free_port(), free_port()
        empty = servers.database("template1")
        values = product.environment(empty, servers.redis_url, port=port, sandbox_port=sandbox_port)
        database = product.migrated_template(servers, values)
        environment = product.environment(
            database, servers.redis_url, port=port, sandbox_port=sandbox_port
        )
        with product.environ(environment):
            app = product.build_app()
            with app.app_context():
                yield Place(servers, database, environment, app)
                app.extensions["sqlalchemy"].engine.dispose()


def settings(here: Place) -> str:
    """Return the server's version and what it promises about a commit, in one line."""
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
    with psycopg.connect(here.database.owner_url) as connection:
        shown = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in names}
    return "PostgreSQL " + ", ".join(
        [shown.pop("server_version"), *(f"{name}={value}" for name, value in shown.items())]
    )


@contextmanager
def _durable_postgres() -> Iterator[None]:
    if os.environ.get("DATABASE_OWNER_URL") or os.environ.get("DATABASE_URL"):
        yield
        return
    temporary = Path(tempfile.mkdtemp(prefix="jiaoqing-bench-"))
    state = state_folder(temporary)
    password = secrets.token_urlsafe(16)
    server = Postgres(prepare(state), state, password=password, durable=True)
    try:
        server.start()
        address = server.url(SUPERUSER, password, "postgres")
        with product.environ({"DATABASE_OWNER_URL": address}):
            yield
    finally:
        server.stop()
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)
