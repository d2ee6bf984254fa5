"""What a message says, read under the lock: paid bills have dropped out of it (design 4.7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from flask import current_app

from backend.billing.models import Bill
from backend.clock import date_of
from backend.db import db
from backend.estate.models import Community, Company, House, Party
from backend.reminders.models import Message
from backend.reminders.templates import MessageFacts, addressee


def period_text(bills: Sequence[Bill]) -> str:
    """Return the periods of bills for people: '2026年1月', '2026年1月至3月', '2026年1月等3期'."""
    spans = sorted({(b.period_from, b.period_to) for b in bills})
    if not spans:
        return ""
    first, last = spans[0]
    end = date.fromordinal(last.toordinal() - 1)
    head = f"{first.year}年{first.month}月"
    if (end.year, end.month) != (first.year, first.month):
        head += f"至{end.month}月" if end.year == first.year else f"至{end.year}年{end.month}月"
    return head if len(spans) == 1 else f"{first.year}年{first.month}月等{len(spans)}期"


def facts_of(
    message: Message, bills: Sequence[Bill], *, amount_fen: int, query_code: str
) -> MessageFacts:
    """Return the facts of one message. amount_fen: principal asked, or what was paid."""
    house = db.session.get_one(House, message.house_id)
    community = db.session.get_one(Community, message.community_id)
    company = db.session.get_one(Company, community.company_id)
    party = db.session.get_one(Party, message.party_id)
    on_date = message.data.get("on_date")
    return MessageFacts(
        house_label=f"{community.name}{house.code}",
        house_no=house.code,
        name_masked=addressee(party.name),
        amount_fen=amount_fen,
        period_text=period_text(bills) or str(message.data.get("period_text", "物业服务")),
        company=company.name,
        phone=community.hotline or company.hotline,
        pay_url=current_app.config["SETTINGS"].public_base_url + "/pay/",
        query_code=query_code,
        due_date=min((b.due_date for b in bills), default=None),
        on_date=date.fromisoformat(on_date) if on_date else date_of(message.due_at),
    )
