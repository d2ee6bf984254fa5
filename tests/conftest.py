"""Fixtures of the whole suite: real servers, a clean database per test, sandbox platforms.

Nothing is started until a test asks for it; a test that asks for no fixture is plain Python.
Before every test that uses the database, its rows are brought back to what the migrations left
and Redis is emptied; sequences of each table start at their own number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support import wait
from tests.support.ports import own_port
from tests.support.sandbox import Sandbox, running_sandbox
from tests.support.servers import Database, Servers, running_servers

_fresh_numbers = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out tests marked slow or chaos")
    parser.addoption(
        "--part", choices=("together", "alone"),
        help="tests that bear others beside them, or those marked alone (tests/suite.py)",
    )  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = {item for item in items if _is_left_out(config, set(item.keywords))}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _is_left_out(config: pytest.Config, marks: set[str]) -> bool:
    if config.getoption("--quick") and marks & {"slow", "chaos"}:
        return True
    part = config.getoption("--part")
    return part is not None and (part == "alone") != ("alone" in marks)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL and Valkey of this run; `servers.create("name")` makes an empty database."""
    with running_servers() as running:
        yield running


@pytest.fixture(scope="session")
def web_port() -> int:
    """The port of PUBLIC_BASE_URL; `live_server` listens there."""
    return own_port()


@pytest.fixture(scope="session")
def sandbox_port() -> int:
    """The port of every platform URL; `sandbox` listens there."""
    return own_port()


@pytest.fixture(scope="session")
def template_database(servers: Servers, web_port: int, sandbox_port: int) -> Database:
    """The migrated database that others are copied from; nobody may stay connected to it."""
    from tests.support import product

    empty = servers.database("template1")
    values = product.environment(empty, servers.redis_url, port=web_port, sandbox_port=sandbox_port)
    return product.migrated_template(servers, values)


@pytest.fixture(scope="session")
def test_database(servers: Servers, template_database: Database) -> Database:
    """The database of this run."""
    return servers.create("main", template=template_database.name)


@pytest.fixture(scope="session")
def product_environment(
    servers: Servers, test_database: Database, web_port: int, sandbox_port: int
) -> dict[str, str]:
    """The product's variables for this run, for tests that start processes of their own."""
    from tests.support import product

    return product.environment(
        test_database, servers.redis_url, port=web_port, sandbox_port=sandbox_port
    )


@pytest.fixture(scope="session")
def _sweeper(test_database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(test_database.admin_url, autocommit=True) as admin:
        yield admin


@pytest.fixture
def clean_database(
    servers: Servers, test_database: Database, _sweeper: psycopg.Connection
) -> Database:
    """The database of this run, swept clean, with Redis emptied and the clock at real time."""
    from backend import clock

    _sweeper.execute("SELECT jiaoqing_test.clean()")
    servers.flush_redis()
    clock.forget_offset()
    return test_database


@pytest.fixture(scope="session")
def _app(product_environment: dict[str, str]) -> Iterator[Flask]:
    from tests.support import product

    with product.environ(product_environment):
        yield product.build_app()


@pytest.fixture
def app(_app: Flask, clean_database: Database) -> Flask:
    """The application as the application role, over a clean database; no context is pushed."""
    return _app


@pytest.fixture
def ctx(app: Flask) -> Iterator[Flask]:
    """The application with its context pushed, for tests that call use cases and queries."""
    with app.app_context():
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A test client of the application, without cookies or log-in."""
    return app.test_client()


@pytest.fixture
def live_server(app: Flask, _live_server: object) -> object:
    """The application on a real port (`.url` = PUBLIC_BASE_URL), reachable by the sandbox."""
    return _live_server


@pytest.fixture(scope="session")
def _live_server(_app: Flask, web_port: int) -> Iterator[object]:
    from tests.support import product

    server = product.LiveServer(_app, web_port)
    yield server
    server.close()


@pytest.fixture
def db_owner(clean_database: Database) -> Iterator[psycopg.Connection]:
    """A psycopg connection as the owner, autocommit (`with db_owner.transaction():`)."""
    with psycopg.connect(clean_database.owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def db_app(clean_database: Database) -> Iterator[psycopg.Connection]:
    """A psycopg connection as the application role, autocommit."""
    with psycopg.connect(clean_database.app_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def fresh_database(
    servers: Servers, template_database: Database, request: pytest.FixtureRequest
) -> Callable[..., Database]:
    """Return `make(migrated=True)`: another database of this test's own, dropped after it."""

    def make(*, migrated: bool = True) -> Database:
        template = template_database.name if migrated else "template1"
        database = servers.create(f"fresh_{next(_fresh_numbers)}", template=template)
        request.addfinalizer(lambda: servers.drop(database))
        return database

    return make


@pytest.fixture(scope="session")
def _sandbox(sandbox_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    state: Path = tmp_path_factory.mktemp("sandbox") / "state"
    with running_sandbox(sandbox_port, state) as running:
        yield running


@pytest.fixture
def sandbox(_sandbox: Sandbox) -> Sandbox:
    """The sandbox platforms, empty: `.url .get(path) .post(path, body) .reset()`."""
    _sandbox.reset()
    return _sandbox


@pytest.fixture
def wait_for() -> Callable:
    """Return `wait_for(condition, timeout)`; see tests/support/wait.py."""
    return wait.wait_for


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless Chromium (playwright Browser); open one `new_page()` or context per test."""
    from playwright.sync_api import sync_playwright

    from tests.support.browser import chromium

    path = chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield running
        running.close()
