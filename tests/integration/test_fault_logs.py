"""A fault in the log: what failed and where, never whom it was about (C57)."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from backend import clock, tasks
from backend.db import db, transaction
from backend.jobs import handlers
from backend.jobs.work import work
from backend.telemetry import log
from tests.factories.estate import make_estate

PHONE, NAME, CARD = "13900001234", "王小明", "110101199003071234"


def lines(capsys, event: str) -> list[dict]:
    written = [line for line in capsys.readouterr().err.splitlines() if line[:1] == "{"]
    return [entry for entry in map(json.loads, written) if entry["event"] == event]


def violate(_payload) -> None:
    """Break a unique constraint whose DETAIL quotes the name."""
    for _ in range(2):
        db.session.execute(
            text("INSERT INTO party (company_id, source_key, name) SELECT id, :k, :n FROM company"),
            {"k": f"{NAME}{PHONE}", "n": NAME},
        )


def stumble(_payload) -> None:
    raise ValueError(f"no such owner {PHONE} {CARD}")


@pytest.mark.parametrize(
    "fails, error",
    [
        (violate, "UniqueViolation: duplicate key value violates unique constraint"),
        (stumble, "ValueError: no such owner * *"),
    ],
)
def test_a_failed_task_tells_what_and_where_but_nobodys_data(
    ctx, db_owner, capsys, monkeypatch, fails, error
):
    make_estate(houses=1)
    monkeypatch.setitem(handlers.BULK, "fails", fails)
    with transaction():
        tasks.plan(
            queue="bulk", kind="fails", dedupe_key="1", due_at=clock.business_now(), payload={}
        )
    assert work("bulk") == 1
    (told,) = lines(capsys, "task_failed")
    assert told["error"].startswith(error)
    assert any(frame.endswith(fails.__name__) for frame in told["where"])
    assert not [secret for secret in (PHONE, NAME, CARD) if secret in json.dumps(
        told, ensure_ascii=False)]  # fmt: skip
    assert db_owner.execute("SELECT state, last_error FROM task").fetchall() == [
        ("ready", "IntegrityError" if fails is violate else "ValueError")
    ]


def test_exc_info_of_the_running_handler_is_explained_too(ctx, capsys):
    try:
        raise KeyError(PHONE)
    except KeyError:
        log.error("vendor_fault", exc_info=True)
    (told,) = lines(capsys, "vendor_fault")
    assert (told["error"], len(told["where"])) == ("KeyError: '*'", 1)
