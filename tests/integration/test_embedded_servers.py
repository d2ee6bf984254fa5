"""The servers `make run` brings along: closed to others, back after a kill, data kept."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from launcher import roles
from launcher.ports import answers
from launcher.postgres import SUPERUSER, Postgres
from launcher.runtime import Runtime, prepare, state_folder
from launcher.say import Stop
from launcher.services import DATABASE, make_database
from launcher.valkey import Valkey

LOGINS = {"owner_password": "owner-pass", "app_password": "app-pass"}


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    wanted = Path(tempfile.mkdtemp(prefix="jiaoqing-embedded-"))
    folder = state_folder(wanted)
    yield folder
    shutil.rmtree(folder)
    shutil.rmtree(wanted, ignore_errors=True)


@pytest.fixture(scope="module")
def runtime(state: Path) -> Runtime:
    return prepare(state)


@pytest.fixture(scope="module")
def postgres(runtime: Runtime, state: Path) -> Iterator[Postgres]:
    server = Postgres(runtime, state, password="super-pass", durable=False)
    server.start()
    make_database(server, **LOGINS)
    yield server
    server.stop()


def test_a_wrong_password_is_refused(postgres: Postgres):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url(SUPERUSER, "wrong", "postgres"))


def test_roles_are_apart(postgres: Postgres):
    owner = psycopg.connect(postgres.url(roles.OWNER, "owner-pass", DATABASE), autocommit=True)
    app = psycopg.connect(postgres.url(roles.APPLICATION, "app-pass", DATABASE), autocommit=True)
    with owner, app:
        owner.execute("CREATE EXTENSION btree_gist")
        owner.execute("CREATE TABLE mine (id int)")
        for forbidden in ("SELECT * FROM mine", "DROP TABLE mine", "CREATE TABLE other (id int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)
        owner.execute(f"GRANT SELECT ON mine TO {roles.GROUP}")
        assert app.execute("SELECT count(*) FROM mine").fetchone() == (0,)
        for connection in (owner, app):
            (is_super,) = connection.execute(
                "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles"
                " WHERE rolname = current_user"
            ).fetchone()
            assert is_super is False


def test_making_the_database_again_changes_nothing(postgres: Postgres):
    make_database(postgres, **LOGINS)
    assert postgres.sql(f"SELECT count(*) FROM pg_database WHERE datname = '{DATABASE}'") == "1"


def test_a_killed_server_comes_back_with_its_data(postgres: Postgres):
    postgres.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.sql("CHECKPOINT")
    port = postgres.port
    os.kill(postgres.process.pid, signal.SIGKILL)  # its folder still names the dead process
    postgres.start()
    assert postgres.port == port
    assert postgres.sql("SELECT answer FROM kept") == "42"


def test_a_pid_that_another_program_got_does_not_lock_the_data(postgres: Postgres):
    postgres.stop()
    lock = postgres.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{postgres.data}\n")
    postgres.start()
    assert postgres.sql("SELECT 1") == "1"


def test_a_server_left_by_a_killed_launcher_is_taken_over(postgres: Postgres, runtime: Runtime):
    left = postgres.process
    again = Postgres(runtime, postgres.data.parent, password=postgres.password, durable=False)
    again.start()
    left.wait(10)
    assert again.sql("SELECT 1") == "1"
    again.stop()
    postgres.start()


def test_a_failure_is_one_line_with_the_reason(postgres: Postgres):
    with pytest.raises(Stop, match='relation "nowhere" does not exist'):
        postgres.sql("SELECT * FROM nowhere")


def test_valkey_asks_for_its_password_and_stops(runtime: Runtime, state: Path):
    server = Valkey(runtime, state, password="hint-pass")
    server.start()
    port = server.port
    with redis.Redis.from_url(server.url) as client:
        assert client.ping() is True
        assert client.config_get("save") == {"save": ""}
    with (
        redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()
    server.stop()
    assert not answers("127.0.0.1", port)
