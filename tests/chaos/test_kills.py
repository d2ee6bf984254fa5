"""`kill -9` of workers and relay: in mid-batch by the dozen, and at chosen points of one call."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from sqlalchemy import text

from backend.db import db
from tests.chaos.conftest import KILLS
from tests.chaos.test_races import end, hear, start
from tests.factories.estate import TODAY, make_bill, make_estate, set_business_now
from tests.factories.messages import (
    befriend,
    book,
    message_row,
    open_channels,
    plan_reminder,
    send_due,
)
from tests.support.wait import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.alone]


# ---------------------------------------------------------------- by the dozen
def test_they_were_killed_at_work(storm):
    assert storm["kills"] == KILLS
    assert storm["kills_at_work"] > KILLS * 0.6
    assert storm["payments"] > 50
    assert storm["messages"] > 100


def test_nothing_is_lost(storm):
    """Every payment of the platform is booked, and we know of every message that went out."""
    assert storm["wrong"]["lost"] == 0, storm["details"]


def test_nothing_is_doubled(storm):
    """By the platform's own log, by our numbers, and by (bill, stage, window)."""
    assert storm["wrong"]["duplicates"] == 0, storm["details"]


@pytest.mark.covers("S15")
def test_nobody_who_has_paid_was_written_to(storm):
    assert storm["wrong"]["wrongful"] == 0, storm["details"]


def test_nothing_is_stuck(storm):
    assert storm["wrong"]["stuck"] == 0, storm["details"]


# ---------------------------------------------------------------- at a chosen point
@pytest.fixture
def reminder(ctx, sandbox, request) -> int:
    """A reminder that is due, to a follower of the service account, or by SMS only."""
    set_business_now(TODAY, "10:00")
    estate = make_estate()
    home = estate.homes[0]
    files = open_channels(estate, sandbox)
    if "template" in request.node.name:
        befriend(estate, sandbox, home, files, follows=True)
    return plan_reminder(estate, home, [make_bill(estate, home)])


def kill_when(condition, environment: dict[str, str]) -> None:
    """Start a sending worker and `kill -9` it as soon as the platform's book says so."""
    worker: subprocess.Popen = start(environment, "sender", "--threads", "1")
    try:
        assert hear(worker)["ready"]
        wait_for(condition, 20)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait(10)
    finally:
        end(worker)


def let_the_lease_end() -> None:
    """What a minute would do; the dead worker's transaction is gone with its connection."""
    open_ones = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND state = 'idle in transaction' AND pid <> pg_backend_pid()"
    )
    wait_for(lambda: db.session.scalar(open_ones) == 0, 10)
    minute = "interval '1 min'"
    db.session.execute(text(f"UPDATE task SET lease_until = lease_until - {minute}"))
    db.session.execute(text(f"UPDATE message SET calling_at = calling_at - {minute}"))
    db.session.commit()


def test_killed_after_the_sms_went_out(reminder, sandbox, product_environment):
    """The vendor has it, we do not know: we ask by our id and write what it says."""
    sandbox.post("/_sandbox/faults", where="sms.send", kind="slow", ms=1900)
    kill_when(lambda: book(sandbox), product_environment)
    assert message_row(reminder)["state"] == "calling"
    let_the_lease_end()
    sandbox.delete("/_sandbox/faults")
    send_due()
    assert message_row(reminder)["state"] in ("accepted", "delivered")
    assert len(book(sandbox)) == 1
    assert db.session.scalar(text("SELECT count(*) FROM contact_log")) == 1  # it counts (C16)


def test_killed_before_the_template_left(reminder, sandbox, product_environment):
    """Killed while it waited for a token: the vendor knows nothing; it goes out once, later."""
    sandbox.post("/_sandbox/faults", where="wechat.token", kind="delay", ms=1900)
    kill_when(lambda: _asked(sandbox, "wechat.token"), product_environment)
    assert message_row(reminder)["state"] == "calling"
    assert book(sandbox) == []
    let_the_lease_end()
    sandbox.delete("/_sandbox/faults")
    send_due()
    assert message_row(reminder)["state"] == "accepted"
    assert [m["channel"] for m in book(sandbox)] == ["wechat_template"]


def test_killed_after_the_template_went_out(reminder, sandbox, product_environment):
    """It goes out again under the same id, which the platform drops."""
    sandbox.post("/_sandbox/faults", where="wechat.template", kind="slow", ms=1900)
    kill_when(lambda: book(sandbox), product_environment)
    assert message_row(reminder)["state"] == "calling"
    let_the_lease_end()
    sandbox.delete("/_sandbox/faults")
    send_due()
    assert message_row(reminder)["state"] == "accepted"
    assert len(book(sandbox)) == 1
    asked = [r for r in sandbox.get("/_sandbox/book/requests") if r["point"] == "wechat.template"]
    assert len(asked) == 2


def _asked(sandbox, point: str) -> bool:
    return bool(sandbox.get("/_sandbox/book/requests", point=point))
