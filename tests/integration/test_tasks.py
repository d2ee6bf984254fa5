"""The queue of record: a row is given out a few times, not for ever (design 4.9)."""

from __future__ import annotations

from backend import clock, tasks
from backend.db import transaction


def claim() -> list:
    with transaction():
        return tasks.claim(queue="bulk", limit=10, lease_seconds=60)


def test_a_task_under_which_workers_die_is_quarantined_after_five(ctx, db_owner):
    with transaction():
        for key in ("deadly", "good"):
            tasks.plan(
                queue="bulk", kind="x", dedupe_key=key, due_at=clock.business_now(), payload={}
            )
    deadly, good = claim()
    with transaction():
        assert tasks.finish(task_id=good.id, lease_no=good.lease_no)
    for times in range(2, tasks.MAX_TRIES + 1):
        assert claim() == []  # the lease still runs
        db_owner.execute("UPDATE task SET lease_until = now() - interval '1 second'")
        assert [(row.id, row.tries) for row in claim()] == [(deadly.id, times)]
    db_owner.execute("UPDATE task SET lease_until = now() - interval '1 second'")
    assert claim() == []
    assert db_owner.execute(
        "SELECT dedupe_key, state, tries, last_error FROM task ORDER BY id"
    ).fetchall() == [("deadly", "dead", 5, "worker_lost"), ("good", "done", 1, None)]
    assert tasks.due_count(queue="bulk") == 0


def test_a_dead_task_that_a_person_makes_ready_again_is_given_out(ctx, db_owner):
    with transaction():
        tasks.plan(queue="bulk", kind="x", dedupe_key="x", due_at=clock.business_now(), payload={})
    db_owner.execute("UPDATE task SET tries = 5")
    assert [row.tries for row in claim()] == [6]
