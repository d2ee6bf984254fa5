"""May these people be contacted now? The permit's questions for many households at once.

Shown to staff before a call or a visit, and asked again when a number is revealed. It answers for
the moment it was asked; the contact itself is counted when it is recorded (C15-C17, C27).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import text

from backend.clock import SHANGHAI, date_of
from backend.conduct.holds_sql import PAYING
from backend.conduct.models import ContactLog, Hold
from backend.conduct.rules import PastContact, decide, next_allowed
from backend.db import db
from backend.errors import Refusal

HOLDS_ZH = {
    "promise": "承诺缴费",
    "plan": "分期履行",
    "dispute": "异议处理",
    "hardship": "困难户温和处理",
    "stop_contact": "要求停止联系",
    "own_error": "我方差错",
    "pending_entry": "缴费待入账",
    "manual": "人工暂停",
}
PROMISED = "promise"
"""The kind of hold that lives and ends with its promise; nobody lifts it by hand."""
Pair = tuple[int, int]
"""(house id, party id)."""


@dataclass(frozen=True)
class Permission:
    """allowed, or the code, the reason in Chinese and the next allowed instant (None: unknown)."""

    allowed: bool
    code: str | None = None
    reason_zh: str | None = None
    next_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the wire shape."""
        return {
            "allowed": self.allowed,
            "code": self.code,
            "reason_zh": self.reason_zh,
            "next_at": self.next_at,
        }


def permissions(
    pairs: Collection[Pair], *, kinds: Sequence[str], at: datetime
) -> dict[tuple[int, int, str], Permission]:
    """Return {(house, party, kind): Permission} for reminders at a business instant.

    Three queries whatever the number of households. Order of the answers: nothing to pay or a
    payment on its way, stop of contact, other holds, then hours and counts.
    """
    if not pairs:
        return {}
    state = _money(pairs, date_of(at))
    holds = _holds(pairs, date_of(at))
    history = _history({party for _, party in pairs}, at)
    answers = {}
    for pair in pairs:
        blocked = _money_says(state.get(pair)) or _holds_say(holds[pair], state.get(pair))
        for kind in kinds:
            answers[(*pair, kind)] = blocked or _rules_say(kind, at, history[pair[1]])
    return answers


def permission(*, house_id: int, party_id: int, kind: str, at: datetime) -> Permission:
    """Return the answer for one household and one kind of contact (call, visit, message)."""
    return permissions([(house_id, party_id)], kinds=[kind], at=at)[(house_id, party_id, kind)]


def stopped(pairs: Collection[Pair], day: date) -> set[Pair]:
    """Return the pairs whose owner asked not to be contacted, in force on a business day (C17)."""
    found = _holds(pairs, day)
    return {pair for pair in pairs if any(hold.kind == "stop_contact" for hold in found[pair])}


def stop_contact(*, house_id: int, party_id: int, day: date) -> Refusal | None:
    """Return the refusal `E-C17` if the owner asked not to be contacted, else None (C17)."""
    if not stopped([(house_id, party_id)], day):
        return None
    return Refusal(
        "E-C17",
        message="the owner asked not to be contacted",
        message_zh="业主已要求停止联系，不得拨打、上门或发送催缴信息。",
        what_to_do="请等待业主主动联系；解除须主管办理并取得业主新的同意。",
        legal_basis="民法典1033条；治安管理处罚法50条",
    )


def _arrays(pairs: Collection[Pair]) -> dict[str, list[int]]:
    return {"houses": [house for house, _ in pairs], "parties": [party for _, party in pairs]}


