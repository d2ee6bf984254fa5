"""Keeping guessers slow: rate limits on log-in, binding and query codes; small bodies.

Counters live in Redis; while it is away every process counts for itself, and no request fails
because counting does. A limit is a brake, not the guard: what must hold is held by the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.middleware.proxy_fix import ProxyFix

View = TypeVar("View", bound=Callable[..., Any])
SMALL_BODY = 128 * 1024

limiter = Limiter(key_func=get_remote_address, strategy="fixed-window", key_prefix="jiaoqing")


def by_actor() -> str:
    """Count per log-in instead of per address."""
    return g.get("actor") or get_remote_address()


def body_limit(size: int) -> Callable[[View], View]:
    """Allow a view larger bodies than SMALL_BODY (bytes); the outermost decorator."""

    def decorate(view: View) -> View:
        view._body_limit = size  # type: ignore[attr-defined]
        return view

    return decorate


@limiter.request_filter
def _is_callback() -> bool:
    """Platforms are admitted by signature and come in hundreds a second: nothing to count."""
    return request.path.startswith("/notify/")


def init_app(app: Flask) -> None:
    """Wire the limiter and the body cap; trust one proxy in production (docs/operations.md)."""
    settings = app.config["SETTINGS"]
    if settings.is_production:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    app.config.update(
        RATELIMIT_STORAGE_URI=settings.redis_url or "memory://",
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=bool(settings.redis_url),
        RATELIMIT_SWALLOW_ERRORS=True,
        RATELIMIT_STORAGE_OPTIONS={"socket_connect_timeout": 0.3, "socket_timeout": 0.3}
        if settings.redis_url
        else {},
    )
    limiter.init_app(app)

    @app.before_request
    def cap_body() -> None:
        view = current_app.view_functions.get(request.endpoint or "")
        request.max_content_length = getattr(view, "_body_limit", SMALL_BODY)
