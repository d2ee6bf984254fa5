"""The owner's bills, and objecting to one."""

from __future__ import annotations

from datetime import date
from typing import Any

from backend import clock
from backend.api import schemas
from backend.identity import queries
from backend.reports import paging
from backend.reports.bills import bill_views, payable_totals
from backend.reports.owner import require_bills, visible_bills
from backend.reports.paid import with_payments
from backend.usecases.open_dispute import open_dispute as place_dispute
from backend.web import Blueprint, current_owner, idempotent, policy

blp = Blueprint("owner_bills", __name__, url_prefix="/api/v1", description="账单")


@blp.get("/bills")
@policy("owner")
@blp.arguments(schemas.BillsQuery, location="query")
@blp.response(200, schemas.BillPage)
def list_bills(query: dict[str, Any]) -> Any:
    """Bills of the bound houses: open ones oldest due first, or all of them newest first."""
    account_id, house_id = current_owner().account_id, query.get("house_id")
    if house_id is not None:
        queries.binding_of(account_id, house_id)
    today = clock.business_today()
    mine = {"account_id": account_id, "house_id": house_id}
    rows, next_cursor = paging.page(
        visible_bills(
            **mine,
            open_only=query["state"] == "open",
            after=paging.decode(query.get("cursor"), date.fromisoformat, paging.big),
            limit=paging.PAGE + 1,
        ),
        paging.PAGE,
        lambda bill: (bill.due_date.isoformat(), bill.id),
    )
    return {
        "items": with_payments(bill_views(rows, as_of=today)),
        "totals": payable_totals(visible_bills(**mine, open_only=True), as_of=today),
        "as_of": today,
        "next_cursor": next_cursor,
    }


@blp.post("/disputes")
@policy("owner")
@idempotent
@blp.arguments(schemas.DisputeIn)
@blp.response(200, schemas.DisputeOut)
def open_dispute(body: dict[str, Any]) -> Any:
    """Object to a bill or a part of it; reminders and late fee of it stop at once (C13)."""
    me = current_owner()
    require_bills(account_id=me.account_id, bill_ids=[body["bill_id"]])
    return place_dispute(by=me.key, company_id=me.company_id, **body)
