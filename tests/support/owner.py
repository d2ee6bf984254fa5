"""An owner with a phone at a test client: logs in through the sandbox, binds, pays, reads JSON."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import text

from backend.db import db
from backend.estate import privacy
from backend.identity.models import WechatApp
from tests.factories.estate import Estate, Home
from tests.support.sandbox import Sandbox

PREFIX = "/api/v1"
_keys = count(1)


def new_key() -> str:
    """Return an idempotency key nobody used before."""
    return f"owner-key-{next(_keys):08d}"


@dataclass
class Apps:
    """The files of the company's mini-program and official account."""

    mini: dict[str, Any]
    official: dict[str, Any]


def register_apps(sandbox: Sandbox, company_id: int, *, name: str = "own", push: str = "") -> Apps:
    """Open both apps at the sandbox and register them for a company. Needs an app context."""
    files = []
    for kind, short in (("miniprogram", "mini"), ("official_account", "oa")):
        called = f"{name}-{short}-{company_id}"
        url = f"{push}/notify/wechat/{called}" if push else ""
        file = sandbox.post("/_sandbox/apps", kind=kind, name=called, push_url=url)
        config = privacy.encrypt_json(company_id, file)
        db.session.add(
            WechatApp(
                company_id=company_id, name=called, kind=kind, appid=file["appid"],
                config_enc=config,
            )
        )  # fmt: skip
        files.append(file)
    db.session.commit()
    return Apps(*files)


class OwnerClient:
    """`get`/`post` answer (status, body); `ok_*` insist on 2xx and return the body."""

    def __init__(
        self, client: FlaskClient, sandbox: Sandbox, app: dict[str, Any], phone: str
    ) -> None:
        self.client = client
        self.sandbox = sandbox
        self.app = app
        self.person = sandbox.post("/_sandbox/people", phone=phone)
        self.token = ""
        self.account_id = 0

    def code(self, kind: str) -> str:
        """A fresh 'login' or 'phone' code of this person."""
        path = f"/_sandbox/people/{self.person['id']}/{kind}-code"
        return self.sandbox.post(path, appid=self.app["appid"])["code"]

    def login(self) -> dict[str, Any]:
        """Log in with a fresh code; return the body."""
        body = self.ok_post("/login", {"appid": self.app["appid"], "code": self.code("login")})
        self.token, self.account_id = body["token"], int(body["account_id"])
        return body

    def bind(self) -> list[dict[str, Any]]:
        """Bind by phone; return the houses."""
        return self.ok_post("/bindings", {"phone_code": self.code("phone")})["houses"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        answer = self.client.get(PREFIX + path, query_string=query, headers=self.headers)
        return answer.status_code, answer.get_json()

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, Any]:
        headers = {**self.headers, "Idempotency-Key": key or new_key()}
        answer = self.client.post(PREFIX + path, json=body or {}, headers=headers)
        return answer.status_code, answer.get_json()

    def ok_get(self, path: str, **query: Any) -> Any:
        status, body = self.get(path, **query)
        assert status == 200, body
        return body

    def ok_post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        status, answer = self.post(path, body, key=key)
        assert 200 <= status < 300, answer
        return answer


def bound_owner(client: FlaskClient, sandbox: Sandbox, apps: Apps, home: Home) -> OwnerClient:
    """Return the owner of a home, logged in and bound."""
    owner = OwnerClient(client, sandbox, apps.mini, home.phone)
    owner.login()
    owner.bind()
    return owner


def scalar(sql: str, **values: Any) -> Any:
    """Return one value of the test database, in a transaction of its own."""
    try:
        return db.session.scalar(text(sql), values)
    finally:
        db.session.rollback()


def counts(*tables: str) -> dict[str, int]:
    """Return the number of rows of each table, to compare before and after a refusal."""
    return {name: scalar(f"SELECT count(*) FROM {name}") for name in tables}


def other_estate(estate: Estate) -> Estate:
    """Make another community of another company."""
    from tests.factories.estate import make_estate

    return make_estate(code="MOON", houses=1)
