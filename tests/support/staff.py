"""A member of staff at a test client: logs in, sends keys with unsafe calls, reads JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from flask.testing import FlaskClient

from backend.identity import tokens
from tests.factories.estate import Staff

PREFIX = "/admin/api/v1"
_keys = count(1)


def new_key() -> str:
    """Return an idempotency key nobody used before."""
    return f"test-key-{next(_keys):08d}"


class StaffClient:
    """`get`/`post` answer (status, body); `ok_*` insist on 2xx and return the body.

    The token is the one a log-in gives; checking a password is slow on purpose, and log-ins have
    their own tests (tests/api/test_admin_session.py, tests/browser).
    """

    def __init__(self, client: FlaskClient, staff: Staff) -> None:
        self.client = client
        self.staff = staff
        self.token, _ = tokens.issue(
            audience=tokens.STEWARD,
            subject=staff.id,
            version=1,  # that of a new member of staff
            secret=client.application.config["SETTINGS"].secret_key,
            now=datetime.now(UTC),
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

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
