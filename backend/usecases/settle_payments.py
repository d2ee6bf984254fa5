"""From the inbox to the books: one genuine notice settles once, under the house accounts' lock.

Several notices may settle in one transaction, each behind a savepoint, so that one poisoned row
never stops the others. All their houses are locked first, in id order: whoever holds several
houses never waits for an earlier one. No network here. Paid twice is never lost: what finds no
open bill becomes the payer's credit, and the owner is told (design 4.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backend import audit, clock
from backend.billing import operations as billing
from backend.billing import queries as bills
from backend.billing.rules import Appropriation, OpenBill, appropriate
from backend.db import db, transaction
from backend.dunning import operations as dunning
from backend.ledger import operations as ledger
from backend.payments import operations as payments
from backend.payments.models import Inbox, Merchant, PaymentOrder
from backend.points import operations as points
from backend.reminders import operations as reminders
from backend.telemetry import SETTLED, log
from backend.usecases.settle_refunds import settle_refund

GIVE_UP_AFTER = timedelta(minutes=10)
RETRY_SECONDS = 5
HOLD_SECONDS = 0.4  # the houses of a batch stay locked until its commit

_CLAIM = text(
    "SELECT inbox_id FROM inbox_pending WHERE not_before <= :now ORDER BY inbox_id LIMIT :limit "
    "FOR UPDATE SKIP LOCKED"
)
_HOUSES = text(
    "SELECT DISTINCT b.house_id FROM inbox i JOIN payment_order o USING (out_trade_no) "
    "JOIN order_bill ob ON ob.order_id = o.id JOIN bill b ON b.id = ob.bill_id "
    "WHERE i.id = ANY(:ids) AND i.kind NOT IN ('other','closed','refund')"
)


def settle_payments(*, limit: int = 50) -> int:
    """Judge up to `limit` pending notices; return how many were looked at.

    A slow batch ends early, so that payers and senders wait for a house half a second, not ten.
    """
    now, done = clock.wire_now(), 0
    with transaction():
        batch = list(db.session.scalars(_CLAIM, {"now": now, "limit": limit}))
        locked = _lock_houses(batch)
        until = clock.monotonic() + HOLD_SECONDS
        for inbox_id in batch:
            _settle_safely(inbox_id, now, locked)
            done += 1
            if clock.monotonic() > until:
                break
    return done


def _lock_houses(batch: list[int]) -> set[int]:
    """Lock the houses of a batch, in id order; return those locked.

    A house that somebody keeps too long is passed by with its notices; the others go on.
    """
    wanted = set(db.session.scalars(_HOUSES, {"ids": batch})) if batch else set()
    if not wanted:
        return wanted
    try:
        with db.session.begin_nested():
            billing.lock_houses(wanted)
    except DBAPIError as error:
        if not isinstance(error.orig, (LockNotAvailable, DeadlockDetected)):
            raise
        return billing.lock_free_houses(wanted)
    return wanted


def _settle_safely(inbox_id: int, now: datetime, locked: set[int]) -> None:
    """Settle behind a savepoint; a failure leaves the row pending, later and later."""
    try:
        with db.session.begin_nested():
            notice = db.session.get_one(Inbox, inbox_id)
            state, reason = _judge(notice, now, locked)
            if state == "later":
                _postpone(inbox_id)
                return
            payments.judge(inbox_id=inbox_id, state=state, reason=reason, at=now)
        SETTLED.labels(notice.channel, state).inc()
    except Exception as error:
        log.error("settle_failed", inbox_id=inbox_id, error=type(error).__name__)
        _postpone(inbox_id)  # raises if the connection itself is gone: nothing is committed then


def _postpone(inbox_id: int) -> None:
    db.session.execute(
        text(
            "UPDATE inbox_pending SET tries = tries + 1, not_before = :now + "
            "make_interval(secs => least(:step * power(2, least(tries, 7)), 600)) "
            "WHERE inbox_id = :id"
        ),
        {"id": inbox_id, "now": clock.wire_now(), "step": RETRY_SECONDS},
    )


def _judge(notice: Inbox, now: datetime, locked: set[int]) -> tuple[str, str]:
    """Return (outcome, reason); 'later' keeps the notice pending."""
    if notice.kind in ("other", "closed"):
        return "ignored", notice.kind
    order = db.session.scalar(
        db.select(PaymentOrder).where(PaymentOrder.out_trade_no == notice.out_trade_no)
    )
    if order is None:
        waited = now - notice.received_at
        return ("later", "") if waited < GIVE_UP_AFTER else ("quarantined", "unknown_order")
    if notice.kind == "refund":
        return settle_refund(notice, order, now)
    if not locked.issuperset(payments.houses_of_order(order.id)):
        return "later", ""
    order = payments.lock_order(notice.out_trade_no)
    paid = notice.parsed
    if order.channel_txn is not None:
        same = order.channel_txn == paid["channel_txn"]
        return ("duplicate", "") if same else ("quarantined", "second_transaction")
    if paid["amount_fen"] != order.amount_fen:
        return "quarantined", "amount_mismatch"
    settle_order(order, channel_txn=paid["channel_txn"], paid_at=_instant(paid["paid_at"]), now=now)
    return "settled", ""


def _instant(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone(UTC)


@dataclass(frozen=True)
class Split:
    """Where a payment goes, and the quoted-late-fee difference nobody owes (design 4.3)."""

    appropriation: Appropriation
    waived: dict[int, int]


def settle_order(
    order: PaymentOrder, *, channel_txn: str, paid_at: datetime, now: datetime
) -> None:
    """Book one successful payment: order, ledger, bills, points, receipt, reminders, case.

    The caller holds the house accounts and the order. paid_at: the platform's success time.
    """
    day = clock.date_of(clock.to_business(paid_at))
    split = _split(order, day, quote_holds=paid_at < order.time_expire)
    merchant = db.session.get_one(Merchant, order.merchant_id)
    order.state = "succeeded_late" if order.state == "closed" else "succeeded"
    order.channel_txn, order.paid_at, order.settled_at = channel_txn, paid_at, now
    order.next_query_at = None
    db.session.flush()
    journal_id = ledger.post(
        company_id=merchant.company_id,
        source_type="payment",
        source_key=channel_txn,
        entries=billing.entries_for(
            source=f"clearing:{order.channel}:{merchant.name}",
            appropriation=split.appropriation,
            waived_late_fee=split.waived,
            credit_account=ledger.credit_account(order.house_id, order.party_id),
        ),
        at=now,
    )
    billing.apply_to_bills(
        appropriation=split.appropriation,
        waived_late_fee=split.waived,
        day=day,
        journal_id=journal_id,
    )
    _after_money(order, split.appropriation, day=day, now=now, company_id=merchant.company_id)


def _split(order: PaymentOrder, day, *, quote_holds: bool) -> Split:
    quotes = {row.bill_id: row for row in payments.order_bills(order.id)}
    chosen = [b for b in bills.bills_by_id(quotes) if not b.reversed]
    fees = bills.late_fees(chosen, day)
    open_bills = [
        OpenBill(
            id=bill.id,
            due=bill.due_date,
            principal=bill.open_fen,
            late_fee=min(quotes[bill.id].late_fee_fen, fees[bill.id].open)
            if quote_holds
            else fees[bill.id].open,
        )
        for bill in chosen
    ]
    result = appropriate(
        bills=open_bills, amount=order.amount_fen, choice=[b.id for b in open_bills]
    )
    waived = {}
    for bill, asked in zip(chosen, open_bills, strict=True):
        closed = result.principal.get(bill.id, 0) == bill.open_fen > 0
        paid_quote = result.late_fee.get(bill.id, 0) == asked.late_fee
        rest = fees[bill.id].open - asked.late_fee
        if quote_holds and closed and paid_quote and rest > 0:
            waived[bill.id] = rest
    return Split(result, waived)


def _after_money(
    order: PaymentOrder, split: Appropriation, *, day, now: datetime, company_id: int
) -> None:
    """Points, receipt, thanks; silence what was planned; keep or close promises and tasks."""
    houses = payments.houses_of_order(order.id)
    points.earn(
        company_id=company_id,
        community_id=order.community_id,
        party_id=order.party_id,
        house_id=order.house_id,
        source_type="payment",
        source_key=order.channel_txn,
        principal=split.principal,
        day=day,
        at=now,
    )
    billing.write_receipt(
        community_id=order.community_id,
        house_id=order.house_id,
        source_type="payment",
        source_key=order.channel_txn,
        channel=order.channel,
        amount_fen=order.amount_fen,
        appropriation=split,
        at=now,
    )
    paid_nothing = not split.principal and not split.late_fee
    business = clock.business_now()
    reminders.cancel_for_paid_bills(list(split.principal))
    reminders.plan_message(
        community_id=order.community_id,
        house_id=order.house_id,
        party_id=order.party_id,
        kind="receipt",
        event="paid_twice" if paid_nothing or split.credit else "receipt",
        stage="receipt",
        window_key=f"order:{order.out_trade_no}",
        bill_ids=sorted(split.principal),
        due_at=business,
        data={
            "amount_fen": order.amount_fen,
            "credit_fen": split.credit,
            "out_trade_no": order.out_trade_no,
        },
    )
    dunning.after_payment(house_ids=houses, day=clock.date_of(business), now=business)
    audit.record(
        actor=f"payer:{order.payer}",
        action="payment_settled",
        object=f"payment_order:{order.id}",
        at=now,
        company_id=company_id,
        detail={"amount_fen": order.amount_fen, "credit_fen": split.credit},
    )
