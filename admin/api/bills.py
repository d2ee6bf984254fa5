"""Bill runs, the overview of communities, waivers."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from admin.api.common import OFFICE, OVERSEERS, PREFIX, BillOut, PageIn, scope
from backend import clock
from backend.billing.queries import bills_by_id
from backend.reports import payments as reports
from backend.reports.bills import bill_views
from backend.reports.communities import list_communities as communities
from backend.usecases.run_bills import preview_bills, refuse_fee_codes
from backend.usecases.run_bills import run_bills as start_run
from backend.usecases.waive import waive as waive_bill
from backend.web import (
    Blueprint,
    Fen,
    Id,
    Instant,
    Schema,
    Text,
    current_steward,
    idempotent,
    policy,
)

blp = Blueprint("bills", __name__, url_prefix=PREFIX, description="Bill runs and waivers")


class BillRunIn(Schema):
    """A community and a period [period_from, period_to) of whole months.

    period_to is the day after the last day. part_month: the period may cut a month.
    """

    community_id = Id(required=True)
    period_from = ma.fields.Date(required=True)
    period_to = ma.fields.Date(required=True)
    part_month = ma.fields.Boolean(load_default=False)
    fee_codes = ma.fields.List(
        Text(40), load_default=None, validate=ma.validate.Length(max=20), allow_none=True
    )


class SkippedOut(Schema):
    """A house that would get no bill, and why."""

    house_code = ma.fields.String(required=True)
    reason_zh = ma.fields.String(required=True)


class SampleOut(Schema):
    """One of the bills that would be issued."""

    house_code = ma.fields.String(required=True)
    fee_name = ma.fields.String(required=True)
    formula = ma.fields.String(required=True)
    fen = ma.fields.Integer(required=True, attribute="due_fen")
    text = ma.fields.String(required=True, attribute="due_text")
    due_date = ma.fields.Date(required=True)


class PreviewOut(Schema):
    """What a run would do."""

    houses = ma.fields.Integer(required=True)
    bills = ma.fields.Integer(required=True)
    total_fen = ma.fields.Integer(required=True)
    total_text = ma.fields.String(required=True)
    skipped = ma.fields.List(ma.fields.Nested(SkippedOut), required=True)
    sample = ma.fields.List(ma.fields.Nested(SampleOut), required=True)


class StartedOut(Schema):
    """The run that was started."""

    id = Id(required=True)
    state = ma.fields.String(required=True)


class BillRunOut(StartedOut):
    """A run and how far it is."""

    houses_done = ma.fields.Integer(required=True)
    houses_total = ma.fields.Integer(required=True)
    bills = ma.fields.Integer(required=True)
    total_fen = ma.fields.Integer(required=True)
    total_text = ma.fields.String(required=True)
    community_id = Id(required=True)
    community_name = ma.fields.String(required=True)
    period_from = ma.fields.Date(required=True)
    period_to = ma.fields.Date(required=True)
    started_at = Instant(required=True)
    finished_at = Instant(allow_none=True)


class BillRunsOut(Schema):
    """Runs, newest first."""

    items = ma.fields.List(ma.fields.Nested(BillRunOut), required=True)
    next_cursor = ma.fields.String(allow_none=True)


class CommunityOut(Schema):
    """collected_fen and the rate are of bills of the current year."""

    id = Id(required=True)
    code = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    houses = ma.fields.Integer(required=True)
    open_fen = ma.fields.Integer(required=True)
    overdue_fen = ma.fields.Integer(required=True)
    collected_fen = ma.fields.Integer(required=True)
    collection_rate_text = ma.fields.String(required=True)


class CommunitiesOut(Schema):
    """Communities in the scope."""

    items = ma.fields.List(ma.fields.Nested(CommunityOut), required=True)


class WaiveIn(Schema):
    """Fen to waive of one bill, and why."""

    bill_id = Id(required=True)
    principal_fen = Fen(minimum=0, load_default=0)
    late_fee_fen = Fen(minimum=0, load_default=0)
    reason = Text(200, required=True)


class WaivedOut(Schema):
    """The bill after the waiver."""

    bill = ma.fields.Nested(BillOut, required=True)


@blp.post("/bill-runs/preview")
@policy(*OFFICE)
@idempotent(binds=True)
@blp.arguments(BillRunIn)
@blp.response(200, PreviewOut)
def preview_bill_run(body: dict[str, Any]) -> dict[str, Any]:
    """What a run would do; nothing is written."""
    refuse_fee_codes(body.pop("fee_codes"))
    return preview_bills(scope=scope(), **body)


@blp.post("/bill-runs")
@policy(*OFFICE)
@idempotent
@blp.arguments(BillRunIn)
@blp.response(202, StartedOut)
def run_bills(body: dict[str, Any]) -> dict[str, Any]:
    """Issue the bills of a period; a worker does it, `get_bill_run` shows how far it is."""
    refuse_fee_codes(body.pop("fee_codes"))
    return start_run(scope=scope(), **body)


@blp.get("/bill-runs")
@policy(*OFFICE)
@blp.arguments(PageIn, location="query")
@blp.response(200, BillRunsOut)
def list_bill_runs(query: dict[str, Any]) -> dict[str, Any]:
    """Bill runs of the company, newest first."""
    return reports.list_bill_runs(scope(), **query)


@blp.get("/bill-runs/<id:run_id>")
@policy(*OFFICE)
@blp.response(200, BillRunOut)
def get_bill_run(run_id: int) -> dict[str, Any]:
    """One bill run and its progress."""
    return reports.get_bill_run(scope(), run_id)


@blp.get("/communities")
@policy("steward")
@blp.response(200, CommunitiesOut)
def list_communities() -> dict[str, Any]:
    """Communities with what is open, overdue and collected; a steward's own buildings only."""
    return communities(scope())


@blp.post("/waivers")
@policy(*OVERSEERS)
@idempotent
@blp.arguments(WaiveIn)
@blp.response(201, WaivedOut)
def waive(body: dict[str, Any]) -> dict[str, Any]:
    """Waive late fee or principal within the role's limit."""
    bill_id = waive_bill(scope=scope(), role=current_steward().role, **body)
    return {"bill": bill_views(bills_by_id([bill_id]), as_of=clock.business_today())[0]}
