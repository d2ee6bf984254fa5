"""The embedded servers of `make run`: created once, adopted again by every later run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from launcher import roles
from launcher.ports import answers
from launcher.postgres import Postgres
from launcher.runtime import prepare, state_folder
from launcher.say import Stop, say
from launcher.valkey import Valkey

DATABASE = "jiaoqing"


class Services:
    """PostgreSQL unless DATABASE_URL is set, Valkey unless REDIS_URL is set."""

    def __init__(self, var: Path, *, given: Mapping[str, str], kept: dict[str, str]) -> None:
        self.postgres: Postgres | None = None
        self.valkey: Valkey | None = None
        self._kept = kept
        need = {name for name in ("DATABASE_URL", "REDIS_URL") if name not in given}
        if not need:
            return
        state = state_folder(var)
        runtime = prepare(state)
        if "DATABASE_URL" in need:
            password = kept["JIAOQING_ADMIN_PASSWORD"]
            port = int(kept.get("JIAOQING_POSTGRES_PORT", "0"))
            self.postgres = Postgres(runtime, state, password=password, port=port)
        if "REDIS_URL" in need:
            password = kept["JIAOQING_VALKEY_PASSWORD"]
            port = int(kept.get("JIAOQING_VALKEY_PORT", "0"))
            self.valkey = Valkey(runtime, state, password=password, port=port)

    def start(self) -> dict[str, str]:
        """Start what is needed, make roles and database once; return the URLs for `kept`."""
        urls: dict[str, str] = {}
        if self.postgres is not None:
            say("启动 PostgreSQL / starting PostgreSQL …")
            self.postgres.start()
            owner, app = (
                self._kept["JIAOQING_OWNER_PASSWORD"],
                self._kept["JIAOQING_APP_PASSWORD"],
            )
            make_database(self.postgres, owner_password=owner, app_password=app)
            urls["JIAOQING_POSTGRES_PORT"] = str(self.postgres.port)
            urls["DATABASE_URL"] = self.postgres.url(roles.APPLICATION, app, DATABASE)
            urls["DATABASE_OWNER_URL"] = self.postgres.url(roles.OWNER, owner, DATABASE)
        if self.valkey is not None:
            say("启动 Valkey / starting Valkey …")
            self.valkey.start()
            urls["JIAOQING_VALKEY_PORT"] = str(self.valkey.port)
            urls["REDIS_URL"] = self.valkey.url
        return urls

    def look(self) -> None:
        """Start a fallen server again, on its old port: the processes hold its address."""
        for server in (self.postgres, self.valkey):
            if server is None or server.process is None or server.process.poll() is None:
                continue
            port = server.port
            say(f"{type(server).__name__} 意外退出，重启 / fell, starting it again …")
            server.start()
            if server.port != port:
                raise Stop(f"端口 {port} 被占用 / port {port} was taken meanwhile: run it again.")

    def stop(self) -> None:
        """Stop Valkey, then PostgreSQL (fast: all that was committed stays)."""
        for server in (self.valkey, self.postgres):
            if server is not None:
                server.stop()


def make_database(postgres: Postgres, *, owner_password: str, app_password: str) -> None:
    """Make the two roles and the database where they are missing; set the passwords."""
    postgres.sql(
        roles.group_sql()
        + roles.login_sql(roles.OWNER, owner_password, member=False)
        + roles.login_sql(roles.APPLICATION, app_password, member=True)
    )
    if not postgres.sql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
        postgres.sql(f"CREATE DATABASE {DATABASE} OWNER {roles.OWNER}")
    postgres.sql(roles.database_sql(DATABASE, roles.OWNER), database=DATABASE)


def need_given_servers(given: Mapping[str, str]) -> None:
    """Raise Stop when a server the person named does not answer at its address."""
    for name, port in (("DATABASE_URL", 5432), ("DATABASE_OWNER_URL", 5432), ("REDIS_URL", 6379)):
        parts = urlsplit(given.get(name, ""))
        if parts.hostname and not answers(parts.hostname, parts.port or port):
            raise Stop(
                f"{name} 无法连接，请启动该服务器 / nothing answers at"
                f" {parts.hostname}:{parts.port or port}: start that server, or unset the variable"
                " to use the embedded one."
            )
