"""Log-in, who I am, who my colleagues are."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import current_app

from admin.api.common import PREFIX
from backend import clock
from backend.identity import tokens
from backend.reports.staff import list_staff, staff_member
from backend.usecases.login_steward import login_steward
from backend.web import Blueprint, Id, Instant, Schema, Text, current_steward, limiter, policy

blp = Blueprint("session", __name__, url_prefix=PREFIX, description="Log-in and staff")


class LoginIn(Schema):
    """Login and password of a member of staff."""

    login = Text(64, required=True)
    password = ma.fields.String(required=True, load_only=True, validate=ma.validate.Length(1, 128))


class StewardOut(Schema):
    """A member of staff."""

    id = Id(required=True)
    name = ma.fields.String(required=True)
    role = ma.fields.String(required=True)
    company_name = ma.fields.String(required=True)


class LoginOut(Schema):
    """A token for the header `Authorization: Bearer …`, good until expires_at."""

    token = ma.fields.String(required=True)
    expires_at = Instant(required=True)
    steward = ma.fields.Nested(StewardOut, required=True)


class ColleagueOut(Schema):
    """A colleague one can visit with."""

    id = Id(required=True)
    name = ma.fields.String(required=True)
    role = ma.fields.String(required=True)


class ColleaguesOut(Schema):
    """Active staff of the company."""

    items = ma.fields.List(ma.fields.Nested(ColleagueOut), required=True)


@blp.post("/login")
@policy("public")
@limiter.limit("60/minute")
@blp.arguments(LoginIn)
@blp.response(200, LoginOut)
def steward_login(body: dict[str, Any]) -> dict[str, Any]:
    """Log in: 401 login_failed, after five wrong passwords 429 login_locked."""
    found = login_steward(login=body["login"], password=body["password"])
    token, expires_at = tokens.issue(
        audience=tokens.STEWARD,
        subject=found.steward_id,
        version=found.token_version,
        secret=current_app.config["SETTINGS"].secret_key,
        now=clock.wire_now(),
    )
    steward = {
        "id": found.steward_id,
        "name": found.name,
        "role": found.role,
        "company_name": found.company_name,
    }
    return {"token": token, "expires_at": expires_at, "steward": steward}


@blp.get("/me")
@policy("steward")
@blp.response(200, StewardOut)
def get_steward() -> dict[str, Any]:
    """Who is logged in."""
    return staff_member(current_steward().id)


@blp.get("/stewards")
@policy("steward")
@blp.response(200, ColleaguesOut)
def list_stewards() -> dict[str, Any]:
    """Active staff of the company, to name the second person of a visit."""
    return list_staff(current_steward().company_id)
