"""A message left in `calling` or `in_doubt`: ask the vendor by our id, never send blindly.

SMS: the vendor's detail query tells. Official-account template: the platform drops a second
message with the same `client_msg_id` for about ten minutes, so inside that time it goes out
again, under a permit like the first. Anything else stays in doubt for a person to see; a missed
reminder is cheap, a wrong or doubled one is not.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from backend import clock, tasks
from backend.billing.models import Bill
from backend.conduct import operations as conduct
from backend.conduct.operations import No
from backend.db import db, transaction
from backend.estate.models import Community
from backend.reminders import outlets, rules
from backend.reminders.channels.base import Outcome
from backend.reminders.models import Message, MessageBill
from backend.usecases.query_orders import ask_about_bills
from backend.usecases.send_message import (
    ABOUT_MONEY_DUE,
    Claim,
    count_contact,
    hand_over,
    lock_for_sending,
    nothing_due,
    refusal,
    still_open,
)

DEDUPE_WINDOW = timedelta(minutes=8)
SETTLED_AFTER = timedelta(seconds=15)
GIVE_UP = timedelta(hours=24)


def recover_message(*, message_id: int, claim: Claim) -> str:
    """Resolve one doubtful message as far as the vendor can tell; return its state."""
    message = db.session.get_one(Message, message_id)
    if message.state not in ("calling", "in_doubt"):
        return _finish(claim, message.state)
    company_id = db.session.get_one(Community, message.community_id).company_id
    age, was_calling = clock.wire_now() - message.calling_at, message.state == "calling"
    outlet = _outlet_of(message, company_id)
    called_at, out_id = message.calling_at, message.out_id
    db.session.rollback()  # the vendor is asked outside any transaction
    if outlet is None:
        return _leave(message_id, claim, None, age)
    channel = outlet.channel
    answer = _ask(outlet, out_id, called_at)
    if answer is not None and answer.state in ("accepted", "delivered", "refused"):
        return _write(message_id, claim, channel.name, answer)
    if channel.resend_is_safe and age < DEDUPE_WINDOW:
        return _repeat(message_id, claim, outlet, company_id)
    if was_calling and answer is None and channel.can_ask and age > SETTLED_AFTER:
        return _replan(message_id, claim)  # the vendor has no record long after the call
    return _leave(message_id, claim, channel.name, age)


def _outlet_of(message: Message, company_id: int) -> outlets.Outlet | None:
    """Return the way the message went, or, after a crash, the way it would go.

    The channel is committed together with the outcome, so a message left in `calling` may have
    gone out on whichever outlet it resolves to.
    """
    about = {
        "company_id": company_id, "house_id": message.house_id, "party_id": message.party_id,
        "event": message.event,
    }  # fmt: skip
    if message.channel == "auto":
        return outlets.outlet_for(**about, tried=list(message.tried))
    return outlets.recipient_again(**about, channel_name=message.channel)


def _ask(outlet: outlets.Outlet, out_id: str, called_at: datetime) -> Outcome | None:
    """Return the vendor's word; None only if it was asked and has no record of the message."""
    answer = None
    for day in sorted({clock.date_of(called_at), clock.date_of(called_at + SETTLED_AFTER)}):
        answer = outlet.channel.ask(out_id, outlet.recipient, day)
        if answer is not None:
            break
    return answer


