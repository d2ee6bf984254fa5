"""The minute before a call or visit: what to know, in neutral words (S67, C29). Pure.

Only facts that stand in the books, no judgement of the person. It orders and softens a contact
and never decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from backend.money import Fen, yuan_text


@dataclass(frozen=True)
class BriefFacts:
    """What is known about a household. Texts are Chinese already; days are business days."""

    open_fen: Fen
    bills: int
    overdue_days: int
    oldest_period: str = ""
    last_contact: tuple[date, str, str, str] | None = None  # day, kind, result, reason
    contacts_30_days: int = 0
    promises_kept: int = 0
    promises_broken: int = 0
    open_promise: tuple[date, Fen] | None = None
    last_payment: date | None = None
    reach: Sequence[str] = field(default=())
    holds: Sequence[str] = field(default=())


def brief_of(facts: BriefFacts) -> dict[str, object]:
    """Return {headline, points}: one sentence and three to five points."""
    points = [
        text
        for text in (
            _hold_point(facts),
            _bill_point(facts),
            _contact_point(facts),
            _promise_point(facts),
            _reach_point(facts),
            _payment_point(facts),
        )
        if text
    ]
    return {"headline": _headline(facts), "points": points[:5]}


def _headline(facts: BriefFacts) -> str:
    if facts.open_fen <= 0:
        return "本户没有未缴账单，无需联系；如正在通话，请致谢。"
    if facts.open_promise:
        day, fen = facts.open_promise
        return f"已约定 {day} 缴 {yuan_text(fen)} 元，到期前不再催促。"
    amount = f"{facts.bills} 笔账单共 {yuan_text(facts.open_fen)} 元"
    if facts.overdue_days <= 0:
        return f"{amount}待缴，尚未到期。"
    return f"{amount}待缴，最早一笔已过缴费日 {facts.overdue_days} 天。"


def _hold_point(facts: BriefFacts) -> str:
    return f"暂停事项：{'、'.join(facts.holds)}。" if facts.holds else ""


def _bill_point(facts: BriefFacts) -> str:
    if facts.open_fen <= 0:
        return "账单均已结清。"
    return f"最早未缴账期：{facts.oldest_period}。"


def _contact_point(facts: BriefFacts) -> str:
    if facts.last_contact is None:
        return "还没有联系过；先说明身份与来意，核实本人后再谈金额。"
    day, kind, result, reason = facts.last_contact
    return (
        f"上次联系 {day} {kind}，{result}，原因：{reason}；近 30 天共 {facts.contacts_30_days} 次。"
    )


def _promise_point(facts: BriefFacts) -> str:
    made = facts.promises_kept + facts.promises_broken
    if not made and facts.open_promise:
        return ""
    if not made:
        return "没有承诺记录；可请业主说一个确切的缴费日期。"
    return f"承诺 {made} 次，守约 {facts.promises_kept} 次，未兑现 {facts.promises_broken} 次。"


def _reach_point(facts: BriefFacts) -> str:
    if not facts.reach:
        return "没有可用的联系方式，请走补充联系方式流程。"
    return f"可用渠道：{'、'.join(facts.reach)}。"


def _payment_point(facts: BriefFacts) -> str:
    return f"最近一次缴费在 {facts.last_payment}。" if facts.last_payment else ""
