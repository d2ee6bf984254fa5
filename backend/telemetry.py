"""Counters and the log handle, importable from every floor above the database."""

from __future__ import annotations

import structlog
from prometheus_client import Counter, Histogram

log = structlog.get_logger("jiaoqing")

REQUESTS = Counter("jiaoqing_http_requests_total", "HTTP answers", ["endpoint", "status"])
LATENCY = Histogram("jiaoqing_http_seconds", "HTTP time", ["endpoint"])
NOTICES = Counter("jiaoqing_notices_total", "Platform notices", ["channel", "result"])
SETTLED = Counter("jiaoqing_settled_total", "Settled payments", ["channel", "result"])
MESSAGES = Counter("jiaoqing_messages_total", "Messages by outcome", ["channel", "result"])
PERMITS = Counter("jiaoqing_permits_total", "Send permits", ["decision", "reason"])
TASKS = Counter("jiaoqing_tasks_total", "Tasks by outcome", ["kind", "result"])
