"""The relay: one leader by advisory lock; runs the calendar and rings workers that have due work.

It holds no leases and no state; killed, another one (or its own restart) goes on. Redis away is
a log line; PostgreSQL away is a reconnect.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

import sqlalchemy as sa
from redis.exceptions import RedisError
from sqlalchemy import text

from backend import clock
from backend.db import db
from backend.jobs import queues
from backend.telemetry import log
from backend.usecases.plan_calendar import plan_calendar

LEADER_LOCK = 727_003
TICK_SECONDS = 0.25

_DUE = text(
    """
    SELECT 'money' AS queue WHERE
        EXISTS (SELECT 1 FROM inbox_pending WHERE not_before <= :wire)
        OR EXISTS (SELECT 1 FROM payment_order WHERE next_query_at <= :wire)
        OR EXISTS (SELECT 1 FROM refund WHERE next_query_at <= :wire)
        OR EXISTS (SELECT 1 FROM audit_pending)
    UNION ALL
    SELECT DISTINCT q.queue FROM (VALUES ('money'), ('messages'), ('bulk')) q(queue)
    WHERE EXISTS (SELECT 1 FROM task t WHERE t.queue = q.queue AND t.due_at <= :business
                  AND (t.not_before IS NULL OR t.not_before <= :wire)
                  AND (t.state = 'ready' OR (t.state = 'leased' AND t.lease_until < :wire)))
    """
)


def due_queues() -> set[str]:
    """Return the queues that have something to do now."""
    rows = db.session.execute(
        _DUE, {"wire": clock.wire_now(), "business": clock.business_now()}
    ).scalars()
    found = set(rows)
    db.session.rollback()
    return found


def run_forever(redis_url: str, stop: threading.Event | None = None) -> None:
    """Tick until SIGTERM; leads only while it holds the advisory lock."""
    stop = stop or _stop_on_signal()
    connection = queues.connect(redis_url)
    while not stop.is_set():
        try:
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as leader:
                leader.detach()  # closed for good on leaving: a pooled one would keep the lock
                _lead(leader, connection, stop)
        except sa.exc.SQLAlchemyError as error:
            log.warning("relay_database_away", error=type(error).__name__)
            db.session.remove()
            stop.wait(1)


def _lead(leader: Any, connection: Any, stop: threading.Event) -> None:
    got = False
    while not stop.is_set():
        if not got:
            got = leader.scalar(text("SELECT pg_try_advisory_lock(:k)"), {"k": LEADER_LOCK})
        if got:
            leader.execute(text("SELECT 1"))  # the lock lives as long as this connection
            tick(connection)
        stop.wait(TICK_SECONDS if got else 1)


def tick(connection: Any) -> set[str]:
    """One look: take due calendar slots, ring queues with due work; return the queues rung."""
    plan_calendar()
    due = due_queues()
    for name in sorted(due):
        try:
            queues.ring(name, connection)
        except RedisError as error:
            log.warning("relay_redis_away", error=type(error).__name__)
            break
    db.session.remove()
    return due


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
