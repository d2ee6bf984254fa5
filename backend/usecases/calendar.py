"""The daily slots. A missed day is caught up once, at the current stage, never as a burst.

Only the latest slot of a job that has passed is looked at; a row in `schedule_run` lets exactly
one relay have it (design 4.9). Times are Asia/Shanghai business times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from backend.clock import SHANGHAI


@dataclass(frozen=True)
class DailyJob:
    """A bulk task planned for every community once a day."""

    name: str
    at: time


DAILY = (
    DailyJob("review_promises", time(6, 30)),
    DailyJob("plan_day", time(7, 0)),
)


def latest_slot(job: DailyJob, now: datetime) -> datetime:
    """Return the last instant at or before `now` at which the job was due."""
    local = now.astimezone(SHANGHAI)
    slot = datetime.combine(local.date(), job.at, tzinfo=SHANGHAI)
    return slot if slot <= local else slot - timedelta(days=1)


def next_slot(now: datetime) -> datetime:
    """Return the next slot of any job after `now` (for `flask run-due --until`)."""
    return min(latest_slot(job, now) + timedelta(days=1) for job in DAILY)