def _money(pairs: Collection[Pair], today: date) -> dict[Pair, Any]:
    """Overdue bills of each pair, and whether a payment of them may be on its way."""
    rows = db.session.execute(
        text(
            f"""
            SELECT p.house_id, p.party_id, array_agg(b.id) AS bills, bool_or({PAYING}) AS paying
            FROM unnest(CAST(:houses AS bigint[]), CAST(:parties AS bigint[]))
                 AS p(house_id, party_id)
            JOIN bill b ON b.house_id = p.house_id AND b.party_id = p.party_id
            WHERE b.state IN ('open','part_paid') AND b.due_date < :today
            GROUP BY p.house_id, p.party_id
            """
        ),
        {**_arrays(pairs), "today": today},
    )
    return {(row.house_id, row.party_id): row for row in rows}


def _holds(pairs: Collection[Pair], day: date) -> dict[Pair, list[Hold]]:
    houses, parties = {house for house, _ in pairs}, {party for _, party in pairs}
    rows = db.session.scalars(
        db.select(Hold).where(
            Hold.lifted_at.is_(None),
            Hold.from_day <= day,
            (Hold.until_day.is_(None)) | (Hold.until_day > day),
            Hold.house_id.in_(houses) | (Hold.house_id.is_(None) & Hold.party_id.in_(parties)),
        )
    ).all()
    found: dict[Pair, list[Hold]] = {pair: [] for pair in pairs}
    for house, party in pairs:
        found[(house, party)] = [
            hold
            for hold in rows
            if hold.house_id in (None, house) and hold.party_id in (None, party)
        ]
    return found


def _history(parties: Collection[int], at: datetime) -> dict[int, list[PastContact]]:
    rows = db.session.execute(
        db.select(
            ContactLog.party_id,
            ContactLog.kind,
            ContactLog.class_,
            ContactLog.at,
            ContactLog.connected,
        ).where(ContactLog.party_id.in_(parties), ContactLog.at > at - timedelta(days=31))
    )
    found: dict[int, list[PastContact]] = defaultdict(list)
    for party, kind, contact_class, when, connected in rows:
        found[party].append(PastContact(kind, contact_class, when, connected))
    return found


def _money_says(row: Any) -> Permission | None:
    if row is None:
        return Permission(False, "paid", "没有逾期未缴的账单，请勿催缴。")
    if row.paying:
        return Permission(
            False, "payment_in_progress", "业主可能正在缴费，请稍后刷新，先不要联系。"
        )
    return None


def _holds_say(holds: Sequence[Hold], row: Any) -> Permission | None:
    stops = [hold for hold in holds if hold.kind == "stop_contact"]
    if stops:
        return Permission(False, "E-C17", "业主已要求停止联系，不得拨打、上门或发送催缴信息。")
    whole = [hold for hold in holds if hold.bill_id is None]
    held = {hold.bill_id for hold in holds if hold.bill_id is not None}
    if not whole and not set(row.bills) <= held:
        return None
    decisive = whole or [hold for hold in holds if hold.bill_id in row.bills]
    until = [hold.until_day for hold in decisive]
    day = None if None in until else max(until)
    kind = decisive[0].kind
    span = f"至 {day} 前" if day else "解除前"
    reason = f"本户处于“{HOLDS_ZH[kind]}”暂停期，{span}不联系。"
    opens = day and datetime(day.year, day.month, day.day, 9, tzinfo=SHANGHAI)
    return Permission(False, f"hold_{kind}", reason, opens)


def _rules_say(kind: str, at: datetime, history: Sequence[PastContact]) -> Permission:
    answer = decide(kind=kind, contact_class="reminder", at=at, history=history)
    if answer.allowed:
        return Permission(True)
    return Permission(False, answer.code, answer.reason_zh, answer.next_allowed_at)


def next_call_day(*, party_id: int, at: datetime, not_before: date) -> date:
    """Return the first day from `not_before` on which a reminder call would be allowed (C16)."""
    start = datetime(not_before.year, not_before.month, not_before.day, 9, tzinfo=SHANGHAI)
    free = next_allowed(
        kind="call",
        contact_class="reminder",
        at=max(start, at),
        history=_history([party_id], at)[party_id],
    )
    return date_of(free) if free else not_before
