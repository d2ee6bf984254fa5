"""Logging in, who am I, binding a house, one-time message accepts."""

from __future__ import annotations

from typing import Any

from flask import current_app

from backend import clock
from backend.api import schemas
from backend.conduct import queries as conduct
from backend.errors import Refusal
from backend.identity import queries
from backend.reports import texts
from backend.reports.owner import company_card
from backend.usecases.bind_house import bind_by_name, bind_by_phone
from backend.usecases.login_owner import login_owner
from backend.usecases.pay_codes_of_account import pay_codes_of_account
from backend.usecases.record_subscriptions import record_subscriptions as record_choices
from backend.web import (
    Blueprint,
    by_actor,
    current_key,
    current_owner,
    idempotent,
    limiter,
    policy,
)

blp = Blueprint("owner_account", __name__, url_prefix="/api/v1", description="登录与绑定")
_NAME_FIELDS = ("house_code", "name", "phone_last4")


@blp.post("/login")
@policy("public")
@limiter.limit("120/minute")
@blp.arguments(schemas.LoginIn)
@blp.response(200, schemas.LoginOut)
def login(body: dict[str, str]) -> Any:
    """Exchange a wx.login code for a token."""
    return login_owner(appid=body["appid"], code=body["code"])


@blp.get("/me")
@policy("owner")
@blp.response(200, schemas.MeOut)
def get_me() -> Any:
    """The account, its houses, and what to ask message permission for."""
    me = current_owner()
    houses = queries.houses_of(me.account_id, clock.business_today())
    return {
        "account_id": me.account_id,
        "houses": _own_houses(me.account_id, houses),
        "templates": _templates(me.company_id, me.account_id),
        "company": company_card(me.company_id, {row.community_id for row in houses}),
    }


@blp.post("/bindings")
@policy("owner")
@limiter.limit("30/hour", key_func=by_actor)
@idempotent(binds=True)
@blp.arguments(schemas.BindIn)
@blp.response(200, schemas.HousesOut)
def bind_house(body: dict[str, Any]) -> Any:
    """Bind by WeChat phone number, or by house, name and last four digits of the phone."""
    me, key = current_owner(), current_key()
    who = {"account_id": me.account_id, "company_id": me.company_id, "bind_key": key.bind}
    if key.reference is None:
        if "phone_code" in body:
            bind_by_phone(phone_code=body["phone_code"], **who)
        else:
            bind_by_name(community_code=body.get("community_code"), **_by_name(body), **who)
    return {"houses": _houses(queries.houses_of(me.account_id, clock.business_today()))}


@blp.post("/subscriptions")
@policy("owner")
@idempotent
@blp.arguments(schemas.SubscriptionsIn)
@blp.response(200, schemas.RecordedOut)
def record_subscriptions(body: dict[str, Any]) -> Any:
    """Record what the owner answered to wx.requestSubscribeMessage."""
    me = current_owner()
    recorded = record_choices(
        account_id=me.account_id,
        company_id=me.company_id,
        appid=body["appid"],
        results=body["results"],
        key=current_key().claim.key,
    )
    return {"recorded": recorded}


def _by_name(body: dict[str, Any]) -> dict[str, str]:
    missing = {name: "必填。" for name in _NAME_FIELDS if name not in body}
    if missing:
        raise Refusal(
            "validation_failed",
            message="phone_code, or house_code, name and phone_last4",
            message_zh="请用手机号绑定，或填写房号、姓名和手机号后四位。",
            http=422,
            fields=missing,
        )
    return {name: body[name] for name in _NAME_FIELDS}


def _houses(rows: Any) -> list[dict[str, Any]]:
    return [
        {
            "house_id": row.house_id,
            "label": f"{row.community_name} {row.code}",
            "community_name": row.community_name,
            "role": row.role,
            "role_text": texts.ROLE[row.role],
        }
        for row in rows
    ]


def _own_houses(account_id: int, rows: Any) -> list[dict[str, Any]]:
    """The houses with what only `get_me` says: the way to pay outside WeChat, contact stopped."""
    pairs = [(row.house_id, row.party_id) for row in rows]
    stopped = conduct.stopped(pairs, clock.business_today())
    codes = pay_codes_of_account(account_id, pairs)
    base = current_app.config["SETTINGS"].public_base_url
    return [
        {
            **house,
            "pay_code": codes[pair],
            "pay_url": f"{base}/pay/bills?c={codes[pair]}",
            "stopped": pair in stopped,
        }
        for house, pair in zip(_houses(rows), pairs, strict=True)
    ]


def _templates(company_id: int, account_id: int) -> list[str]:
    """Return the template ids of the account's own mini-program, at most the three WeChat asks."""
    for app in queries.apps_of(company_id, "miniprogram"):
        if queries.openid_of(account_id=account_id, appid=app.appid):
            found = app.config.get("templates") or {}
            wanted = [found[event] for event in _ASKED_FOR if event in found]
            return list(dict.fromkeys(str(template["id"]) for template in wanted))[:3]
    return []


_ASKED_FOR = ("bill_issued", "due_in_1", "receipt", "due_in_7", "overdue_3", "promise_tomorrow")
