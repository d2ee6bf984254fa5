"""Take the calendar's due slots and plan their tasks, once per slot whoever asks."""

from __future__ import annotations

from backend import clock, tasks
from backend.db import db, transaction
from backend.estate.models import Community
from backend.usecases.calendar import DAILY, latest_slot


def plan_calendar() -> int:
    """Plan the tasks of every slot that came due and nobody has taken; return how many tasks."""
    now, planned = clock.business_now(), 0
    with transaction():
        for job in DAILY:
            slot = latest_slot(job, now)
            if not tasks.take_slot(job=job.name, slot=slot):
                continue
            for community_id in db.session.scalars(db.select(Community.id)):
                planned += tasks.plan(
                    queue="bulk",
                    kind=job.name,
                    dedupe_key=f"{community_id}:{slot.isoformat()}",
                    due_at=slot,
                    payload={"community_id": community_id},
                    community_id=community_id,
                )
    return planned
