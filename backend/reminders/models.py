"""Messages: planned, permitted, sent once; what the vendors said of them; subscription grants."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db

STATES = ("planned", "calling", "accepted", "delivered", "failed", "suppressed", "in_doubt")


class Message(db.Model):
    """One attempt on one channel. `out_id` goes out with it, so that the vendor can be asked.

    `event` is the template event; `window_key` + stage make it unique per bill (message_bill).
    calling_at is committed before the vendor call; begun_at and ended_at with its outcome.
    """

    __tablename__ = "message"
    __table_args__ = (
        CheckConstraint(
            "state IN ('planned','calling','accepted','delivered','failed','suppressed',"
            "'in_doubt')",
            name="state",
        ),
        CheckConstraint(
            "kind IN ('bill','reminder','dunning','receipt','promise','broadcast','other')",
            name="kind",
        ),
        Index("ix_message_house", "house_id", "id"),
        Index("ix_message_vendor", "channel", "vendor_id"),
        Index("ix_message_open", "state", postgresql_where=text("state IN ('calling','in_doubt')")),
    )
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    kind: Mapped[Code]
    event: Mapped[Code]
    stage: Mapped[Code]
    window_key: Mapped[Code]
    channel: Mapped[Code]
    tried: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'"))
    state: Mapped[Code] = mapped_column(server_default="planned")
    out_id: Mapped[Code] = mapped_column(unique=True)
    vendor_id: Mapped[Code | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    rendered_enc: Mapped[bytes | None]
    reason_code: Mapped[str | None]
    due_at: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    calling_at: Mapped[datetime | None]
    begun_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class MessageBill(db.Model):
    """Which bills a message is about; at most one live message per (bill, stage, window).

    live while planned, calling, in doubt, accepted or delivered (design 4.8).
    """

    __tablename__ = "message_bill"
    __table_args__ = (
        Index(
            "uq_message_bill_live", "bill_id", "stage", "window_key", unique=True,
            postgresql_where=text("live"),
        ),
    )  # fmt: skip
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id"), primary_key=True)
    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"), primary_key=True)
    stage: Mapped[Code]
    window_key: Mapped[Code]
    live: Mapped[bool] = mapped_column(server_default=text("true"))


class SubscribeGrant(db.Model):
    """One-time subscription accepts per (app, openid, template): one accept, one send (C19)."""

    __tablename__ = "subscribe_grant"
    __table_args__ = (CheckConstraint("used <= granted", name="balance"),)
    appid: Mapped[Code] = mapped_column(primary_key=True)
    openid: Mapped[Code] = mapped_column(primary_key=True)
    template_id: Mapped[Code] = mapped_column(primary_key=True)
    granted: Mapped[int] = mapped_column(server_default="0")
    used: Mapped[int] = mapped_column(server_default="0")


class DeliveryReceipt(db.Model):
    """What a vendor reported later, once per (vendor, key); append-only."""

    __tablename__ = "delivery_receipt"
    vendor: Mapped[Code] = mapped_column(primary_key=True)
    key: Mapped[Code] = mapped_column(primary_key=True)
    out_id: Mapped[Code | None]
    vendor_id: Mapped[Code | None]
    delivered: Mapped[bool]
    code: Mapped[str]
    at: Mapped[datetime]


class SmsAccount(db.Model):
    """An SMS vendor's credentials, encrypted; receipts come to /notify/sms/<vendor>/<secret>."""

    __tablename__ = "sms_account"
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    name: Mapped[Code] = mapped_column(unique=True)
    vendor: Mapped[Code]
    receipt_secret_hash: Mapped[Code] = mapped_column(unique=True)
    config_enc: Mapped[bytes]


class MessageDay(db.Model):
    """Progress marker: reminders of a community were planned for a business day."""

    __tablename__ = "message_day"
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    planned: Mapped[int]
    at: Mapped[datetime]
