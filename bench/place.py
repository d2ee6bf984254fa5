"""Where measurements happen: durable servers of our own and the product on a fresh database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask

from launcher.ports import free_port
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
    with running_servers() as servers:
        port, sandbox_port = free_port(), free_port()
        empty = servers.database("template1")
        values = product.environment(
            empty, servers.redis_url, port=port, sandbox_port=sandbox_port
        )
        database = product.migrated_template(servers, values)
        environment = product.environment(
            database, servers.redis_url, port=port, sandbox_port=sandbox_port
        )
        with product.environ(environment):
            app = product.build_app()
            with app.app_context():
                yield Place(servers, database, environment, app)
                app.extensions["sqlalchemy"].engine.dispose()
