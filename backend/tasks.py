"""The queue of record: due rows with leases in PostgreSQL; RQ only wakes a worker (design 4.9).

A worker claims a batch of due rows with SKIP LOCKED when it starts, each with a lease and an
attempt number (`lease_no`). Finishing needs the attempt number, so a worker that lost its lease
cannot commit a result. `due_at` runs on the business clock (quiet hours, dates); `not_before`
on the real clock (back-off after a failure).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from backend import clock
from backend.db import Code, Pk, db

QUEUES = ("money", "messages", "bulk")
MAX_TRIES = 5
_BACKOFF_SECONDS = (5, 30, 120, 600, 3600)


class Task(db.Model):
    """One unit of due work. payload carries ids and dates only."""

    __tablename__ = "task"
    __table_args__ = (
        UniqueConstraint("kind", "dedupe_key"),
        CheckConstraint("state IN ('ready','leased','done','dead','cancelled')", name="state"),
        CheckConstraint("queue IN ('money','messages','bulk')", name="queue"),
        Index(
            "ix_task_due", "queue", "due_at", "id",
            postgresql_where=text("state IN ('ready','leased')"),
        ),
    )  # fmt: skip
    id: Mapped[Pk]
    queue: Mapped[Code]
    kind: Mapped[Code]
    dedupe_key: Mapped[Code]
    community_id: Mapped[int | None]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    state: Mapped[Code] = mapped_column(server_default="ready")
    due_at: Mapped[datetime]
    not_before: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(server_default="0")
    lease_no: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    done_at: Mapped[datetime | None]


class ScheduleRun(db.Model):
    """One row per (job, slot): several relays may try, one runs it (design 4.9)."""

    __tablename__ = "schedule_run"
    job: Mapped[Code] = mapped_column(primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)
    at: Mapped[datetime]


def plan(
    *,
    queue: str,
    kind: str,
    dedupe_key: str,
    due_at: datetime,
    payload: dict[str, Any],
    community_id: int | None = None,
) -> bool:
    """Add a due row unless (kind, dedupe_key) exists; return whether it was added."""
    statement = (
        insert(Task)
        .values(
            queue=queue, kind=kind, dedupe_key=dedupe_key, due_at=due_at, payload=payload,
            community_id=community_id,
        )
        .on_conflict_do_nothing()
        .returning(Task.id)
    )  # fmt: skip
    return db.session.execute(statement).first() is not None


_WORN_OUT = "state = 'leased' AND tries >= :max"  # each time the lease ran out
_CLAIM = text(
    f"""
    UPDATE task SET lease_no = lease_no + 1,
           state = CASE WHEN {_WORN_OUT} THEN 'dead' ELSE 'leased' END,
           tries = CASE WHEN {_WORN_OUT} THEN tries ELSE tries + 1 END,
           last_error = CASE WHEN {_WORN_OUT} THEN 'worker_lost' ELSE last_error END,
           lease_until = CASE WHEN {_WORN_OUT} THEN NULL
                         ELSE :wire + make_interval(secs => :lease) END
    WHERE id IN (
        SELECT id FROM task
        WHERE queue = :queue AND due_at <= :business
          AND (CAST(:kinds AS text[]) IS NULL OR kind = ANY(CAST(:kinds AS text[])))
          AND (not_before IS NULL OR not_before <= :wire)
          AND (state = 'ready' OR (state = 'leased' AND lease_until < :wire))
        ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, payload, tries, lease_no, community_id, state
    """
)


def claim(
    *, queue: str, limit: int, lease_seconds: int, kinds: list[str] | None = None
) -> list[Any]:
    """Lease up to `limit` due rows; return rows (id, kind, payload, tries, lease_no).

    A row whose workers died under it MAX_TRIES times is quarantined as 'dead' instead: `fail` does
    so for errors that a worker lives to tell.
    """
    rows = db.session.execute(
        _CLAIM,
        {
            "queue": queue, "limit": limit, "lease": lease_seconds, "kinds": kinds,
            "wire": clock.wire_now(), "business": clock.business_now(), "max": MAX_TRIES,
        },
    )  # fmt: skip
    return sorted((row for row in rows if row.state == "leased"), key=lambda row: row.id)


def finish(*, task_id: int, lease_no: int) -> bool:
    """Mark done if the attempt number still holds; False means the lease was lost: roll back."""
    return _move(task_id, lease_no, "state = 'done', done_at = :wire, lease_until = NULL")


def postpone(
    *, task_id: int, lease_no: int, due_at: datetime, reason: str, keep_tries: bool = False
) -> bool:
    """Give the row back for a later business instant; a postponement is not a failed try.

    keep_tries: this look followed a try that failed, which stays counted.
    """
    return _move(
        task_id, lease_no,
        "state = 'ready', tries = CASE WHEN :keep THEN tries ELSE 0 END, due_at = :due_at, "
        "lease_until = NULL, last_error = :reason",
        due_at=due_at, reason=reason, keep=keep_tries,
    )  # fmt: skip


def is_last_try(*, task_id: int) -> bool:
    """Tell whether a failure of the running try would make the row 'dead'."""
    return bool(
        db.session.scalar(
            text("SELECT tries >= :max FROM task WHERE id = :id"),
            {"id": task_id, "max": MAX_TRIES},
        )
    )


def fail(*, task_id: int, lease_no: int, error: str) -> bool:
    """Back off after a failure; after MAX_TRIES the row is quarantined as 'dead' for a person."""
    return _move(
        task_id, lease_no,
        """state = CASE WHEN tries >= :max THEN 'dead' ELSE 'ready' END, lease_until = NULL,
           last_error = :error,
           not_before = :wire
               + make_interval(secs => (CAST(:backoff AS int[]))[least(tries, 5)])""",
        error=error[:500], max=MAX_TRIES, backoff=list(_BACKOFF_SECONDS),
    )  # fmt: skip


def _move(task_id: int, lease_no: int, change: str, **values: Any) -> bool:
    result = db.session.execute(
        text(f"UPDATE task SET {change} WHERE id = :id AND lease_no = :no AND state = 'leased'"),
        {"id": task_id, "no": lease_no, "wire": clock.wire_now(), **values},
    )
    return result.rowcount == 1


def due_count(*, queue: str) -> int:
    """Return how many rows of the queue are due now (for waking workers)."""
    return db.session.scalar(
        text(
            "SELECT count(*) FROM (SELECT 1 FROM task WHERE queue = :q AND due_at <= :b "
            "AND (not_before IS NULL OR not_before <= :w) AND (state = 'ready' OR "
            "(state = 'leased' AND lease_until < :w)) LIMIT 1000) s"
        ),
        {"q": queue, "b": clock.business_now(), "w": clock.wire_now()},
    )


def oldest_age(now: datetime) -> timedelta | None:
    """Return how long the oldest due row has waited, None when nothing waits (for /readyz)."""
    due = db.session.scalar(
        text("SELECT min(due_at) FROM task WHERE state = 'ready' AND due_at <= :now"), {"now": now}
    )
    return now - due if due else None


def take_slot(*, job: str, slot: datetime) -> bool:
    """Return True for the one caller that gets to run this slot of the calendar."""
    statement = (
        insert(ScheduleRun)
        .values(job=job, slot=slot, at=clock.wire_now())
        .on_conflict_do_nothing()
        .returning(ScheduleRun.job)
    )
    return db.session.execute(statement).first() is not None


HOLD = """SELECT 1 FROM task WHERE id = :task_id AND lease_no = :lease_no AND state = 'leased'
    FOR UPDATE"""
"""SQL of `hold`, for a statement that does more."""


def hold(*, task_id: int, lease_no: int) -> bool:
    """Lock the row if this attempt still owns it; an orphan with an old number gets False.

    Nobody can claim the row while the caller's transaction lasts (SKIP LOCKED passes it by).
    """
    held = db.session.execute(text(HOLD), {"task_id": task_id, "lease_no": lease_no})
    return held.first() is not None
