"""Seeing what the web process does without seeing whom it serves.

One JSON log line and one metric per request, tied together by a request id. No query string, no
body, no address with a secret in it: the line names the rule, not the URL. What looks like a
phone number is masked wherever it turns up.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
from typing import Any

import structlog
from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from prometheus_client import REGISTRY as ONE_PROCESS
from prometheus_client.values import MutexValue, ValueClass

from backend import clock
from backend.telemetry import LATENCY, REQUESTS, fault_text, log, where
from backend.web.auth import policy

REQUEST_ID = "X-Request-Id"
_GIVEN_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_PHONE = re.compile(r"(?<![0-9A-Za-z])1[3-9]\d{9}(?![0-9A-Za-z])")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        "font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    ),
}


def configure_logs(level: str) -> None:
    """One JSON object per line on stderr; once per process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp,
            _explain,
            _mask,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _stamp(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    event["at"] = clock.wire_now().isoformat()
    return event


def _explain(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Say what `exc_info` was and where it happened: no traceback text, which quotes values."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exception() if given else None
    if error is not None:
        event.update(error=fault_text(error), where=where(error))
    return event


def _mask(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _PHONE.sub("1**********", value)
    return event


def init_app(app: Flask) -> None:
    """Give every request an id, a log line, a metric and the security headers."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get(REQUEST_ID, "")
        g.request_id = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        g.began = clock.monotonic()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    app.after_request(_end)
    wanted = dict(_HEADERS)
    if app.config["SETTINGS"].is_production:
        wanted["Strict-Transport-Security"] = "max-age=31536000"

    @app.after_request
    def protect(response: Response) -> Response:
        given = {name.lower() for name, _ in response.headers}
        for name, value in wanted.items():
            if name.lower() not in given:
                response.headers.add(name, value)
        if "cache-control" not in given and response.mimetype == "application/json":
            response.headers.add("Cache-Control", "no-store")
        return response

    app.add_url_rule("/metrics", "metrics", metrics)


def _end(response: Response) -> Response:
    endpoint = request.endpoint or "none"
    seconds = clock.monotonic() - g.get("began", clock.monotonic())
    REQUESTS.labels(endpoint, str(response.status_code)).inc()
    LATENCY.labels(endpoint).observe(seconds)
    response.headers[REQUEST_ID] = g.get("request_id", "")
    if endpoint not in ("healthz", "readyz", "metrics"):
        log.info(
            "http",
            method=request.method,
            rule=request.url_rule.rule if request.url_rule else None,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
        )
    return response


@policy("public")
def metrics() -> Response:
    """Prometheus text of this process; of all processes when PROMETHEUS_MULTIPROC_DIR is set."""
    registry = ONE_PROCESS
    if ValueClass is not MutexValue:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
