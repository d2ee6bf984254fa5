"""Laying the platforms' books beside the product's: what was lost, doubled, wrong, or is stuck."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from backend.db import db
from tests.chaos.town import Town

if TYPE_CHECKING:
    from tests.chaos.place import Place
    from tests.chaos.storm import Result

DELTA_MS = 2000

_UNFINISHED = {
    "inbox pending": "SELECT count(*) FROM inbox_pending",
    "orders without a next question": (
        "SELECT count(*) FROM payment_order WHERE next_query_at IS NULL "
        "AND state IN ('created','pending','unknown','closing')"
    ),
    "orders nobody asks about": (
        "SELECT count(*) FROM payment_order WHERE next_query_at < now() - interval '90 s'"
    ),
    "leases that ran out": (
        "SELECT count(*) FROM task WHERE state = 'leased' AND lease_until < now() - interval '5 s'"
    ),
    "tasks at work": "SELECT count(*) FROM task WHERE state = 'leased'",
    "tasks due": (
        "SELECT count(*) FROM task t, business_clock c WHERE t.state = 'ready' "
        "AND t.due_at <= now() + make_interval(secs => c.offset_seconds) "
        "AND (t.not_before IS NULL OR t.not_before <= now()) "
        "AND NOT (t.kind = 'ask_message' AND t.due_at > now() + "
        "make_interval(secs => c.offset_seconds) - interval '30 s')"
    ),
    "tasks waiting to try again": (
        "SELECT count(*) FROM task WHERE state = 'ready' AND not_before > now()"
    ),
    "messages left calling": "SELECT count(*) FROM message WHERE state = 'calling'",
    "messages left planned": "SELECT count(*) FROM message WHERE state = 'planned'",
    "audit events unsealed": "SELECT count(*) FROM audit_pending",
}


def unfinished(place: Place) -> dict[str, int]:
    """Return how much is not done yet, by kind; all zero means calm."""
    left = {name: db.session.scalar(text(sql)) for name, sql in _UNFINISHED.items()}
    db.session.rollback()
    left["payments not settled"] = len(_paid(place).keys() - _journals().keys())
    return left


def _paid(place: Place) -> dict[str, dict[str, Any]]:
    """Return the platform's paid orders by transaction."""
    rows = place.sandbox.get("/_sandbox/book/payments", paid=1)
    return {row["transaction_id"]: row for row in rows}


def _journals() -> Counter[str]:
    rows = db.session.scalars(
        text("SELECT source_key FROM check_v1.journals WHERE source_type = 'payment'")
    )
    found = Counter(rows)
    db.session.rollback()
    return found


def fill(result: Result, place: Place, town: Town) -> None:
    """Write counts and wrongs into the result."""
    paid, journals = _paid(place), _journals()
    messages = [m for m in place.sandbox.get("/_sandbox/book/messages") if m["accepted"]]
    result.payments, result.messages = len(paid), len(messages)
    result.in_doubt = _count("SELECT count(*) FROM message WHERE state = 'in_doubt'")
    late = _wrongful(town, paid, messages)
    left = unfinished(place)
    result.wrong = {
        "lost": _lost(paid, journals, place, result),
        "duplicates": _doubled(place, journals, result),
        "wrongful": len(late),
        "stuck": sum(left.values()),
        "ledger": _ledger(paid),
    }
    result.details += [f"{name}: {count}" for name, count in left.items() if count] + late


def _count(sql: str) -> int:
    count = db.session.scalar(text(sql))
    db.session.rollback()
    return count


def _lost(paid: dict[str, Any], journals: Counter[str], place: Place, result: Result) -> int:
    """Payments nobody booked, acknowledged callbacks that are gone, messages we know nothing of."""
    kept = {
        row.out_trade_no
        for row in db.session.execute(text("SELECT DISTINCT out_trade_no FROM check_v1.inbox"))
    }
    acknowledged = [
        n
        for n in place.sandbox.get("/_sandbox/book/notifies", point="wechatpay.notify")
        if n["ok"] and n.get("kind") != "dropped"
    ]
    result.acknowledged = len(acknowledged)
    vanished = {n["out_trade_no"] for n in acknowledged} - kept
    told = {m["out_id"] for m in place.sandbox.get("/_sandbox/book/messages") if m["accepted"]}
    known = set(
        db.session.scalars(
            text(
                "SELECT out_id FROM message WHERE state IN ('accepted','delivered','in_doubt',"
                "'failed')"
            )
        )
    )
    db.session.rollback()
    missing = {
        "payment not booked": paid.keys() - journals.keys(),
        "acknowledged callback gone": vanished,
        "message unknown to us": told - known,
    }
    result.details += [f"{name}: {sorted(which)}" for name, which in missing.items() if which]
    return sum(len(which) for which in missing.values())


def _doubled(place: Place, journals: Counter[str], result: Result) -> int:
    """By the platform's log, by our number, by (bill, stage, window), and money booked twice."""
    twice = place.sandbox.get("/_sandbox/book/duplicates")
    result.details += [f"{how}: {found}" for how, found in twice.items() if found]
    live = _count(
        "SELECT count(*) FROM (SELECT mb.bill_id, mb.stage, mb.window_key FROM message_bill mb "
        "JOIN message m ON m.id = mb.message_id WHERE m.state IN "
        "('accepted','delivered','in_doubt') GROUP BY 1, 2, 3 HAVING count(*) > 1) s"
    )
    money = sum(count - 1 for count in journals.values())
    return sum(len(found) for found in twice.values()) + live + money


def _wrongful(town: Town, paid: dict[str, Any], messages: list[dict[str, Any]]) -> list[str]:
    """Reminders that began later than two seconds after their bill was paid."""
    phones = {h.bill_id: h.phone for h in town.households}
    bills = dict(
        db.session.execute(text("SELECT out_trade_no, bill_ids FROM check_v1.payment_orders")).all()
    )
    db.session.rollback()
    first: dict[str, int] = {}
    for order in paid.values():
        for bill in bills.get(order["out_trade_no"]) or []:
            at = first.get(phones[bill], order["paid_at"])
            first[phones[bill]] = min(at, order["paid_at"])
    return [
        f"{m['out_id']} began {m['received_at'] - first[m['to']]} ms after the payment"
        for m in messages
        if m["event"] == "overdue_3"
        and m["to"] in first
        and m["received_at"] - first[m["to"]] > DELTA_MS
    ]


def _ledger(paid: dict[str, Any]) -> int:
    """Anything that does not add up: the ledger itself, or against the platform, per payment."""
    wrong = abs(_count("SELECT coalesce(sum(amount), 0) FROM check_v1.postings") or 0)
    booked = dict(
        db.session.execute(
            text(
                "SELECT j.source_key, sum(p.amount)::bigint FROM check_v1.journals j "
                "JOIN check_v1.postings p ON p.journal_id = j.id WHERE j.source_type = 'payment' "
                "AND p.account LIKE 'clearing:%' GROUP BY 1"
            )
        ).all()
    )
    db.session.rollback()
    return wrong + sum(
        booked.get(number, 0) != order["amount_fen"] for number, order in paid.items()
    )
