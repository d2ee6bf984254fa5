"""One PostgreSQL and one Valkey for a test run, and throw-away databases on them.

Without DATABASE_URL / REDIS_URL the embedded servers are started in a temporary folder; with
JIAOQING_SYSTEM_SERVERS=1 the same is done with the system's own PostgreSQL and Redis.
With them the given servers are used: DATABASE_OWNER_URL or else DATABASE_URL must be a
superuser's TCP address; own databases and roles named after this process are made and dropped,
the database of the address itself is only connected to. On a given Redis an empty database
number is picked and marked as ours.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from launcher import roles
from launcher.postgres import SUPERUSER, Postgres
from launcher.runtime import prepare, state_folder, system_programs
from launcher.valkey import Valkey

_MARK = "jiaoqing:test-run"


@dataclass(frozen=True)
class Database:
    """One throw-away database and the URLs (postgresql://…) of its three users."""

    name: str
    owner_url: str
    app_url: str
    admin_url: str


@dataclass(frozen=True)
class Servers:
    """The servers of this run. `prefix` starts the name of every database and role made here."""

    admin_url: str
    redis_url: str
    prefix: str
    owner: str
    app: str
    password: str

    def database(self, name: str) -> Database:
        """Return the addresses of the database `name`, which need not exist yet."""
        return Database(
            name=name,
            owner_url=_with(self.admin_url, name, self.owner, self.password),
            app_url=_with(self.admin_url, name, self.app, self.password),
            admin_url=_with(self.admin_url, name),
        )

    def create(self, suffix: str, *, template: str = "template1") -> Database:
        """Create the database `<prefix>_<suffix>` as a copy of `template`, owned by the owner."""
        made = self.database(f"{self.prefix}_{suffix}")
        with psycopg.connect(self.admin_url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {made.name} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {made.name} TEMPLATE {template} OWNER {self.owner}")
        with psycopg.connect(made.admin_url, autocommit=True) as admin:
            admin.execute(roles.database_sql(made.name, self.owner))
        return made

    def drop(self, database: Database) -> None:
        """Drop a database made by `create`, whoever is still connected."""
        with psycopg.connect(self.admin_url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")

    def flush_redis(self) -> None:
        """Empty our Redis database and mark it as ours again, in one step."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.pipeline().flushdb().set(_MARK, self.prefix).execute()


def _with(url: str, database: str, user: str | None = None, password: str | None = None) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    login = parts.netloc.rpartition("@")[0] if user is None else f"{user}:{password}"
    return urlunsplit(parts._replace(netloc=f"{login}@{place}", path=f"/{database}"))


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start or adopt the servers, make the roles; stop and drop everything on leaving."""
    given = os.environ.get("DATABASE_OWNER_URL") or os.environ.get("DATABASE_URL") or ""
    given = given.replace("postgresql+psycopg://", "postgresql://", 1)
    redis_given = os.environ.get("REDIS_URL") or ""
    with _embedded(postgres=not given, valkey=not redis_given) as (postgres_url, valkey_url):
        admin_url = given or postgres_url
        with _redis_number(redis_given or valkey_url) as redis_url, _roles(admin_url) as names:
            yield Servers(admin_url=admin_url, redis_url=redis_url, **names)


@contextmanager
def _embedded(*, postgres: bool, valkey: bool) -> Iterator[tuple[str, str]]:
    if not (postgres or valkey):
        yield "", ""
        return
    temporary = Path(tempfile.mkdtemp(prefix="jiaoqing-test-"))
    state = state_folder(temporary)
    password = secrets.token_urlsafe(16)
    system = os.environ.get("JIAOQING_SYSTEM_SERVERS")
    runtime = system_programs() if system else prepare(state)
    database = Postgres(runtime, state, password=password, durable=False)
    hints = Valkey(runtime, state, password=password)
    urls = ["", ""]
    try:
        if postgres:
            database.start()
            urls[0] = database.url(SUPERUSER, password, "postgres")
        if valkey:
            hints.start()
            urls[1] = hints.url
        yield urls[0], urls[1]
    finally:
        hints.stop()
        database.stop()
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)


@contextmanager
def _redis_number(url: str) -> Iterator[str]:
    """Take the first empty database number of the server at `url`; free it on leaving."""
    for number in range(16):
        mine = urlunsplit(urlsplit(url)._replace(path=f"/{number}"))
        with redis.Redis.from_url(mine) as client:
            if client.dbsize() == 0 and client.set(_MARK, os.getpid(), nx=True):
                try:
                    yield mine
                finally:
                    client.flushdb()
                return
    raise RuntimeError("REDIS_URL: all 16 database numbers hold keys; tests need an empty one.")


@contextmanager
def _roles(admin_url: str) -> Iterator[dict[str, str]]:
    """Make this run's owner and application roles, which own nothing outside its databases."""
    prefix = f"jiaoqing_test_{os.getpid()}_{secrets.token_hex(2)}"
    names = {"owner": f"{prefix}_owner", "app": f"{prefix}_app"}
    password = secrets.token_urlsafe(16)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        if not admin.execute("SELECT usesuper FROM pg_user WHERE usename = user").fetchone()[0]:
            raise RuntimeError("DATABASE_OWNER_URL or DATABASE_URL: tests need a superuser.")
        admin.execute(roles.group_sql())
        admin.execute(roles.login_sql(names["owner"], password, member=False))
        admin.execute(roles.login_sql(names["app"], password, member=True))
    try:
        yield {**names, "password": password, "prefix": prefix}
    finally:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            left = admin.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix]
            ).fetchall()
            for (name,) in left:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            for role in names.values():
                admin.execute(f"DROP ROLE IF EXISTS {role}")
