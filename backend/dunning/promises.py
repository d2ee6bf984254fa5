"""A promise to pay: amount, day and way, silencing reminders until its day (S34, C71).

`make_promise` works inside the caller's transaction, under the house account's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import func, text

from backend.billing import queries as bills
from backend.billing.models import Bill, PrincipalEvent
from backend.clock import business_today, date_of
from backend.conduct.operations import place_hold
from backend.db import db
from backend.dunning import rules
from backend.dunning.models import Promise
from backend.money import Fen
from backend.reminders import operations as reminders

DAY = timedelta(days=1)


def make_promise(
    *,
    community_id: int,
    house_id: int,
    party_id: int,
    amount_fen: Fen,
    day: date,
    pay_by: str,
    made_by: str,
    now: datetime,
) -> Promise:
    """Write a promise, its hold [today, day + 1) and the reminder of the day before.

    The caller holds the house account. now: business instant. An open promise of the same
    household is replaced (state cancelled). Open tasks of the household are closed as done with.
    Raises Refusal `nothing_to_pay`, `promise_invalid` (see rules.check_promise).
    """
    today = date_of(now)
    open_bills = [b for b in bills.open_bills([house_id]) if b.party_id == party_id]
    fees = bills.late_fees(open_bills, today)
    principal = sum(b.open_fen for b in open_bills)
    rules.check_promise(
        amount_fen=amount_fen,
        payable_fen=principal + sum(fee.open for fee in fees.values()),
        day=day,
        today=today,
        pay_by=pay_by,
    )
    _replace_open(house_id, party_id, now)
    hold = place_hold(
        kind="promise",
        house_id=house_id,
        party_id=party_id,
        from_day=today,
        until_day=day + DAY,
        reason=f"承诺 {day} 缴费",
        source=made_by,
        now=now,
    )
    promise = Promise(
        community_id=community_id,
        house_id=house_id,
        party_id=party_id,
        amount_fen=amount_fen,
        open_at_start_fen=principal,
        after_event_id=_last_event(open_bills),
        day=day,
        pay_by=pay_by,
        made_by=made_by,
        hold_id=hold.id,
        made_at=now,
    )
    db.session.add(promise)
    db.session.flush()
    _cancel_tasks(house_id, party_id, now)
    _plan_reminder(promise, [b.id for b in open_bills], now)
    return promise


def left_to_pay(window_key: str, promised_fen: Fen, open_bills: Sequence[Bill]) -> Fen:
    """Return what a promise's reminder asks: promised less what came in since, in fen.

    window_key: the reminder's, 'promise:<id>'. Never more than what is open on the bills today,
    late fee included, and never below zero. Money before the promise does not count.
    """
    came_in = db.session.scalar(
        text(
            "SELECT coalesce(sum(e.amount_fen), 0) FROM promise p "
            "JOIN bill b ON b.house_id = p.house_id AND b.party_id = p.party_id "
            "JOIN principal_event e ON e.bill_id = b.id AND e.id > p.after_event_id "
            "WHERE p.id = :id AND e.kind IN ('payment','credit')"
        ),
        {"id": _promise_id(window_key)},
    )
    fees = bills.late_fees(open_bills, business_today())
    still_open = sum(b.open_fen + fees[b.id].open for b in open_bills)
    return max(0, min(promised_fen - int(came_in), still_open))


def is_open(window_key: str) -> bool:
    """Tell whether the promise a reminder speaks of still waits; read under the house's lock."""
    state = db.session.scalar(
        text("SELECT state FROM promise WHERE id = :id"), {"id": _promise_id(window_key)}
    )
    return state in (None, "open")  # None: a reminder that names no promise


def _promise_id(window_key: str) -> int | None:
    kind, _, number = window_key.partition(":")
    return int(number) if kind == "promise" and number.isdecimal() else None


def reminder_day(day: date, today: date) -> date | None:
    """Return the day on which a promise for `day` is reminded of; None for one made today."""
    return day - DAY if day > today else None


def _last_event(open_bills: Sequence[Bill]) -> int:
    ids = [b.id for b in open_bills]
    return (
        db.session.scalar(
            db.select(func.max(PrincipalEvent.id)).where(PrincipalEvent.bill_id.in_(ids))
        )
        or 0
    )


def _replace_open(house_id: int, party_id: int, now: datetime) -> None:
    """Cancel the open promise of a household with its hold and its planned reminder."""
    db.session.execute(
        text(
            """
            WITH old AS (
                UPDATE promise SET state = 'cancelled', closed_at = :now
                WHERE house_id = :h AND party_id = :p AND state = 'open'
                RETURNING id, hold_id),
            lifted AS (
                UPDATE hold SET lifted_at = :now, lifted_by = 'promise replaced'
                WHERE id IN (SELECT hold_id FROM old) AND lifted_at IS NULL)
            UPDATE message m SET state = 'suppressed', reason_code = 'promise_replaced'
            FROM old WHERE m.house_id = :h AND m.party_id = :p AND m.state = 'planned'
              AND m.stage = 'promise' AND m.window_key = 'promise:' || old.id
            """
        ),
        {"h": house_id, "p": party_id, "now": now},
    )


def _cancel_tasks(house_id: int, party_id: int, now: datetime) -> None:
    db.session.execute(
        text(
            "UPDATE steward_task SET state = 'cancelled', closed_at = :now "
            "WHERE house_id = :h AND party_id = :p AND state = 'open'"
        ),
        {"h": house_id, "p": party_id, "now": now},
    )


def _plan_reminder(promise: Promise, bill_ids: Sequence[int], now: datetime) -> None:
    remind_on = reminder_day(promise.day, date_of(now))
    if remind_on is None:
        return
    reminders.plan_message(
        community_id=promise.community_id,
        house_id=promise.house_id,
        party_id=promise.party_id,
        kind="promise",
        event="promise_tomorrow",
        stage="promise",
        window_key=f"promise:{promise.id}",
        bill_ids=bill_ids,
        due_at=max(reminders.start_of_day(remind_on), now),
        valid_until=reminders.start_of_day(promise.day, hour=0),
        data={"amount_fen": promise.amount_fen, "on_date": promise.day.isoformat()},
    )
