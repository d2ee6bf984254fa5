"""The two database roles: the owner of the schema, and the application, which owns nothing.

Migrations grant rights to the group `jiaoqing_application`; the application's log-in is a
member of it. Neither is a superuser.
"""

from __future__ import annotations

GROUP = "jiaoqing_application"
OWNER = "jiaoqing_owner"
APPLICATION = "jiaoqing_app"


def group_sql() -> str:
    """Return SQL that makes the group role once, even when two sessions try together."""
    return (
        f"DO $$ BEGIN CREATE ROLE {GROUP} NOLOGIN;"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
    )


def login_sql(name: str, password: str, *, member: bool) -> str:
    """Return SQL that makes the log-in role `name`, or gives an existing one this password.

    member: put it into the application group. The password is a token of [A-Za-z0-9_-].
    """
    grant = f"GRANT {GROUP} TO {name};" if member else ""
    return (
        f"DO $$ BEGIN CREATE ROLE {name};"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
        f"ALTER ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{password}';"
        f"{grant}"
    )


def database_sql(database: str, owner: str) -> str:
    """Return SQL, to be run inside `database`, that gives it and its schema to `owner`."""
    return (
        f"ALTER DATABASE {database} OWNER TO {owner};"
        f"ALTER SCHEMA public OWNER TO {owner};"
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC;"
        f"GRANT CONNECT ON DATABASE {database} TO {GROUP};"
        f"REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
    )


def by_hand_sql() -> str:
    """Return the SQL an administrator runs once with psql on a server of their own."""
    return f"""-- 以超级用户用 psql 执行一次 / run once with psql as a superuser:
-- psql -v owner_password=... -v app_password=... -f this-file
\\set ON_ERROR_STOP on
CREATE ROLE {GROUP} NOLOGIN;
CREATE ROLE {OWNER} LOGIN PASSWORD :'owner_password';
CREATE ROLE {APPLICATION} LOGIN PASSWORD :'app_password' IN ROLE {GROUP};
CREATE DATABASE jiaoqing OWNER {OWNER} ENCODING 'UTF8' TEMPLATE template0;
\\connect jiaoqing
{database_sql("jiaoqing", OWNER).replace(";", ";" + chr(10))}"""
