"""The composition root: settings, database, clocks, web faces and commands, wired once."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import text

from backend import clock, config, schema  # noqa: F401  (schema completes the metadata)
from backend.db import db, engine_options

migrate = Migrate(directory="migrations", compare_type=True)


def create_app(settings: config.Settings | None = None, *, pool_size: int = 5) -> Flask:
    """Build the application. Raises config.UnsafeConfiguration (see config.load)."""
    settings = settings or config.load()
    app = Flask("backend")
    app.json.ensure_ascii = False
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(pool_size=pool_size),
        MAX_CONTENT_LENGTH=32 * 1024 * 1024,
    )
    db.init_app(app)
    migrate.init_app(app, db)
    _wire_clock(app, settings)
    return app


def _wire_clock(app: Flask, settings: config.Settings) -> None:
    """Outside production the business offset is one database row; in production there is none."""
    if settings.is_production:
        clock.set_offset_source(None)
        return

    def read_offset() -> timedelta:
        with app.app_context(), db.engine.connect() as connection:
            seconds = connection.execute(
                text("SELECT offset_seconds FROM business_clock WHERE id = 1")
            ).scalar()
        return timedelta(seconds=seconds or 0)

    clock.set_offset_source(read_offset)
