"""A vendor reports later what became of a message: kept once, applied forward only (design 4.8).

A receipt settles a doubt; it never turns a delivered message back. A definite "not delivered" frees
the bills and sends the same message by the next channel, where there is one. The report is stored
and committed first: the vendor waits 700 ms at most, the message may still be locked by its sender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.exc import OperationalError

from backend import clock
from backend.db import db, transaction
from backend.estate.models import Community
from backend.reminders import rules
from backend.reminders.channels.sms_report import SmsReceipt
from backend.reminders.models import DeliveryReceipt, Message
from backend.telemetry import MESSAGES, log
from backend.usecases.message_outcomes import next_channel

OPEN = ("accepted", "in_doubt")
VENDOR_OF = {rules.SMS: "aliyun", rules.TEMPLATE: "wechat", rules.SUBSCRIBE: "wechat"}


@dataclass(frozen=True)
class Receipt:
    """One report: by our out_id, or by the vendor's id on a channel. key: same when repeated."""

    key: str
    channel: str
    vendor_id: str
    delivered: bool
    code: str
    out_id: str | None = None

    @property
    def stored_key(self) -> str:
        """The vendor's id comes first, so that a receipt is found by it."""
        return f"{self.vendor_id}:{self.key}"


def sms_receipt(row: SmsReceipt) -> Receipt:
    """Return one line of an SmsReport as a receipt."""
    return Receipt(row.key, rules.SMS, row.vendor_id, row.delivered, row.code, row.out_id)


def record_receipts(*, receipts: Sequence[Receipt], company_id: int) -> int:
    """Keep and apply receipts of one company's account; return how many were new. Commits."""
    with transaction():
        new = [receipt for receipt in receipts if _store(receipt)]
    for receipt in new:
        try:
            with transaction():
                _apply(receipt, company_id)
        except OperationalError as error:  # the sender holds the message: it looks when it is done
            log.warning("receipt_waits", error=type(error.orig).__name__)
    return len(new)


def apply_early(message: Message) -> str:
    """Apply a receipt that overtook its message, in the sender's transaction; return the state."""
    if message.state == "accepted" and message.vendor_id and message.channel in VENDOR_OF:
        row = db.session.scalar(
            db.select(DeliveryReceipt)
            .where(
                DeliveryReceipt.vendor == VENDOR_OF[message.channel],
                DeliveryReceipt.key > f"{message.vendor_id}:",
                DeliveryReceipt.key < f"{message.vendor_id};",
            )
            .limit(1)
        )
        if row is not None:
            _settle(message, delivered=row.delivered, code=row.code)
    return message.state


def _store(receipt: Receipt) -> bool:
    return (
        db.session.execute(
            pg_insert(DeliveryReceipt)
            .values(
                vendor=VENDOR_OF[receipt.channel],
                key=receipt.stored_key,
                out_id=receipt.out_id,
                vendor_id=receipt.vendor_id,
                delivered=receipt.delivered,
                code=receipt.code,
                at=clock.wire_now(),
            )
            .on_conflict_do_nothing()
            .returning(DeliveryReceipt.key)
        ).first()
        is not None
    )


def _apply(receipt: Receipt, company_id: int) -> None:
    by = (
        Message.out_id == receipt.out_id
        if receipt.out_id
        else Message.vendor_id == receipt.vendor_id
    )
    message = db.session.scalar(
        db.select(Message)
        .join(Community, Community.id == Message.community_id)
        .where(by, Message.channel == receipt.channel, Community.company_id == company_id)
        .limit(1)
        .with_for_update(of=Message)
        .execution_options(populate_existing=True)
    )
    if message is not None and message.state in OPEN:
        message.vendor_id = message.vendor_id or receipt.vendor_id
        _settle(message, delivered=receipt.delivered, code=receipt.code)


def _settle(message: Message, *, delivered: bool, code: str) -> None:
    MESSAGES.labels(message.channel, "delivered" if delivered else "failed").inc()
    message.state, message.reason_code = "delivered" if delivered else "failed", code
    db.session.flush()
    if not delivered:
        next_channel(message)
