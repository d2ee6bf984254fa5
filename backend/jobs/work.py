"""What a woken worker does: look for due work of its queue until none is left or its time is up.

The same three functions serve `flask run-due`, so that what runs in production is what a
newcomer runs by hand. A wake-up carries no state (design 2).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import current_app

from backend import clock, tasks
from backend.db import db, transaction
from backend.jobs.handlers import BULK
from backend.telemetry import TASKS, log
from backend.usecases.query_orders import query_orders
from backend.usecases.query_refunds import query_refunds
from backend.usecases.recover_message import recover_message
from backend.usecases.seal import seal_audit
from backend.usecases.send_message import Claim, LeaseLost, send_message
from backend.usecases.settle_payments import settle_payments

BUDGET_SECONDS = {"money": 10, "messages": 20, "bulk": 60}
LEASE_SECONDS = {"messages": 45, "bulk": 900}
SETTLE_SECONDS = 2  # of settling between two looks at what else is due
MESSAGE_BATCH, MESSAGE_THREADS = 48, 8
_SEND = {"send_message": send_message, "ask_message": recover_message}


def work(queue: str, *, threads: int = MESSAGE_THREADS) -> int:
    """Do what is due on a queue; return how many pieces were worked on."""
    step: Callable[[], int] = {
        "money": _money,
        "messages": lambda: _messages(threads),
        "bulk": _bulk,
    }[queue]
    until = clock.monotonic() + BUDGET_SECONDS[queue]
    total = 0
    while clock.monotonic() < until:
        done = step()
        db.session.remove()
        total += done
        if not done:
            break
    return total


def _money() -> int:
    """Settle first, ask second, seal last; a slow platform delays only its own questions."""
    done, until = 0, clock.monotonic() + SETTLE_SECONDS
    while settled := settle_payments():
        done += settled
        if clock.monotonic() > until:
            break
    done += query_orders(limit=8) + query_refunds(limit=8)
    seal_audit()
    return done


def _claim(queue: str, limit: int) -> list[Any]:
    with transaction():
        return tasks.claim(queue=queue, limit=limit, lease_seconds=LEASE_SECONDS[queue])


def _messages(threads: int) -> int:
    rows = _claim("messages", MESSAGE_BATCH)
    if not rows:
        return 0
    app = current_app._get_current_object()

    def one(row: Any) -> None:
        with app.app_context():
            try:
                _one_message(row)
            finally:
                db.session.remove()

    if threads == 1:
        for row in rows:
            _one_message(row)
    else:
        with ThreadPoolExecutor(max_workers=threads) as pool:
            list(pool.map(one, rows))
    return len(rows)


def _one_message(row: Any) -> None:
    claim = Claim(row.id, row.lease_no)
    try:
        state = _SEND[row.kind](message_id=row.payload["message_id"], claim=claim)
        TASKS.labels(row.kind, state).inc()
    except LeaseLost:
        db.session.rollback()
        TASKS.labels(row.kind, "lease_lost").inc()
    except Exception as error:
        _failed(row, error)


def _bulk() -> int:
    rows = _claim("bulk", 1)
    for row in rows:
        try:
            BULK[row.kind](row.payload)
            with transaction():
                tasks.finish(task_id=row.id, lease_no=row.lease_no)
            TASKS.labels(row.kind, "done").inc()
        except Exception as error:
            _failed(row, error)
    return len(rows)


def _failed(row: Any, error: Exception) -> None:
    """Put the row back with a delay; after five tries it is quarantined for a person to see."""
    db.session.rollback()
    log.error("task_failed", kind=row.kind, task_id=row.id, exc_info=error)
    TASKS.labels(row.kind, "failed").inc()
    with transaction():
        tasks.fail(task_id=row.id, lease_no=row.lease_no, error=type(error).__name__)
