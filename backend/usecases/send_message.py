"""Sending one message: the promise that nobody who has paid is dunned is kept here (design 4.7).

1. Ask the platforms about every live or fresh order of the message's bills (no transaction).
2. Commit `calling` with our out_id, so that a crash leaves a trace.
3. One transaction on the worker's own small pool: lock the task (a stale attempt ends here), the
   house account, the person; check that the answers are at most a second old; decide the permit;
   resolve the recipient, render the text; call the vendor (≤ 2 s) *while the lock is held*;
   write the outcome. Settling takes the same lock, so a payment is strictly before or after.

This is the one documented place where the network stands inside a transaction. Doubt = not sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text

from backend import clock, tasks
from backend.billing import operations as billing
from backend.billing import queries as bill_queries
from backend.billing.models import Bill
from backend.conduct import operations as conduct
from backend.conduct.operations import No
from backend.db import db, transaction
from backend.dunning import promises
from backend.estate import privacy
from backend.estate.models import Community, Company, House, Party
from backend.identity.pay_codes import pay_code
from backend.reminders import outlets, templates
from backend.reminders.channels.base import Outcome
from backend.reminders.facts import facts_of
from backend.reminders.models import Message
from backend.telemetry import MESSAGES
from backend.usecases.message_outcomes import note_outcome
from backend.usecases.query_orders import ORDERS_TO_ASK, ask_orders, day_ago
from backend.usecases.record_receipts import apply_early

DOUBT_RETRY = timedelta(seconds=5)
STARTS_WITHIN = timedelta(seconds=1.6)  # of the platform's "unpaid"; the rest of Δ is the wire's
ABOUT_MONEY_DUE = ("bill", "reminder", "dunning", "promise")


_FIRST_LOOK = text(
    f"""
    SELECT m.state, m.kind, b.bill_ids, EXISTS (
        SELECT 1 FROM order_bill ob JOIN payment_order o ON o.id = ob.order_id
        JOIN inbox_pending ip ON ip.out_trade_no = o.out_trade_no
        WHERE ob.bill_id = ANY(b.bill_ids)) AS notice_pending,
        ARRAY({ORDERS_TO_ASK % "b.bill_ids"}) AS orders
    FROM message m CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(mb.bill_id ORDER BY mb.bill_id), '{{}}') AS bill_ids
        FROM message_bill mb WHERE mb.message_id = m.id) b
    WHERE m.id = :id
    """
)


_BEGIN = text(
    f"""
    WITH held AS ({tasks.HOLD}),
    called AS (UPDATE message SET state = 'calling', calling_at = :now
               WHERE id = :id AND state = 'planned' AND EXISTS (SELECT 1 FROM held)
               RETURNING id)
    SELECT EXISTS (SELECT 1 FROM held) AS held, EXISTS (SELECT 1 FROM called) AS called
    """
)


class LeaseLost(Exception):
    """Another worker took the task over; nothing may be written any more."""


@dataclass(frozen=True)
class Claim:
    """A leased task: only this attempt number may commit."""

    task_id: int
    lease_no: int


def send_message(*, message_id: int, claim: Claim) -> str:
    """Send, refuse or postpone one message; return its new state. Safe to run twice."""
    first = db.session.execute(_FIRST_LOOK, {"id": message_id, "day_ago": day_ago()}).one()
    db.session.rollback()
    if first.state in ("calling", "in_doubt"):
        from backend.usecases.recover_message import recover_message

        return recover_message(message_id=message_id, claim=claim)
    if first.state != "planned":
        return _finish(claim, first.state)
    bill_ids = first.bill_ids
    if first.kind in ABOUT_MONEY_DUE:
        if first.notice_pending:  # the platform has said its word already: nothing to ask
            return _wait_for_notice(message_id, claim)
        ask_orders(first.orders)
    begun = _begin_calling(message_id, claim)
    if begun != "calling":
        return begun
    with transaction():
        return _call_under_lock(message_id, bill_ids, claim)


def _finish(claim: Claim, state: str) -> str:
    with transaction():
        tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
    return state


def _wait_for_notice(message_id: int, claim: Claim) -> str:
    with transaction():
        if not tasks.hold(task_id=claim.task_id, lease_no=claim.lease_no):
            return "lease_lost"
        message = db.session.get_one(Message, message_id, with_for_update=True)
        if message.state != "planned":  # silenced by the payment it waits for
            tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
            return message.state
        no = No("notice_pending", clock.business_now() + DOUBT_RETRY)
        return _not_now(message, no, claim)


def _begin_calling(message_id: int, claim: Claim) -> str:
    """Leave the trace of a call; 'suppressed' when a payment silenced the message meanwhile."""
    with transaction():
        row = db.session.execute(
            _BEGIN,
            {"id": message_id, "now": clock.wire_now(),
             "task_id": claim.task_id, "lease_no": claim.lease_no},
        ).one()  # fmt: skip
        if not row.held:
            return "lease_lost"
        if row.called:
            return "calling"
        state = db.session.scalar(db.select(Message.state).where(Message.id == message_id))
        if state != "suppressed":
            return "lease_lost"  # somebody else's call: it is looked at when the lease ends
        tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
        return state


def _call_under_lock(message_id: int, bill_ids: list[int], claim: Claim) -> str:
    if not tasks.hold(task_id=claim.task_id, lease_no=claim.lease_no):
        raise LeaseLost
    message = db.session.scalar(
        db.select(Message)
        .where(Message.id == message_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    lock_for_sending(message)
    open_bills = still_open(bill_ids)
    no = refusal(message, open_bills, bill_ids)
    if no is None and message.valid_until and clock.business_now() >= message.valid_until:
        no = No("out_of_date")
    conduct.write_permit(
        subject_type="message",
        subject_id=message.id,
        house_id=message.house_id,
        party_id=message.party_id,
        no=no,
    )
    if no is not None:
        return _not_now(message, no, claim)
    return _deliver(message, open_bills, bill_ids, claim)


def still_open(bill_ids: list[int]) -> list[Bill]:
    """Return those of the bills on which principal is open; read under the lock."""
    return [b for b in bill_queries.bills_by_id(bill_ids) if b.open_fen > 0 and not b.reversed]


def lock_for_sending(message: Message) -> None:
    """Take the locks of the permit: house account first, then the liable person."""
    billing.lock_houses([message.house_id])
    conduct.lock_person(message.party_id)


def refusal(message: Message, open_bills: list[Bill], bill_ids: list[int]) -> No | None:
    """Return why this message may not go out now, None if it may (design 4.7, C13, C16, C27)."""
    if message.kind in ABOUT_MONEY_DUE:
        no = nothing_due(message, open_bills, bill_ids)
        if no is not None:
            return no
    return conduct.conduct_no(
        party_id=message.party_id,
        kind="message",
        contact_class=templates.kind_of(message.event).conduct_class,
        at=clock.business_now(),
        notices_of_bill=conduct.notices_sent(bill_ids) if message.stage == "S23" else 0,
    )


def nothing_due(message: Message, open_bills: list[Bill], bill_ids: list[int]) -> No | None:
    """Return 'paid', a doubt about it, or the hold that silences these bills.

    open_bills: is narrowed to those the recipient is still liable for.
    """
    open_bills[:] = [b for b in open_bills if b.party_id == message.party_id]
    if not open_bills:
        return No("paid")
    if message.kind == "promise" and not promises.is_open(message.window_key):
        return No("promise_kept")
    doubt = conduct.payment_doubt(bill_ids, house_id=message.house_id)
    if doubt:
        return No(doubt, clock.business_now() + DOUBT_RETRY)
    holds = conduct.holds_in_force(
        house_id=message.house_id,
        party_id=message.party_id,
        bill_ids=[b.id for b in open_bills],
        day=clock.business_today(),
    )
    if message.kind == "promise":
        holds = [h for h in holds if h.kind != "promise"]
    return No(f"hold_{holds[0].kind}") if holds else None


def _not_now(message: Message, no: No, claim: Claim) -> str:
    """Suppress for good, or put back for the next allowed instant."""
    MESSAGES.labels("none", no.code).inc()
    past_use = no.retry_at and message.valid_until and no.retry_at >= message.valid_until
    if no.retry_at is None or past_use:
        message.state, message.reason_code = "suppressed", no.code
        tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
        return "suppressed"
    message.state, message.reason_code = "planned", no.code
    message.due_at = no.retry_at
    tasks.postpone(
        task_id=claim.task_id, lease_no=claim.lease_no, due_at=no.retry_at, reason=no.code
    )
    return "postponed"


def _deliver(message: Message, open_bills: list[Bill], bill_ids: list[int], claim: Claim) -> str:
    # held to the end of the call: the session forgets what nobody holds and would ask again
    company, *_held = _whom_it_names(message)
    outlet = outlets.outlet_for(
        company_id=company.id,
        house_id=message.house_id,
        party_id=message.party_id,
        event=message.event,
        tried=list(message.tried),
    )
    if outlet is None:
        message.state, message.reason_code = "failed", "no_channel"
        tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
        return "failed"
    begun = clock.wire_now()
    outcome = hand_over(message, open_bills, bill_ids, outlet, company.id)
    if outcome.code == "timeout_before_send" and message.kind in ABOUT_MONEY_DUE:
        return _not_now(message, No("answer_too_old", clock.business_now() + DOUBT_RETRY), claim)
    message.channel = outlet.channel.name
    message.begun_at, message.ended_at = begun, clock.wire_now()
    if outcome.state != "refused":
        count_contact(message)
    note_outcome(message, outcome, outlet, claim_id=(claim.task_id, claim.lease_no))
    return apply_early(message)


def _whom_it_names(message: Message) -> Row[Any]:
    """Read company, community, house and person in one question; `facts_of` finds them."""
    return db.session.execute(
        db.select(Company, Community, House, Party)
        .join(Community, Community.company_id == Company.id)
        .join(House, House.community_id == Community.id)
        .join(Party, Party.id == message.party_id)
        .where(House.id == message.house_id)
    ).one()


def hand_over(
    message: Message,
    open_bills: list[Bill],
    bill_ids: list[int],
    outlet: outlets.Outlet,
    company_id: int,
) -> Outcome:
    """Render the text and call the vendor, while the locks are held.

    The message leaves this host at most `STARTS_WITHIN` after the platform was asked, however
    long a token or a free thread is waited for.
    """
    rendered = _render(message, open_bills, bill_ids, outlet.channel.name)
    asked = None
    if message.kind in ABOUT_MONEY_DUE:
        asked = conduct.oldest_answer(bill_ids)
    message.rendered_enc = privacy.encrypt(company_id, rendered.text)  # written with the outcome
    left = (asked + STARTS_WITHIN - clock.wire_now()).total_seconds() if asked else None
    return outlet.channel.send(
        recipient=outlet.recipient,
        template=replace(outlet.template, page=rendered.page, url=rendered.url),
        data=rendered.data,
        out_id=message.out_id,
        start_within=left,
    )


def _render(
    message: Message, open_bills: list[Bill], bill_ids: list[int], channel: str
) -> templates.Rendered:
    amount: Any = message.data.get("amount_fen")
    if message.kind in ("bill", "reminder", "dunning"):
        amount = sum(b.open_fen for b in open_bills)
    elif message.kind == "promise":
        amount = promises.left_to_pay(message.window_key, int(amount or 0), open_bills)
    code = pay_code(house_id=message.house_id, party_id=message.party_id, at=clock.wire_now())
    bills = open_bills or bill_queries.bills_by_id(bill_ids)
    facts = facts_of(message, bills, amount_fen=int(amount or 0), query_code=code)
    return templates.render(message.event, facts, channel)


def count_contact(message: Message) -> None:
    """A message the vendor took, or may have taken, counts as a contact (C16)."""
    kind = templates.kind_of(message.event)
    conduct.log_contact(
        party_id=message.party_id,
        house_id=message.house_id,
        kind="message",
        contact_class=kind.conduct_class,
        channel=message.channel,
        connected=True,
        subject_type="message",
        subject_id=message.id,
        at=business_of(message.begun_at),
    )


def business_of(instant: datetime) -> datetime:
    """Return a wire instant on the business clock, on which contacts are counted."""
    return clock.to_business(instant)
