"""The worklist, finding a household, its page, and showing a phone number."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from admin.api.common import (
    PREFIX,
    BillOut,
    PageIn,
    PermissionOut,
    ReasonIn,
    TotalsOut,
    scope,
)
from admin.api.household_out import (
    BriefOut,
    ContactOut,
    HoldOut,
    HouseOut,
    MessageOut,
    PartyOut,
    PaymentOut,
    PromiseOut,
)
from backend.reports.household import get_household as household_page
from backend.reports.worklist import list_worklist as worklist_page
from backend.usecases.reveal_phone import reveal_phone as reveal
from backend.usecases.search_households import search_households as search
from backend.web import Blueprint, Id, Instant, Schema, Text, current_key, idempotent, policy

blp = Blueprint("households", __name__, url_prefix=PREFIX, description="Worklist and households")


class WorklistIn(PageIn):
    """building_id: only this building."""

    building_id = Id(load_default=None)


class LastContactOut(Schema):
    """The latest contact of a household."""

    at = Instant(required=True)
    kind_text = ma.fields.String(required=True)
    result_text = ma.fields.String(required=True)


class WorkItemOut(Schema):
    """One task with what a call needs to know."""

    task_id = Id(required=True)
    kind = ma.fields.String(required=True)
    kind_text = ma.fields.String(required=True)
    stage = ma.fields.String(required=True)
    stage_text = ma.fields.String(required=True)
    due_day = ma.fields.Date(required=True)
    reason = ma.fields.String(required=True)
    house_id = Id(required=True)
    house_code = ma.fields.String(required=True)
    community_name = ma.fields.String(required=True)
    party_id = Id(required=True)
    party_name = ma.fields.String(required=True, metadata={"description": "masked"})
    open_fen = ma.fields.Integer(required=True)
    open_text = ma.fields.String(required=True)
    overdue_days = ma.fields.Integer(required=True)
    bill_count = ma.fields.Integer(required=True)
    last_contact = ma.fields.Nested(LastContactOut, allow_none=True)
    contact_allowed = ma.fields.Nested(PermissionOut, required=True)


class WorkCountsOut(Schema):
    """Tasks due and not done; tasks done today."""

    open = ma.fields.Integer(required=True)
    done_today = ma.fields.Integer(required=True)


class WorklistOut(Schema):
    """A page of the list as of an instant."""

    items = ma.fields.List(ma.fields.Nested(WorkItemOut), required=True)
    as_of = Instant(required=True)
    next_cursor = ma.fields.String(allow_none=True)
    counts = ma.fields.Nested(WorkCountsOut, required=True)


class SearchIn(PageIn):
    """q: house code, name, or complete phone number."""

    q = Text(40, required=True)


class HitOut(Schema):
    """A household that was found; billed false: it never got a bill, so it has paid none."""

    house_id = Id(required=True)
    house_code = ma.fields.String(required=True)
    community_name = ma.fields.String(required=True)
    party_name = ma.fields.String(required=True, metadata={"description": "masked"})
    open_fen = ma.fields.Integer(required=True)
    open_text = ma.fields.String(required=True)
    billed = ma.fields.Boolean(required=True)


class HitsOut(Schema):
    """A page of what was found."""

    items = ma.fields.List(ma.fields.Nested(HitOut), required=True)
    next_cursor = ma.fields.String(allow_none=True)


class AllowedOut(Schema):
    """Per kind of contact."""

    call = ma.fields.Nested(PermissionOut, required=True)
    visit = ma.fields.Nested(PermissionOut, required=True)


class HouseholdOut(Schema):
    """One household; totals, credit, brief and permissions are about primary_party_id."""

    house = ma.fields.Nested(HouseOut, required=True)
    parties = ma.fields.List(ma.fields.Nested(PartyOut), required=True)
    primary_party_id = Id(allow_none=True)
    bills = ma.fields.List(ma.fields.Nested(BillOut), required=True)
    totals = ma.fields.Nested(TotalsOut, required=True)
    credit_fen = ma.fields.Integer(required=True)
    contacts = ma.fields.List(ma.fields.Nested(ContactOut), required=True)
    promises = ma.fields.List(ma.fields.Nested(PromiseOut), required=True)
    messages = ma.fields.List(ma.fields.Nested(MessageOut), required=True)
    holds = ma.fields.List(ma.fields.Nested(HoldOut), required=True)
    payments = ma.fields.List(ma.fields.Nested(PaymentOut), required=True)
    contact_allowed = ma.fields.Nested(AllowedOut, required=True)
    brief = ma.fields.Nested(BriefOut, required=True)
    as_of = Instant(required=True)


class PhoneOut(Schema):
    """A number in full."""

    phone = ma.fields.String(required=True)


@blp.get("/worklist")
@policy("steward")
@blp.arguments(WorklistIn, location="query")
@blp.response(200, WorklistOut)
def list_worklist(query: dict[str, Any]) -> dict[str, Any]:
    """My tasks that are due, oldest first."""
    return worklist_page(scope(), **query)


@blp.get("/households")
@policy("steward")
@blp.arguments(SearchIn, location="query")
@blp.response(200, HitsOut)
def search_households(query: dict[str, Any]) -> dict[str, Any]:
    """Find households; a search by phone leaves a trace."""
    return search(scope(), query["q"], cursor=query["cursor"])


@blp.get("/households/<id:house_id>")
@policy("steward")
@blp.response(200, HouseholdOut)
def get_household(house_id: int) -> dict[str, Any]:
    """Everything about one household."""
    return household_page(scope(), house_id)


@blp.post("/households/<id:house_id>/phones/<id:phone_id>/reveal")
@policy("steward")
@idempotent(binds=True)
@blp.arguments(ReasonIn)
@blp.response(200, PhoneOut)
def reveal_phone(body: dict[str, Any], house_id: int, phone_id: int) -> dict[str, Any]:
    """Show one number in full, with a reason, on the record."""
    phone = reveal(
        scope=scope(),
        house_id=house_id,
        phone_id=phone_id,
        reason=body["reason"],
        bind=current_key().bind,
    )
    return {"phone": phone}
