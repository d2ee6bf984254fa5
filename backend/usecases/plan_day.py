"""The morning of one community: message acts and call tasks that are due today (S23–S25, S31)."""

from __future__ import annotations

from sqlalchemy import text

from backend import clock
from backend.db import db, transaction
from backend.dunning import operations as dunning
from backend.reminders import operations as reminders


def plan_day(*, community_id: int) -> tuple[int, int]:
    """Plan today's messages and call tasks; return (messages, tasks). Safe to run again."""
    now, today = clock.business_now(), clock.business_today()
    with transaction():
        # one planner per community at a time, whoever runs it
        db.session.execute(
            text("SELECT pg_advisory_xact_lock(727004, CAST(:c AS int))"),
            {"c": community_id % 2**31},
        )
        messages = reminders.plan_reminders(
            community_id=community_id,
            today=today,
            due_at=max(now, reminders.start_of_day(today)),
        )
        calls = dunning.plan_call_tasks(community_id=community_id, today=today, now=now)
    return messages, calls
