"""Collects the facts of the one-minute brief from the sections of the household page (S67)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import text

from backend.clock import date_of, to_business
from backend.db import db
from backend.reports.brief import BriefFacts, brief_of


def brief_for(
    *,
    house_id: int,
    party_id: int | None,
    bills: list[dict[str, Any]],
    today: date,
    now: datetime,
    contacts: list[dict[str, Any]],
    promises: list[dict[str, Any]],
    holds: list[dict[str, Any]],
    payments: list[dict[str, Any]],
    messages: list[dict[str, Any]],
) -> dict[str, object]:
    """Return {headline, points} about one party of a house; sections as in the household page."""
    unpaid = sorted(
        (b for b in bills if b["state"] in ("open", "part_paid")), key=lambda b: b["due_date"]
    )
    made = [c for c in contacts if c["party_id"] == party_id]
    own = [p for p in promises if p["party_id"] == party_id]
    waiting = [(p["day"], p["amount_fen"]) for p in own if p["state"] == "open"]
    paid = [p["at"] for p in payments if p["state"] in ("succeeded", "succeeded_late")]
    return brief_of(
        BriefFacts(
            open_fen=sum(b["open_fen"] for b in unpaid),
            bills=len(unpaid),
            overdue_days=(today - unpaid[0]["due_date"]).days if unpaid else 0,
            oldest_period=unpaid[0]["period_text"] if unpaid else "",
            last_contact=_last(made),
            contacts_30_days=sum(c["at"] > now - timedelta(days=30) for c in made),
            promises_kept=sum(p["state"] == "kept" for p in own),
            promises_broken=sum(p["state"] == "broken" for p in own),
            open_promise=waiting[0] if waiting else None,
            last_payment=date_of(to_business(max(paid))) if paid else None,
            reach=_reach(house_id, party_id),
            holds=[h["kind_text"] for h in holds if h["kind"] != "promise"],
        )
    )


def _last(made: list[dict[str, Any]]) -> tuple[date, str, str, str] | None:
    if not made:
        return None
    last = made[0]
    return date_of(last["at"]), last["kind_text"], last["result_text"], last["reason_text"]


def _reach(house_id: int, party_id: int | None) -> list[str]:
    row = db.session.execute(
        text(
            """
            SELECT EXISTS (SELECT 1 FROM binding b JOIN owner_openid o USING (account_id)
                           WHERE b.house_id = :h AND b.party_id = :p AND b.ended_at IS NULL)
                       AS mini,
                   EXISTS (SELECT 1 FROM binding b JOIN owner_openid o USING (account_id)
                           WHERE b.house_id = :h AND b.party_id = :p AND b.ended_at IS NULL
                             AND o.following)
                       AS follows,
                   EXISTS (SELECT 1 FROM contact_point WHERE party_id = :p AND state = 'valid')
                       AS phone
            """
        ),
        {"h": house_id, "p": party_id},
    ).one()
    named = (("电话", row.phone), ("服务号消息", row.follows), ("小程序", row.mini))
    return [name for name, usable in named if usable]
