"""The relay leads by an advisory lock: lost connections and failing looks must not end its lead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from backend import clock, tasks
from backend.db import db, transaction
from backend.jobs import queues, relay

pytestmark = [pytest.mark.chaos, pytest.mark.slow]


@pytest.fixture
def relays(app, servers) -> Iterator[None]:
    """Two relays in threads, as two hosts would run them."""
    stop = threading.Event()

    def run() -> None:
        with app.app_context():
            relay.run_forever(servers.redis_url, stop)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join(15)
        assert not thread.is_alive()


@pytest.fixture
def rung(app, servers, wait_for):
    """Return `rung()`: make a task due and wait until its queue is rung."""
    connection = queues.connect(servers.redis_url)
    queue = queues.queue_named("bulk", connection)

    def check(key: str) -> None:
        queue.empty()
        with app.app_context(), transaction():
            tasks.plan(
                queue="bulk", kind="apply_credit", dedupe_key=key, due_at=clock.business_now(),
                payload={},
            )  # fmt: skip
            db.session.flush()
        wait_for(lambda: queue.count, 15, what="a wake-up")

    return check


def leader(connection) -> int | None:
    """Return the backend that holds the relay's lock."""
    row = connection.execute(
        "SELECT pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE "
        "d.datname = current_database() AND locktype = 'advisory' AND objid = %s AND granted",
        [relay.LEADER_LOCK],
    ).fetchone()
    return row and row[0]


def test_somebody_leads_again_when_the_leader_loses_its_connection(
    relays, rung, clean_database, wait_for
):
    rung("first")
    with psycopg.connect(clean_database.admin_url, autocommit=True) as admin:
        for turn in range(3):
            first = wait_for(lambda: leader(admin), 10)
            admin.execute("SELECT pg_terminate_backend(%s)", [first])
            wait_for(lambda old=first: leader(admin) not in (None, old), 10)
            rung(f"after-{turn}")


def test_a_failing_look_does_not_leave_the_lock_behind(relays, rung, db_owner, wait_for):
    """The look waits for a table and gives up; the lead must be taken again, and only once."""
    rung("before")
    first = wait_for(lambda: leader(db_owner), 10)
    with db_owner.transaction():
        db_owner.execute("LOCK TABLE schedule_run IN ACCESS EXCLUSIVE MODE")
        wait_for(lambda: leader(db_owner) != first, 15, what="the leader to give up")
    rung("after")
