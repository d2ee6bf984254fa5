"""Runs migrations as the owner role and renews the application role's grants afterwards."""

from pathlib import Path

import sqlalchemy as sa
from alembic import context
from flask import current_app

from backend.db import db

settings = current_app.config["SETTINGS"]
GRANTS = Path(__file__).with_name("grants.sql").read_text()


def include_object(obj, name, type_, reflected, compare_to):
    """Leave the check views' schema to its own migration."""
    return not (type_ == "table" and getattr(obj, "schema", None) == "check_v1")


def renew_grants(connection):
    """Grant the application role what it needs and no more (design 4.1)."""
    app_role = sa.engine.make_url(settings.database_url).username
    owner = connection.scalar(sa.text("SELECT current_user"))
    for role in {app_role, "jiaoqing_application"}:
        exists = connection.scalar(
            sa.text("SELECT 1 FROM pg_roles WHERE rolname = :r"), {"r": role}
        )
        if role and role != owner and exists:
            connection.exec_driver_sql(GRANTS.replace("{role}", f'"{role}"'))


def run():
    engine = sa.create_engine(settings.database_owner_url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=db.metadata, compare_type=True,
            include_object=include_object, transaction_per_migration=False,
        )  # fmt: skip
        with context.begin_transaction():
            context.run_migrations()
            if sa.inspect(connection).has_table("audit_event"):
                renew_grants(connection)


run()
