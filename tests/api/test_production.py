"""Production start-up: what would endanger money or people is refused with the reason.

The settings are safe but for the one that is tried. Settings and database are judged here by the
functions that `create_app` calls; that it calls them is tried on the module which gunicorn and
`flask` load, in a process of its own.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from backend import config
from backend.db import db, engine_options
from backend.web.production import refuse_unsafe_database
from tests.support import product
from tests.support.servers import Database, Servers

PROJECT = Path(__file__).resolve().parents[2]
LOAD = (sys.executable, "-c", "import wsgi")
NOWHERE = Database(
    name="none",
    owner_url="postgresql://owner:secret-password@127.0.0.1:1/none",
    app_url="postgresql://app:secret-password@127.0.0.1:1/none",
    admin_url="",
)
UPGRADE = (sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade")


def production(database: Database, **changed: str) -> dict[str, str]:
    """A safe production environment over `database`, with what is tried changed."""
    return {
        "PATH": os.environ["PATH"],
        "APP_ENV": "production",
        "DATABASE_URL": database.app_url,
        "DATABASE_OWNER_URL": database.owner_url,
        "REDIS_URL": "redis://redis.invalid:6379/0",
        "SECRET_KEY": "a-secret-of-this-test-that-is-long-enough",
        "DATA_KEY": base64.b64encode(bytes(range(32))).decode(),
        "PUBLIC_BASE_URL": "https://pay.example.com",
        "WECHAT_API_BASE": "https://api.weixin.qq.com",
        "WECHATPAY_API_BASE": "https://api.mch.weixin.qq.com",
        "ALIPAY_GATEWAY": "https://openapi.alipay.com/gateway.do",
        "SMS_ENDPOINT": "https://dysmsapi.aliyuncs.com",
        "VOICE_ENDPOINT": "https://dyvmsapi.aliyuncs.com",
        **changed,
    }


def started(
    environment: dict[str, str], command: tuple[str, ...] = LOAD
) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60
    )


def refused(ran: subprocess.CompletedProcess) -> str:
    """Insist that a process did not start; return its reason (the last line)."""
    assert ran.returncode != 0, "started"
    said = ran.stderr.strip().splitlines()[-1]
    assert "生产环境拒绝启动 / Production refuses to start: " in said, ran.stderr
    return said


def loaded(environment: dict[str, str]) -> config.Settings:
    with product.environ({}):
        os.environ.clear()
        os.environ.update(environment)
        return config.load()


def settings_refusal(environment: dict[str, str]) -> str:
    with pytest.raises(config.UnsafeConfiguration) as why:
        loaded(environment)
    return str(why.value)


def database_refusal(environment: dict[str, str]) -> str:
    settings = loaded(environment)
    app = Flask("production")
    app.config.update(
        SETTINGS=settings,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(pool_size=1),
    )
    db.init_app(app)
    with pytest.raises(config.UnsafeConfiguration) as why:
        refuse_unsafe_database(app)
    return str(why.value)


@pytest.fixture
def migrated(fresh_database) -> Database:
    return fresh_database()


def test_safe_settings_start(migrated):
    ran = started(production(migrated))
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is the development default or shorter"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is the development default or shorter"),
        ({"DATA_KEY": ""}, "DATA_KEY is the development default"),
        ({"DATA_KEY": "bm90IDMyIGJ5dGVz"}, "DATA_KEY is not the base64 of 32 bytes"),
        ({"REDIS_URL": ""}, "REDIS_URL is not set"),
        ({"PUBLIC_BASE_URL": "http://pay.example.com"}, "PUBLIC_BASE_URL must be https"),
        ({"WECHAT_API_BASE": ""}, "WECHAT_API_BASE points to the sandbox or is not https"),
        ({"WECHATPAY_API_BASE": "http://127.0.0.1:8090"}, "WECHATPAY_API_BASE points to the sa"),
        ({"ALIPAY_GATEWAY": "https://localhost/gateway.do"}, "ALIPAY_GATEWAY points to the sand"),
        ({"SMS_ENDPOINT": "http://sms.example.com"}, "SMS_ENDPOINT points to the sandbox or is n"),
        ({"DATABASE_OWNER_URL": ""}, "DATABASE_OWNER_URL must be a different role"),
    ],
)
def test_an_unsafe_setting_is_refused(changed: dict[str, str], reason: str):
    environment = production(NOWHERE)
    for name, value in changed.items():
        environment.pop(name)
        environment.update({name: value} if value else {})
    assert reason in settings_refusal(environment)


def test_every_reason_is_named_at_once():
    said = settings_refusal(production(NOWHERE, SECRET_KEY="x", PUBLIC_BASE_URL="http://x"))
    assert "SECRET_KEY" in said and "PUBLIC_BASE_URL" in said


def test_owner_and_application_must_be_different_roles():
    other = NOWHERE.app_url + "?application_name=other"
    said = settings_refusal(production(NOWHERE, DATABASE_OWNER_URL=other))
    assert "must be a different role" in said


def test_an_unsafe_setting_stops_the_process(migrated):
    environment = production(migrated)
    del environment["SECRET_KEY"]
    assert "SECRET_KEY is the development default" in refused(started(environment))


def test_a_superuser_is_refused(migrated):
    environment = production(migrated, DATABASE_URL=migrated.admin_url)
    assert "is a superuser" in database_refusal(environment)
    assert "is a superuser" in refused(started(environment))


def test_migrating_does_not_excuse_a_superuser(migrated):
    environment = production(migrated, DATABASE_URL=migrated.admin_url)
    assert "is a superuser" in refused(started(environment, UPGRADE))


def test_a_role_that_owns_the_database_is_refused(servers: Servers, migrated):
    """The owner of the schema as application role, another one for the migrations."""
    swapped = production(
        migrated, DATABASE_URL=migrated.owner_url, DATABASE_OWNER_URL=migrated.app_url
    )
    assert f"{servers.owner} of DATABASE_URL owns the database" in database_refusal(swapped)


def test_a_single_owned_table_is_enough(servers: Servers, migrated):
    with psycopg.connect(migrated.admin_url, autocommit=True) as admin:
        admin.execute("CREATE TABLE mine (id int)")
        admin.execute(f"ALTER TABLE mine OWNER TO {servers.app}")
    assert "owns the table mine" in database_refusal(production(migrated))


def test_a_role_that_may_change_the_ledger_is_refused(servers: Servers, migrated):
    with psycopg.connect(migrated.owner_url, autocommit=True) as owner:
        owner.execute(f"GRANT UPDATE ON posting TO {servers.app}")
    said = database_refusal(production(migrated))
    assert "may change rows of posting; run `flask db upgrade`" in said


def test_an_unmigrated_database_is_refused_until_it_is_migrated(fresh_database):
    environment = production(fresh_database(migrated=False))
    relay = (sys.executable, "-m", "flask", "--app", "wsgi", "relay")
    assert "has no schema; run `flask db upgrade`" in refused(started(environment, relay))
    upgraded = started(environment, UPGRADE)
    assert upgraded.returncode == 0, upgraded.stderr
    ran = started(environment)
    assert ran.returncode == 0, ran.stderr


def test_a_schema_of_another_version_is_refused(migrated):
    with psycopg.connect(migrated.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '0000'")
    assert "schema is not this version's" in database_refusal(production(migrated))


def test_a_database_that_cannot_be_asked_is_refused():
    said = database_refusal(production(NOWHERE))
    assert "cannot be asked (OperationalError)" in said and "secret-password" not in said
