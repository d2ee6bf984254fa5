"""An owner opens the mini-program: a login code becomes an account and a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import current_app

from backend import audit, clock
from backend.db import db, transaction
from backend.errors import Refusal
from backend.identity import operations, queries, tokens
from backend.identity.wechat_login import code_to_session


@dataclass(frozen=True)
class LoggedIn:
    """The token of an owner account; bound: whether any house is bound to it."""

    token: str
    expires_at: datetime
    account_id: int
    bound: bool


def login_owner(*, appid: str, code: str) -> LoggedIn:
    """Log a WeChat user in. The platform is asked before any transaction.

    Raises Refusal `app_unknown` (404) and those of `code_to_session`.
    """
    app = queries.app_by_appid(appid)
    if app is None or app.kind != "miniprogram":
        raise Refusal(
            "app_unknown",
            message="this mini-program is not registered",
            message_zh="该小程序尚未在系统登记。",
            http=404,
            what_to_do="请联系物业服务中心。",
        )
    db.session.rollback()
    settings = current_app.config["SETTINGS"]
    who = code_to_session(app.config, code, api_base=settings.wechat_api_base)
    now = clock.wire_now()
    with transaction():
        account = operations.account_for(
            company_id=app.company_id,
            appid=appid,
            openid=who.openid,
            unionid=who.unionid,
            now=now,
        )
        audit.record(
            actor=f"account:{account.id}",
            action="owner_login",
            object=f"owner_account:{account.id}",
            at=now,
            company_id=app.company_id,
        )
        token, expires = tokens.issue(
            audience=tokens.OWNER,
            subject=account.id,
            version=account.token_version,
            secret=settings.secret_key,
            now=now,
        )
        return LoggedIn(token, expires, account.id, queries.is_bound(account.id))
