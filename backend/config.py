"""The only reader of the environment; refuses to start production on unsafe settings (design 6)."""

from __future__ import annotations

import os
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values
from environs import Env

DEV_SECRET_KEY = "development-secret-key-change-me-0123456789"
DEV_DATA_KEY = "ZGV2ZWxvcG1lbnQtZGF0YS1rZXktMzItYnl0ZXMhISE="  # base64 of 32 published bytes
SANDBOX_DEFAULT = "http://127.0.0.1:8090"


class UnsafeConfiguration(Exception):
    """Production was asked to start with a setting that would endanger money or people."""


@dataclass(frozen=True)
class Settings:
    """Everything configurable. URLs without trailing slash; see .env.example for meanings."""

    app_env: str
    database_url: str
    database_owner_url: str
    redis_url: str
    secret_key: str = field(repr=False)
    data_key: str = field(repr=False)
    public_base_url: str
    wechat_api_base: str
    wechatpay_api_base: str
    alipay_gateway: str
    sms_endpoint: str
    voice_endpoint: str
    port: int
    log_level: str
    db_pool_size: int
    metrics_folder: str = ""

    @property
    def is_production(self) -> bool:
        return self.app_env == "production"


def load(env: Env | None = None) -> Settings:
    """Read the environment into `Settings`.

    Raises UnsafeConfiguration when APP_ENV is unknown, or when production carries a default
    secret, a sandbox/loopback platform URL or a non-https public address.
    """
    env = env or Env()
    settings = Settings(
        app_env=env.str("APP_ENV", "development"),
        database_url=_psycopg(env.str("DATABASE_URL", "")),
        database_owner_url=_psycopg(
            env.str("DATABASE_OWNER_URL", "") or env.str("DATABASE_URL", "")
        ),
        redis_url=env.str("REDIS_URL", ""),
        secret_key=env.str("SECRET_KEY", DEV_SECRET_KEY),
        data_key=env.str("DATA_KEY", DEV_DATA_KEY),
        public_base_url=env.str("PUBLIC_BASE_URL", "http://127.0.0.1:8000").rstrip("/"),
        wechat_api_base=env.str("WECHAT_API_BASE", SANDBOX_DEFAULT).rstrip("/"),
        wechatpay_api_base=env.str("WECHATPAY_API_BASE", SANDBOX_DEFAULT).rstrip("/"),
        alipay_gateway=env.str("ALIPAY_GATEWAY", SANDBOX_DEFAULT + "/gateway.do"),
        sms_endpoint=env.str("SMS_ENDPOINT", SANDBOX_DEFAULT).rstrip("/"),
        voice_endpoint=env.str("VOICE_ENDPOINT", SANDBOX_DEFAULT).rstrip("/"),
        port=env.int("PORT", 8000),
        log_level=env.str("LOG_LEVEL", "INFO"),
        db_pool_size=env.int("DB_POOL_SIZE", 10),
        metrics_folder=env.str("PROMETHEUS_MULTIPROC_DIR", ""),
    )
    refuse_unsafe(settings)
    return settings


def var_folder(root: Path) -> Path:
    """Return where `make run` keeps everything: JIAOQING_VAR, or `var` in the project."""
    return root / (os.environ.get("JIAOQING_VAR") or "var")


def read_kept_files(root: Path) -> None:
    """Take what `.env` and `var/env` (written by `make run`) say, unless DATABASE_URL is given.

    So that `flask run-due` in a shell beside a running `make run` just works. Variables that are
    set already win; a server process always has DATABASE_URL and reads no file.
    """
    if "DATABASE_URL" in os.environ:
        return
    for file in (root / ".env", var_folder(root) / "env"):
        if file.is_file():
            for name, value in dotenv_values(file, interpolate=False).items():
                if value:  # an empty value counts as not set
                    os.environ.setdefault(name, value)


def _psycopg(url: str) -> str:
    """Name the driver: SQLAlchemy would look for psycopg2 under a bare postgresql:// URL."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url[len(prefix) :]
    return url


def refuse_unsafe(settings: Settings) -> None:
    """Raise UnsafeConfiguration with one clear sentence; see `load`."""
    if settings.app_env not in ("development", "production"):
        raise UnsafeConfiguration(
            f"APP_ENV={settings.app_env!r}: use 'development' or 'production'."
        )
    if settings.database_url and not settings.database_url.startswith("postgresql"):
        raise UnsafeConfiguration("DATABASE_URL must be a postgresql:// URL; no other engine.")
    if settings.metrics_folder and not os.access(settings.metrics_folder, os.W_OK | os.X_OK):
        raise UnsafeConfiguration(
            f"PROMETHEUS_MULTIPROC_DIR: {settings.metrics_folder} is no folder this process may"
            " write to: make it, empty, before every start, or unset the variable."
        )
    if not settings.is_production:
        return
    problems = list(_production_problems(settings))
    if problems:
        raise UnsafeConfiguration(
            "生产环境拒绝启动 / Production refuses to start: " + " ".join(problems)
        )


def _production_problems(settings: Settings):
    if settings.secret_key == DEV_SECRET_KEY or len(settings.secret_key) < 32:
        yield "SECRET_KEY is the development default or shorter than 32 characters; set your own."
    if settings.data_key == DEV_DATA_KEY:
        yield "DATA_KEY is the development default; set your own base64 of 32 random bytes."
    elif not _is_key(settings.data_key):
        yield "DATA_KEY is not the base64 of 32 bytes."
    for name in ("database_url", "redis_url"):
        if not getattr(settings, name):
            yield f"{name.upper()} is not set."
    if urlsplit(settings.database_owner_url).username == urlsplit(settings.database_url).username:
        yield "DATABASE_OWNER_URL must be a different role than DATABASE_URL."
    if not settings.public_base_url.startswith("https://"):
        yield "PUBLIC_BASE_URL must be https."
    for name in (
        "wechat_api_base",
        "wechatpay_api_base",
        "alipay_gateway",
        "sms_endpoint",
        "voice_endpoint",
    ):
        url = urlsplit(getattr(settings, name))
        if url.scheme != "https" or url.hostname in ("127.0.0.1", "localhost", "::1"):
            yield f"{name.upper()} points to the sandbox or is not https."


def _is_key(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == 32
    except ValueError:
        return False
