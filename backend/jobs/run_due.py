"""`flask run-due`: what relay and workers would do, in this process, up to now or a later time.

With `until` the business clock walks from due instant to due instant (development only), so that
a month of reminders, promises and retries passes in a minute, in the right order.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text

from backend import clock, tasks
from backend.db import db
from backend.jobs.work import work
from backend.usecases.calendar import next_slot
from backend.usecases.plan_calendar import plan_calendar
from backend.usecases.set_clock import set_business_time

MAX_ROUNDS = 1000


def run_due(*, until: datetime | None = None, report=None) -> dict[str, int]:
    """Work everything due; return {queue: pieces}. `until` is a business instant (aware)."""
    done = dict.fromkeys(tasks.QUEUES, 0)
    _drain(done)
    while until is not None and (instant := _next_instant()) <= until:
        set_business_time(max(instant, clock.business_now()))
        if report:
            report(instant, done)
        _drain(done)
    if until is not None and until > clock.business_now():
        set_business_time(until)
        _drain(done)
    return done


def _drain(done: dict[str, int]) -> None:
    """Repeat until a whole round finds nothing."""
    for _ in range(MAX_ROUNDS):
        plan_calendar()
        pieces = {queue: work(queue) for queue in ("money", "bulk", "messages")}
        for queue, count in pieces.items():
            done[queue] += count
        if not any(pieces.values()):
            return


def _next_instant() -> datetime:
    """Return the next business instant at which something becomes due."""
    now = clock.business_now()
    due = db.session.scalar(
        text("SELECT min(due_at) FROM task WHERE state = 'ready' AND due_at > :now"), {"now": now}
    )
    db.session.rollback()
    slot = next_slot(now)
    return min(due + timedelta(milliseconds=1), slot) if due else slot
