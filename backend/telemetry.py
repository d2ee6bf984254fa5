"""Counters and the log handle, importable from every floor above the database.

With PROMETHEUS_MULTIPROC_DIR set every process keeps its numbers in files of that folder, and
one `/metrics` adds them all up; a gauge must then say how (`multiprocess_mode`).
"""

from __future__ import annotations

import structlog
from prometheus_client import Counter, Gauge, Histogram

log = structlog.get_logger("jiaoqing")

REQUESTS = Counter("jiaoqing_http_requests_total", "HTTP answers", ["endpoint", "status"])
LATENCY = Histogram("jiaoqing_http_seconds", "HTTP time", ["endpoint"])
IN_HAND = Gauge(
    "jiaoqing_http_in_hand", "HTTP calls being answered", ["endpoint"], multiprocess_mode="livesum"
)
NOTICES = Counter("jiaoqing_notices_total", "Platform notices", ["channel", "result"])
SETTLED = Counter("jiaoqing_settled_total", "Settled payments", ["channel", "result"])
MESSAGES = Counter("jiaoqing_messages_total", "Messages by outcome", ["channel", "result"])
PERMITS = Counter("jiaoqing_permits_total", "Send permits", ["decision", "reason"])
TASKS = Counter("jiaoqing_tasks_total", "Tasks by outcome", ["kind", "result"])
