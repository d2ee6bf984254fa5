"""The owner's points: balance, where they came from, and paying with them."""

from __future__ import annotations

from typing import Any

from backend import clock
from backend.api import schemas
from backend.identity import queries
from backend.money import decimal_text, exact
from backend.reports import paging
from backend.reports.bills import bill_views
from backend.reports.owner import points_page, programmes, require_bills
from backend.usecases.redeem_points import EXCHANGE_FEN, EXCHANGE_POINTS
from backend.usecases.redeem_points import redeem_points as redeem
from backend.web import Blueprint, current_key, current_owner, idempotent, policy

blp = Blueprint("owner_points", __name__, url_prefix="/api/v1", description="积分")


@blp.get("/points")
@policy("owner")
@blp.arguments(schemas.CursorQuery, location="query")
@blp.response(200, schemas.PointsPage)
def list_points(query: dict[str, Any]) -> Any:
    """Balance and entries of the people this account is bound as."""
    me, today = current_owner(), clock.business_today()
    houses = queries.houses_of(me.account_id, today)
    before = paging.decode(query.get("cursor"), paging.big)
    page = points_page(
        company_id=me.company_id,
        party_ids=sorted({row.party_id for row in houses}),
        before=before[0] if before else None,
        limit=paging.PAGE,
    )
    last_id = page.pop("last_id")
    return {
        **page,
        "rule_text": _rule_text({row.community_id for row in houses}),
        "next_cursor": paging.encode(last_id) if last_id else None,
    }


@blp.post("/points/redemptions")
@policy("owner")
@idempotent
@blp.arguments(schemas.RedeemIn)
@blp.response(200, schemas.RedeemOut)
def redeem_points(body: dict[str, Any]) -> Any:
    """Pay part of a bill's principal with points; at most what the bill still needs."""
    me, today = current_owner(), clock.business_today()
    [bill] = require_bills(account_id=me.account_id, bill_ids=[body["bill_id"]])
    done = redeem(
        bill_id=bill.id,
        party_id=queries.binding_of(me.account_id, bill.house_id).party_id,
        points=body["points"],
        by=me.key,
        company_id=me.company_id,
        key=f"{me.account_id}:{current_key().claim.key}",
    )
    [view] = bill_views([bill], as_of=today)
    return {"points_used": done.points_used, "fen": done.fen, "bill": view}


def _rule_text(community_ids: set[int]) -> str:
    rules = [
        f"{p.title}：每缴 1 元物业服务费得 {_plain(p.points_per_yuan * p.multiplier)} 分"
        for p in programmes(community_ids, clock.business_today())
    ]
    if not rules:
        return "当前没有积分活动。"
    use = f"{EXCHANGE_POINTS * 100} 分可抵 {EXCHANGE_FEN} 元物业服务费"
    return "；".join([*dict.fromkeys(rules), use]) + "。"


def _plain(value: Any) -> str:
    return decimal_text(exact(value, places=8))
