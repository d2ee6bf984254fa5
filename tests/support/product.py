"""The product against the test servers: its environment, its database, its HTTP server."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from flask import Flask
from flask_migrate import upgrade
from werkzeug.serving import make_server

from tests.support.servers import Database, Servers

PROJECT = Path(__file__).resolve().parents[2]
_CLEAN = Path(__file__).with_name("clean.sql")


def environment(database: Database, redis_url: str, *, port: int, sandbox_port: int) -> dict:
    """Return every variable the product reads, pointing at the test servers and sandbox."""
    sandbox = f"http://127.0.0.1:{sandbox_port}"
    return {
        "APP_ENV": "development",
        "DATABASE_URL": database.app_url,
        "DATABASE_OWNER_URL": database.owner_url,
        "REDIS_URL": redis_url,
        "PORT": str(port),
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "WECHAT_API_BASE": sandbox,
        "WECHATPAY_API_BASE": sandbox,
        "ALIPAY_GATEWAY": f"{sandbox}/gateway.do",
        "SMS_ENDPOINT": sandbox,
        "VOICE_ENDPOINT": sandbox,
    }


@contextmanager
def environ(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables and put the old ones back on leaving.

    SECRET_KEY and DATA_KEY of the machine are hidden: tests use the development keys.
    """
    before = dict(os.environ)
    for name in ("SECRET_KEY", "DATA_KEY"):
        os.environ.pop(name, None)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def build_app() -> Flask:
    """Return the product's application for the current environment."""
    from backend.app import create_app

    app = create_app()
    app.testing = True
    return app


def migrated_template(servers: Servers, values: dict[str, str]) -> Database:
    """Create the template database: migrations applied as the owner, the sweeper installed."""
    template = servers.create("template")
    urls = {"DATABASE_URL": template.app_url, "DATABASE_OWNER_URL": template.owner_url}
    with environ({**values, **urls}):
        app = build_app()
        with app.app_context():
            upgrade(directory=str(PROJECT / "migrations"))
            app.extensions["sqlalchemy"].engine.dispose()
    with psycopg.connect(template.admin_url, autocommit=True) as admin:
        admin.execute(_CLEAN.read_text(encoding="utf-8"))
    return template


class LiveServer:
    """The product listening on a real port, in a thread of the test process."""

    def __init__(self, app: Flask, port: int) -> None:
        self.app = app
        self.url = f"http://127.0.0.1:{port}"
        self._server = make_server("127.0.0.1", port, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
