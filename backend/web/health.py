"""Is the process alive, and is what it needs there?

`/healthz` touches nothing. `/readyz` fails (503) without the database or with a schema that is
not this code's; without Redis it only says so, because Redis holds hints (design 1).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from flask import Flask, current_app, jsonify
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from backend import clock, tasks
from backend.db import db
from backend.web.auth import policy

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def init_app(app: Flask) -> None:
    """Register both addresses."""
    app.add_url_rule("/healthz", "healthz", healthz)
    app.add_url_rule("/readyz", "readyz", readyz)


@policy("public")
def healthz() -> Any:
    """The process answers."""
    return jsonify(status="ok")


@policy("public")
def readyz() -> Any:
    """{status: ok|degraded|down, database, migrations, redis, oldest_due_seconds}."""
    report: dict[str, Any] = {"database": "ok", "migrations": "ok", "redis": _redis()}
    try:
        report["migrations"] = schema_state()
        if report["migrations"] == "ok":
            age = tasks.oldest_age(clock.business_now())
            report["oldest_due_seconds"] = int(age.total_seconds()) if age else 0
    except SQLAlchemyError:
        db.session.rollback()
        report["database"], report["migrations"] = "down", "unknown"
    down = report["database"] != "ok" or report["migrations"] != "ok"
    report["status"] = "down" if down else "ok" if report["redis"] == "ok" else "degraded"
    return jsonify(report), 503 if down else 200


def schema_state() -> str:
    """Return whether the schema is this code's: 'ok', 'behind' (or ahead), or 'missing'."""
    db.session.execute(text("SELECT 1"))
    if not db.session.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL")):
        return "missing"
    found = set(db.session.scalars(text("SELECT version_num FROM alembic_version")))
    return "ok" if found == _heads() else "behind"


@cache
def _heads() -> set[str]:
    return set(ScriptDirectory(str(MIGRATIONS)).get_heads())


def _redis() -> str:
    url = current_app.config["SETTINGS"].redis_url
    if not url:
        return "not configured"
    try:
        with Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=0.5) as client:
            client.ping()
        return "ok"
    except RedisError:
        return "down"
