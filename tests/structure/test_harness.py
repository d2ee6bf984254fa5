"""The harness itself: a test sees nothing of the one before it, and nothing it must not see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import psycopg
import pytest

from tests.support import ports
from tests.support.ports import own_port
from tests.support.wait import wait_for

PROJECT = Path(__file__).resolve().parents[2]
FORGOTTEN: list[psycopg.Connection] = []


def leave_traces(db_owner: psycopg.Connection) -> None:
    db_owner.execute("UPDATE business_clock SET offset_seconds = 99")
    db_owner.execute("CREATE TABLE IF NOT EXISTS trace (id bigint GENERATED ALWAYS AS IDENTITY)")
    db_owner.execute("INSERT INTO trace DEFAULT VALUES")


@pytest.mark.parametrize("time", [1, 2])
def test_rows_and_reference_rows_are_put_back(app, db_owner: psycopg.Connection, time: int):
    assert db_owner.execute("SELECT id, offset_seconds FROM business_clock").fetchall() == [(1, 0)]
    if time == 2:
        assert db_owner.execute("SELECT count(*) FROM trace").fetchone() == (0,)
        db_owner.execute("DROP TABLE trace")
    else:
        leave_traces(db_owner)


@pytest.mark.parametrize("time", [1, 2])
def test_append_only_rows_are_swept_too(db_owner: psycopg.Connection, time: int):
    """The sweep works under a replica's role: guards stay silent for it and for nobody else."""
    if time == 1:
        db_owner.execute("CREATE TABLE sealed (id int)")
        db_owner.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'append only'; END $$"
        )
        db_owner.execute(
            "CREATE TRIGGER guard BEFORE DELETE OR TRUNCATE ON sealed EXECUTE FUNCTION refuse()"
        )
        db_owner.execute("INSERT INTO sealed SELECT generate_series(1, 20000)")
        with pytest.raises(psycopg.errors.RaiseException):
            db_owner.execute("DELETE FROM sealed")
    else:
        assert db_owner.execute("SELECT count(*) FROM sealed").fetchone() == (0,)
        db_owner.execute("DROP TABLE sealed; DROP FUNCTION refuse")


def test_a_forgotten_transaction(clean_database):
    forgotten = psycopg.connect(clean_database.owner_url)
    forgotten.execute("UPDATE business_clock SET offset_seconds = 5")
    FORGOTTEN.append(forgotten)


def test_a_forgotten_transaction_is_ended(db_owner: psycopg.Connection):
    assert db_owner.execute("SELECT offset_seconds FROM business_clock").fetchone() == (0,)
    for forgotten in FORGOTTEN:
        with pytest.raises(psycopg.OperationalError):
            forgotten.commit()


def test_ids_of_two_tables_do_not_meet(db_owner: psycopg.Connection):
    """Each table counts from its own number, so a mixed-up id is found and not matched."""
    starts = db_owner.execute(
        "SELECT last_value FROM pg_sequences s WHERE schemaname = 'public'"
        " AND start_value = 1 AND last_value IS NOT NULL"
    ).fetchall()
    assert starts == [], "every sequence is at its beginning"
    houses = db_owner.execute("SELECT nextval(pg_get_serial_sequence('house', 'id'))").fetchone()
    bills = db_owner.execute("SELECT nextval(pg_get_serial_sequence('bill', 'id'))").fetchone()
    assert houses[0] >= 1000 and bills[0] >= 1000 and houses != bills


def test_the_application_role_owns_nothing(db_app: psycopg.Connection):
    owned = db_app.execute(
        "SELECT relname FROM pg_class WHERE relowner = current_user::regrole"
    ).fetchall()
    assert owned == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db_app.execute("CREATE TABLE mine (id int)")


def test_a_fresh_database_is_migrated_and_apart(fresh_database, db_owner: psycopg.Connection):
    fresh = fresh_database()
    with psycopg.connect(fresh.owner_url) as other:
        other.execute("UPDATE business_clock SET offset_seconds = 7")
    assert db_owner.execute("SELECT offset_seconds FROM business_clock").fetchone() == (0,)


def test_two_runs_never_get_the_same_port():
    program = "from tests.support.ports import own_port; print(own_port(), flush=True); input()"
    others = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=PROJECT, stdin=PIPE, stdout=PIPE, text=True
        )
        for _ in range(2)
    ]
    ours = [own_port(), own_port()]
    theirs = [int(other.stdout.readline()) for other in others]
    for other in others:
        other.communicate("\n", timeout=10)
    assert len({(port - ports.FIRST) // ports.SIZE for port in (ours[0], *theirs)}) == 3
    assert ours[0] != ours[1], "and one run gets a port once"
    assert max(ours + theirs) < 32768, "below what Linux picks for outgoing connections"


def test_waiting_reports_what_it_saw_last():
    with pytest.raises(AssertionError, match="waited 0.05 s for the moon; last: 0"):
        wait_for(lambda: 0, 0.05, what="the moon")
    answers = iter([None, [], "yes"])
    assert wait_for(lambda: next(answers)) == "yes"
