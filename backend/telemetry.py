"""Counters and the log handle, importable from every floor above the database.

With PROMETHEUS_MULTIPROC_DIR set every process keeps its numbers in files of that folder, and
one `/metrics` adds them all up. Counters and histograms only: a gauge would have to be told how to
add up, and to forget dead processes.
"""

from __future__ import annotations

import re
import traceback

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

_DIGITS = re.compile(r"\d{7,}")  # a phone, an ID or bank card; ids of rows are shorter


def fault_text(error: BaseException) -> str:
    """Return the type and message of an error for a log, without the values it was about.

    Of a database error only the primary message: its DETAIL quotes the row, names and all.
    """
    origin = getattr(error, "orig", None) or error
    diagnosis = getattr(origin, "diag", None)
    if diagnosis is not None:
        message = diagnosis.message_primary or ""
    else:
        message = _DIGITS.sub("*", str(error).partition("\n")[0])[:200]
    return f"{type(origin).__name__}: {message}" if message else type(origin).__name__


def where(error: BaseException) -> list[str]:
    """Return our innermost frames and the last one as file:line function, without any value."""
    frames = traceback.extract_tb(error.__traceback__)
    told = [frame for frame in frames if "site-packages" not in frame.filename][-8:]
    told += [frame for frame in frames[-1:] if frame not in told]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in told]
