"""My contact record (C59), a promise to pay, and an end to all contact (C17)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from backend import clock
from backend.api import schemas
from backend.dunning.promises import reminder_day
from backend.identity import queries
from backend.money import yuan_text
from backend.reports import paging, texts
from backend.reports.owner import contacts_made, message_text
from backend.usecases.record_promise import record_promise
from backend.usecases.stop_contact import stop_contact as place_stop
from backend.web import Blueprint, current_owner, idempotent, policy

blp = Blueprint("owner_contacts", __name__, url_prefix="/api/v1", description="联系与承诺")


@blp.get("/contacts")
@policy("owner")
@blp.arguments(schemas.ContactsQuery, location="query")
@blp.response(200, schemas.ContactPage)
def list_contacts(query: dict[str, Any]) -> Any:
    """Messages sent to me and calls and visits made to me about a house, newest first."""
    account_id, house_id = current_owner().account_id, query["house_id"]
    mine = queries.binding_of(account_id, house_id)
    before = paging.decode(query.get("cursor"), _instant)
    rows, next_cursor = paging.page(
        contacts_made(
            house_id=house_id,
            party_ids=[mine.party_id],
            before=before[0] if before else None,
            limit=paging.PAGE + 1,
        ),
        paging.PAGE,
        lambda row: (row.at.isoformat(),),
    )
    return {"items": [_contact(row) for row in rows], "next_cursor": next_cursor}


@blp.post("/promises")
@policy("owner")
@idempotent
@blp.arguments(schemas.PromiseIn)
@blp.response(200, schemas.PromiseOut)
def make_promise(body: dict[str, Any]) -> Any:
    """Promise to pay an amount by a day; reminders keep still until then."""
    me = current_owner()
    mine = queries.binding_of(me.account_id, body["house_id"])
    promise = record_promise(
        party_id=mine.party_id, made_by=me.key, company_id=me.company_id, **body
    )
    return {
        "id": promise.id,
        "state": promise.state,
        "day": promise.day,
        "amount_fen": promise.amount_fen,
        "amount_text": yuan_text(promise.amount_fen),
        "reminder_day": reminder_day(promise.day, clock.business_today()),
    }


@blp.post("/stop-contact")
@policy("owner")
@idempotent
@blp.arguments(schemas.HouseIn)
@blp.response(200, schemas.HoldOut)
def stop_contact(body: dict[str, Any]) -> Any:
    """Stop calls, messages and visits about arrears to me, at every house."""
    me = current_owner()
    mine = queries.binding_of(me.account_id, body["house_id"])
    hold_id = place_stop(party_id=mine.party_id, by=me.key, company_id=me.company_id)
    return {"hold_id": hold_id}


def _contact(row: Any) -> dict[str, Any]:
    if row.kind == "message":
        text = message_text(row)
        channel = texts.MESSAGE_CHANNEL.get(row.channel, row.channel)
    else:
        text = texts.RESULT.get(row.result, row.result)
        channel = texts.KIND.get(row.channel, row.channel)
    return {"at": row.at, "kind": row.kind, "channel_text": channel, "text": text}


def _instant(value: Any) -> datetime:
    return datetime.fromisoformat(value).astimezone(UTC)
