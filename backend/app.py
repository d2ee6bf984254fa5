"""The composition root: settings, database, clocks, web faces and commands, wired once."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask, has_app_context
from flask_migrate import Migrate
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from admin import api as admin_api
from backend import api as owner_api
from backend import cli, clock, config, h5, schema, web  # noqa: F401  (schema: all tables)
from backend.api import webhooks
from backend.db import db, engine_options
from backend.web.production import refuse_unsafe_database

migrate = Migrate(directory="migrations", compare_type=True)


def create_app(settings: config.Settings | None = None) -> Flask:
    """Build the application. Raises config.UnsafeConfiguration (config.load, web.production)."""
    settings = settings or config.load()
    if not settings.database_url:
        raise config.UnsafeConfiguration(
            "DATABASE_URL is not set: run `make run` once (it writes var/env), or set it."
        )
    app = Flask("backend", static_folder=None)
    app.json.ensure_ascii = False
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(pool_size=settings.db_pool_size),
        MAX_CONTENT_LENGTH=32 * 1024 * 1024,
    )
    db.init_app(app)
    migrate.init_app(app, db)
    _wire_clock(app, settings)
    _wire_faces(app)
    refuse_unsafe_database(app)
    return app


def _wire_faces(app: Flask) -> None:
    """Owner API, admin API, callbacks, quick-pay pages, the steward page, commands."""
    owner = web.make_api(app, prefix="OWNER", title="缴清 · 业主接口", url="/api/v1")
    admin = web.make_api(app, prefix="ADMIN", title="缴清 · 管理接口", url="/admin/api/v1")
    web.init_app(app)
    owner_api.register(owner)
    admin_api.register(admin)
    webhooks.register(app)
    h5.register(app)
    cli.register(app)


def _wire_clock(app: Flask, settings: config.Settings) -> None:
    """Outside production the business offset is one database row; in production there is none."""
    if settings.is_production:
        clock.set_offset_source(None)
        return

    offset = text("SELECT offset_seconds FROM business_clock WHERE id = 1")

    def read_offset() -> timedelta:
        # Inside a transaction its own connection is asked: a thread that holds one connection and
        # waits for a second can starve the pool.
        if has_app_context() and db.session().in_transaction():
            try:
                return timedelta(seconds=db.session.connection().execute(offset).scalar() or 0)
            except SQLAlchemyError:
                pass  # a failed transaction answers nothing
        with app.app_context(), db.engine.connect() as connection:
            return timedelta(seconds=connection.execute(offset).scalar() or 0)

    clock.set_offset_source(read_offset)
