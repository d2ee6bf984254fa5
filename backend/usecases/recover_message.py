"""A message left in `calling` or `in_doubt`: ask the vendor by our id, never send blindly.

SMS: the vendor's detail query tells. Official-account template: the platform drops a second
message with the same `client_msg_id` for about ten minutes, so only inside that time it goes out
again. Anything else stays in doubt for a person to see; a missed reminder is cheap, a wrong or
doubled one is not.
"""

from __future__ import annotations

from datetime import timedelta

from backend import clock, tasks
from backend.db import db, transaction
from backend.estate.models import Community
from backend.reminders import outlets, rules
from backend.reminders.models import Message
from backend.usecases.send_message import Claim

DEDUPE_WINDOW = timedelta(minutes=8)
SETTLED_AFTER = timedelta(seconds=15)
GIVE_UP = timedelta(hours=24)


def recover_message(*, message_id: int, claim: Claim) -> str:
    """Resolve one doubtful message as far as the vendor can tell; return its state."""
    message = db.session.get_one(Message, message_id)
    if message.state not in ("calling", "in_doubt"):
        return _finish(claim, message.state)
    company_id = db.session.get_one(Community, message.community_id).company_id
    name, age = message.channel, clock.wire_now() - message.calling_at
    was_calling = message.state == "calling"
    if was_calling and name == "auto":
        # The channel is committed together with the outcome, so the message may have gone out
        # on whichever outlet it resolves to; ask that one.
        outlet = outlets.outlet_for(
            company_id=company_id, house_id=message.house_id, party_id=message.party_id,
            event=message.event, tried=list(message.tried),
        )  # fmt: skip
    else:
        outlet = outlets.recipient_again(
            company_id=company_id, house_id=message.house_id, party_id=message.party_id,
            event=message.event, channel_name=name,
        )  # fmt: skip
    day = clock.date_of(message.calling_at)
    out_id = message.out_id
    db.session.rollback()  # the vendor is asked outside any transaction
    if outlet is None:
        return _leave(message_id, claim, "no_channel" if was_calling else None, age)
    answer = outlet.channel.ask(out_id, outlet.recipient, day)
    if answer is not None and answer.state in ("accepted", "delivered", "refused"):
        return _write(message_id, claim, outlet.channel.name, answer)
    if was_calling and _may_repeat(outlet.channel, age):
        return _replan(message_id, claim)
    return _leave(message_id, claim, None, age)


def _may_repeat(channel, age: timedelta) -> bool:
    """Sending again cannot double: the vendor drops it, or has no record long after the call."""
    if channel.resend_is_safe:
        return age < DEDUPE_WINDOW
    return channel.can_ask and age > SETTLED_AFTER


def _write(message_id: int, claim: Claim, channel: str, answer) -> str:
    with transaction():
        if not tasks.hold(task_id=claim.task_id, lease_no=claim.lease_no):
            return "lease_lost"
        message = db.session.get_one(Message, message_id, with_for_update=True)
        message.channel = channel
        if message.begun_at is None:
            message.begun_at = message.calling_at
        message.ended_at = message.ended_at or clock.wire_now()
        message.vendor_id = answer.vendor_id or message.vendor_id
        message.reason_code = answer.code
        message.state = {"refused": "failed"}.get(answer.state, answer.state)
        tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
        return message.state


def _replan(message_id: int, claim: Claim) -> str:
    with transaction():
        if not tasks.hold(task_id=claim.task_id, lease_no=claim.lease_no):
            return "lease_lost"
        message = db.session.get_one(Message, message_id, with_for_update=True)
        message.state = "planned"
        tasks.postpone(
            task_id=claim.task_id, lease_no=claim.lease_no, due_at=clock.business_now(),
            reason="not_sent_repeat",
        )  # fmt: skip
    return "planned"


def _leave(message_id: int, claim: Claim, definite: str | None, age: timedelta) -> str:
    """Keep the doubt and ask again later, until a person has to look."""
    with transaction():
        if not tasks.hold(task_id=claim.task_id, lease_no=claim.lease_no):
            return "lease_lost"
        message = db.session.get_one(Message, message_id, with_for_update=True)
        if definite and message.state == "calling":
            message.state, message.reason_code = "failed", definite
            tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
            return "failed"
        if message.state == "calling" and age > SETTLED_AFTER:
            message.state = "in_doubt"
            message.begun_at = message.begun_at or message.calling_at
        if age > GIVE_UP or message.channel == rules.SUBSCRIBE:
            tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
        else:
            wait = SETTLED_AFTER if age < timedelta(minutes=2) else timedelta(minutes=10)
            tasks.postpone(
                task_id=claim.task_id, lease_no=claim.lease_no,
                due_at=clock.business_now() + wait, reason="in_doubt",
            )  # fmt: skip
        return message.state


def _finish(claim: Claim, state: str) -> str:
    with transaction():
        tasks.finish(task_id=claim.task_id, lease_no=claim.lease_no)
    return state
