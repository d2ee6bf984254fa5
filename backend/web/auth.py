"""Who may call: every view carries a policy, and one that does not is not served.

`public` answers anybody; `owner` needs an owner's token; a role name needs a steward's token with
one of the roles named, `steward` meaning any member of staff. Which houses the caller may see is
decided by the queries: foreign ids answer 404 (design 4.12).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import structlog
from flask import Flask, Request, Response, current_app, g, request
from flask.sessions import SessionInterface, SessionMixin

from backend import clock
from backend.errors import Refusal
from backend.identity import queries, tokens
from backend.identity.models import ROLES

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Owner:
    """The owner account behind a request; `key` names it as actor and payer ('account:7')."""

    account_id: int
    company_id: int

    @property
    def key(self) -> str:
        return f"account:{self.account_id}"


@dataclass(frozen=True)
class StewardOnDuty:
    """The member of staff behind a request; `key` names him as actor ('steward:3')."""

    id: int
    company_id: int
    role: str
    name: str

    @property
    def key(self) -> str:
        return f"steward:{self.id}"


def policy(*who: str) -> Callable[[View], View]:
    """Say who may call a view: policy("public"), policy("owner"), policy("finance", "manager").

    "steward" means any role of staff. Raises at import for an unknown word. At a request raises
    Refusal login_required (401) or forbidden_role (403).
    """
    unknown = set(who) - {"public", "owner", *ROLES}
    if not who or unknown or (len(who) > 1 and {"public", "owner"} & set(who)):
        raise ValueError(f"policy{who}: one of public, owner, or roles")

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            _admit(who)
            return view(*args, **kwargs)

        guarded._policy = who  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def current_owner() -> Owner:
    """Return the owner account of this request (views with policy("owner"))."""
    return g.owner


def current_steward() -> StewardOnDuty:
    """Return the member of staff of this request (views with a role policy)."""
    return g.steward


class _NoSession(SessionInterface):
    """Callers are known by the token they send; no cookie is read or set by any view."""

    def open_session(self, app: Flask, request: Request) -> None:
        """Nothing to open: writing to `flask.session` raises."""

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nothing to save."""


def init_app(app: Flask) -> None:
    """Refuse to serve a view without a policy, so that forgetting one is never an open door."""
    app.session_interface = _NoSession()

    @app.before_request
    def deny_by_default() -> None:
        view = current_app.view_functions.get(request.endpoint or "")
        if view is not None and not hasattr(view, "_policy"):
            raise RuntimeError(f"{request.endpoint} has no policy")


def _admit(who: tuple[str, ...]) -> None:
    if who == ("public",):
        return
    if who == ("owner",):
        g.owner = _owner()
        g.actor = g.owner.key
    else:
        g.steward = _steward()
        g.actor = g.steward.key
        if "steward" not in who and g.steward.role not in who:
            raise Refusal(
                "forbidden_role",
                message="not your role",
                message_zh="您的岗位没有这项权限。",
                http=403,
                what_to_do="请联系主管办理。",
            )
    structlog.contextvars.bind_contextvars(actor=g.actor)


def _owner() -> Owner:
    claims = _claims(tokens.OWNER)
    row = queries.owner_account(claims.subject)
    if row is None or row.token_version != claims.version:
        raise _login_required()
    return Owner(row.id, row.company_id)


def _steward() -> StewardOnDuty:
    claims = _claims(tokens.STEWARD)
    row = queries.steward(claims.subject)
    if row is None or not row.active or row.token_version != claims.version:
        raise _login_required()
    return StewardOnDuty(row.id, row.company_id, row.role, row.name)


def _claims(audience: str) -> tokens.Claims:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _login_required()
    secret = current_app.config["SETTINGS"].secret_key
    try:
        return tokens.read(token.strip(), audience=audience, secret=secret, now=clock.wire_now())
    except tokens.BadToken:
        raise _login_required() from None


def _login_required() -> Refusal:
    return Refusal(
        "login_required",
        message="log in first",
        message_zh="登录已失效，请重新登录。",
        http=401,
        what_to_do="请重新登录后再试。",
    )
