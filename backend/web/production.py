"""Production refuses to start on a database that would not keep the promises.

`backend.config` judges the settings without asking anybody; this asks the database itself: who
the application role is, what it may change, and whether the schema is this code's. What cannot be
asked is refused too: a supervisor starts the process again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from backend.config import UnsafeConfiguration
from backend.db import db
from backend.web.health import schema_state

APPEND_ONLY = ("posting", "journal", "audit_event", "audit_seal", "inbox")
_SCHEMA = {
    "missing": "The database has no schema; run `flask db upgrade`.",
    "behind": "The database schema is not this version's; run `flask db upgrade`.",
}


def refuse_unsafe_database(app: Flask) -> None:
    """Raise UnsafeConfiguration with every reason; do nothing outside production.

    `flask db …` may run on a schema that is missing or old, and may renew the grants; the role is
    judged for it as well.
    """
    settings = app.config["SETTINGS"]
    if not settings.is_production:
        return
    try:
        with app.app_context():
            problems = list(_problems(migrating=_is_migrating()))
            db.session.remove()
            db.engine.dispose()  # gunicorn forks after this
    except SQLAlchemyError as error:
        problems = [f"The database cannot be asked ({type(error).__name__}); check DATABASE_URL."]
    if problems:
        raise UnsafeConfiguration(
            "生产环境拒绝启动 / Production refuses to start: " + " ".join(problems)
        )


def _problems(*, migrating: bool) -> Iterator[str]:
    role = db.session.execute(
        text(
            "SELECT rolname, rolsuper, rolcreaterole, rolbypassrls FROM pg_roles"
            " WHERE rolname = current_user"
        )
    ).one()
    if role.rolsuper:
        yield f"The role {role.rolname} of DATABASE_URL is a superuser; use one that owns nothing."
        return
    if role.rolcreaterole or role.rolbypassrls:
        yield f"The role {role.rolname} of DATABASE_URL has CREATEROLE or BYPASSRLS; take it away."
    if owned := _owned():
        yield f"The role {role.rolname} of DATABASE_URL owns {owned}; use one that owns nothing."
    if migrating:
        return
    if (state := schema_state()) != "ok":
        yield _SCHEMA[state]
    elif not owned and (open_tables := _changeable()):
        yield (
            f"The role {role.rolname} may change rows of {', '.join(open_tables)};"
            " run `flask db upgrade`, which renews its rights."
        )


def _owned() -> str:
    """Name something the role owns, itself or through a role it belongs to; '' for nothing."""
    found: Any = db.session.scalar(
        text(
            """
            SELECT what FROM (
                SELECT 'the database' AS what, datdba AS owner FROM pg_database
                WHERE datname = current_database()
                UNION ALL
                SELECT 'the schema ' || nspname, nspowner FROM pg_namespace
                WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
                UNION ALL
                SELECT 'the table ' || relname, relowner FROM pg_class c
                JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_'
                AND nspname <> 'information_schema') everything
            WHERE pg_has_role(owner, 'MEMBER') ORDER BY what LIMIT 1
            """
        )
    )
    return found or ""


def _changeable() -> list[str]:
    """Return the append-only tables whose rows the role could change (design 4.1)."""
    rights = text("SELECT has_table_privilege(:name, 'UPDATE, DELETE, TRUNCATE')")
    return [name for name in APPEND_ONLY if db.session.scalar(rights, {"name": name})]


def _is_migrating() -> bool:
    """Tell whether this is `flask db …`; the command itself is looked up after the application."""
    return click.get_current_context(silent=True) is not None and "db" in sys.argv