def _held(message_id: int, claim: Claim) -> Message | None:
    """Return the message, locked, if this attempt still owns the task and the doubt is open."""
    if not tasks.hold(task_id=claim.task_id, lease_no=claim.lease_no):
        return None
    message = db.session.scalar(
        db.select(Message)
        .where(Message.id == message_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if message.state in ("calling", "in_doubt"):
        return message
    tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)  # a receipt came first
    return None


def _write(message_id: int, claim: Claim, channel: str, answer: Outcome) -> str:
    with transaction():
        message = _held(message_id, claim)
        if message is None:
            return "lease_lost"
        _note_call(message, channel, count=answer.state != "refused")
        message.vendor_id = answer.vendor_id or message.vendor_id
        message.reason_code = answer.code
        message.state = {"refused": "failed"}.get(answer.state, answer.state)
        tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
        return message.state


def _note_call(message: Message, channel: str, *, count: bool) -> None:
    """Write what a crash left unwritten: the way, the time, and that it counts (C16)."""
    message.channel = channel
    message.begun_at = message.begun_at or message.calling_at
    message.ended_at = message.ended_at or clock.wire_now()
    if message.state == "calling" and count:
        count_contact(message)


def _replan(message_id: int, claim: Claim) -> str:
    with transaction():
        message = _held(message_id, claim)
        if message is None:
            return "lease_lost"
        message.state, message.channel = "planned", "auto"
        tasks.postpone(
            task_id=claim.task_id, lease_no=claim.lease_no, due_at=clock.business_now(),
            reason="not_sent_repeat", keep_tries=True,
        )  # fmt: skip
    return "planned"


def _repeat(message_id: int, claim: Claim, outlet: outlets.Outlet, company_id: int) -> str:
    """Send again with the same id, by the same way, under the same locks and questions about money.

    A doubtful message took its place in the counts; one whose caller died asks for all. Whatever
    speaks against it, or is not a clear yes of the platform, leaves the doubt as it is: planned
    anew it could go out twice, after the platform has forgotten its id or by another way.
    """
    bill_ids = list(
        db.session.scalars(
            db.select(MessageBill.bill_id).where(MessageBill.message_id == message_id)
        )
    )
    db.session.rollback()
    ask_about_bills(bill_ids)
    with transaction():
        message = _held(message_id, claim)
        if message is None:
            return "lease_lost"
        lock_for_sending(message)
        open_bills = still_open(bill_ids)
        no = _speaks_against(message, open_bills, bill_ids)
        outcome = hand_over(message, open_bills, bill_ids, outlet, company_id) if not no else None
        was_calling = message.state == "calling"
        if was_calling:
            _note_call(message, outlet.channel.name, count=True)
        if outcome and outcome.state == "accepted":
            message.state, message.vendor_id = "accepted", outcome.vendor_id
            message.reason_code, message.ended_at = outcome.code, clock.wire_now()
            tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
            return "accepted"
        message.state = "in_doubt"
        if was_calling and no:  # no other look may send it without asking for a permit
            message.reason_code = no.code
            tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
        else:
            age = clock.wire_now() - message.calling_at
            _ask_again(message, claim, age, keep_tries=was_calling)
        return message.state


def _speaks_against(message: Message, open_bills: list[Bill], bill_ids: list[int]) -> No | None:
    """Return why a message may not be repeated; the permit of a first call is written down."""
    if message.state != "calling":
        about_money = message.kind in ABOUT_MONEY_DUE
        return nothing_due(message, open_bills, bill_ids) if about_money else None
    no = refusal(message, open_bills, bill_ids)
    conduct.write_permit(
        subject_type="message",
        subject_id=message.id,
        house_id=message.house_id,
        party_id=message.party_id,
        no=no,
    )
    return no


def _leave(message_id: int, claim: Claim, channel: str | None, age: timedelta) -> str:
    """Keep the doubt and ask again later, until a person has to look."""
    with transaction():
        message = _held(message_id, claim)
        if message is None:
            return "lease_lost"
        if message.state == "calling" and channel is None:  # no way to him then, none now
            message.state, message.reason_code = "failed", "no_channel"
            tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
            return "failed"
        was_calling = message.state == "calling"
        if was_calling and age > SETTLED_AFTER:
            _note_call(message, channel, count=True)
            message.state = "in_doubt"
        _ask_again(message, claim, age, keep_tries=was_calling)
        return message.state


def _ask_again(message: Message, claim: Claim, age: timedelta, *, keep_tries: bool) -> None:
    """Look again soon, then rarely; a subscribe message has nobody to ask.

    keep_tries: a call that always ends in a fault of ours must reach the end of its tries.
    """
    if age > GIVE_UP or message.channel == rules.SUBSCRIBE:
        tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
        return
    wait = SETTLED_AFTER if age < timedelta(minutes=2) else timedelta(minutes=10)
    tasks.postpone(
        task_id=claim.task_id, lease_no=claim.lease_no, due_at=clock.business_now() + wait,
        reason="in_doubt", keep_tries=keep_tries,
    )  # fmt: skip


def _finish(claim: Claim, state: str) -> str:
    with transaction():
        tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
    return state
