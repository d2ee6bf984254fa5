"""The owner's bills, and objecting to one."""

from __future__ import annotations

from datetime import date
from typing import Any

from backend import clock
from backend.api import schemas
from backend.billing.models import Bill
from backend.identity import queries
from backend.reports import paging
from backend.reports.bills import bill_views, payable_totals
from backend.reports.owner import require_bills, visible_bills, visible_payable_bills
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
    mine = {"account_id": current_owner().account_id, "house_id": query.get("house_id")}
    if mine["house_id"] is not None:
        queries.binding_of(**mine)
    today = clock.business_today()
    payable = visible_payable_bills(**mine, as_of=today)
    after = paging.decode(query.get("cursor"), date.fromisoformat, paging.big)
    if query["state"] == "open":
        rows = [bill for bill in payable if after is None or _place(bill) > after]
    else:
        rows = visible_bills(**mine, after=after, limit=paging.PAGE + 1)
    rows, next_cursor = paging.page(rows, paging.PAGE, _place)
    return {
        "items": with_payments(bill_views(rows, as_of=today)),
        "totals": payable_totals(payable, as_of=today),
        "as_of": today,
        "next_cursor": next_cursor,
    }


def _place(bill: Bill) -> tuple[date, int]:
    """Where a bill stands in the list: what a cursor remembers."""
    return bill.due_date, bill.id


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
