"""What a vendor's answer means for a message: done, next channel, later, in doubt (design 4.8)."""

from __future__ import annotations

from datetime import timedelta

from backend import clock, tasks
from backend.db import db
from backend.reminders import operations, outlets, rules
from backend.reminders.channels.base import Outcome
from backend.reminders.models import Message, MessageBill
from backend.telemetry import MESSAGES

ASK_AFTER = timedelta(seconds=20)


def note_outcome(
    message: Message, outcome: Outcome, outlet: outlets.Outlet, *, claim_id: tuple[int, int]
) -> str:
    """Write an outcome into the message and its task; return the new state. No commit."""
    MESSAGES.labels(message.channel, outcome.state).inc()
    message.reason_code = outcome.code
    task_id, lease_no = claim_id
    if outcome.state in ("accepted", "delivered"):
        message.state, message.vendor_id = outcome.state, outcome.vendor_id
        if message.channel == rules.SUBSCRIBE:
            outlets.spend_grant(
                appid=outlet.appid, openid=outlet.recipient, template_id=outlet.template.id
            )
        tasks.finish(task_id=task_id, lease_no=lease_no)
    elif outcome.state == "in_doubt":
        message.state = "in_doubt"
        tasks.finish(task_id=task_id, lease_no=lease_no)
        _ask_later(message)
    elif outcome.next == "retry" and not tasks.is_last_try(task_id=task_id):
        message.state, message.begun_at, message.ended_at = "planned", None, None
        message.channel = "auto"  # the next try may go another way
        tasks.fail(task_id=task_id, lease_no=lease_no, error=outcome.code)
    else:
        message.state = "failed"
        tasks.finish(task_id=task_id, lease_no=lease_no)
        _learn(outcome, outlet, message.channel)
        if outcome.next in ("next_channel", "retry"):  # refused each time: another way is left
            db.session.flush()
            next_channel(message)
        else:
            message.reason_code = "stop"
    return message.state


def _ask_later(message: Message) -> None:
    tasks.plan(
        queue="messages",
        kind="ask_message",
        dedupe_key=str(message.id),
        due_at=clock.business_now() + ASK_AFTER,
        payload={"message_id": message.id},
        community_id=message.community_id,
    )


def _learn(outcome: Outcome, outlet: outlets.Outlet, channel: str) -> None:
    """Let our counters follow what the platform told us."""
    if channel == rules.SUBSCRIBE and outcome.code == "43101":
        outlets.void_grants(
            appid=outlet.appid, openid=outlet.recipient, template_id=outlet.template.id
        )
    if channel == rules.TEMPLATE and outcome.code == "43004":
        outlets.unfollow(appid=outlet.appid, openid=outlet.recipient)


def next_channel(message: Message) -> None:
    """Plan the same message for the next channel; the failed one has freed its bills."""
    bill_ids = list(
        db.session.scalars(
            db.select(MessageBill.bill_id).where(MessageBill.message_id == message.id)
        )
    )
    operations.plan_message(
        community_id=message.community_id,
        house_id=message.house_id,
        party_id=message.party_id,
        kind=message.kind,
        event=message.event,
        stage=message.stage,
        window_key=message.window_key,
        bill_ids=bill_ids,
        due_at=clock.business_now(),
        data=dict(message.data),
        valid_until=message.valid_until,
        tried=[*message.tried, message.channel],
    )
