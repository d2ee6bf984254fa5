"""The pool of connections when the server has gone: who notices, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from backend import db as database
from backend.db import committing_each_statement, db
from tests.support.servers import Database
from tests.support.wait import wait_for


@pytest.fixture(autouse=True)
def pool(ctx) -> Iterator[None]:
    """A pool of one connection, and none that the server closed left for the next test."""
    db.session.remove()
    db.engine.dispose()
    yield
    db.session.remove()
    db.engine.dispose()


@pytest.fixture
def beside(clean_database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the same role, which may see and end the pool's connections."""
    with psycopg.connect(clean_database.app_url, autocommit=True) as connection:
        yield connection


def backend_pid() -> int:
    pid = db.session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    db.session.rollback()
    return pid


def end(beside: psycopg.Connection, pid: int) -> None:
    """The server closes a connection of ours, and it is really gone."""
    assert beside.execute("SELECT pg_terminate_backend(%s)", (pid,)).fetchone()[0]
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    wait_for(lambda: beside.execute(alive, (pid,)).fetchone()[0] == 0, 10, what="the end of it")


def test_a_rested_connection_the_server_closed_is_replaced_unseen(beside, monkeypatch):
    monkeypatch.setattr(database, "_TRUSTED_SECONDS", 0.0)  # every connection has rested enough
    before = backend_pid()
    end(beside, before)
    assert backend_pid() != before


def test_one_in_use_a_moment_ago_fails_once_and_is_replaced(beside, monkeypatch):
    monkeypatch.setattr(database, "_TRUSTED_SECONDS", 3600.0)
    before = backend_pid()
    end(beside, before)
    with pytest.raises(OperationalError):
        backend_pid()
    db.session.rollback()
    assert backend_pid() != before


def test_the_callbacks_road_throws_a_broken_connection_away(beside):
    with committing_each_statement() as driver:
        broken = driver.execute("SELECT pg_backend_pid()").fetchone()[0]
    with pytest.raises(psycopg.OperationalError), committing_each_statement() as driver:
        end(beside, broken)
        driver.execute("SELECT 1")
    with committing_each_statement() as driver:
        assert driver.execute("SELECT pg_backend_pid()").fetchone()[0] != broken


def test_the_callbacks_road_commits_each_statement_and_leaves_no_trace(beside):
    mark = "SELECT pg_backend_pid(), set_config('jiaoqing.mark', 'here', true)"
    with committing_each_statement() as driver:
        pid = driver.execute(mark).fetchone()[0]
        kept = driver.execute("SELECT current_setting('jiaoqing.mark', true)").fetchone()[0]
    assert not kept, "what was local to the first statement's transaction ended with it"
    state = beside.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
    assert state == ("idle",)
    with db.engine.connect() as connection:
        assert connection.connection.driver_connection.autocommit is False
