"""Orders, refunds and the inbox of notices.

An order moves only along rows of `pay_edge`; the database refuses the rest. A notice is stored
(`inbox`, append-only), marked pending by trigger, and judged once (`inbox_outcome`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db

LIVE = ("created", "pending", "unknown", "closing")
PAID = ("succeeded", "succeeded_late")


class Merchant(db.Model):
    """A payee's own account at a platform (C55); config and verifiers are encrypted."""

    __tablename__ = "merchant"
    __table_args__ = (
        CheckConstraint(
            "channel IN ('wechatpay','alipay','cash','pos','bank','withhold')", name="channel"
        ),
    )
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    payee_id: Mapped[int] = mapped_column(ForeignKey("payee.id"))
    name: Mapped[Code] = mapped_column(unique=True)
    channel: Mapped[Code]
    config_enc: Mapped[bytes]
    active: Mapped[bool] = mapped_column(server_default=text("true"))


class PayEdge(db.Model):
    """The allowed moves of an order's state."""

    __tablename__ = "pay_edge"
    __table_args__ = {"comment": "reference"}
    from_state: Mapped[Code] = mapped_column(primary_key=True)
    to_state: Mapped[Code] = mapped_column(primary_key=True)


class PaymentOrder(db.Model):
    """One attempt to pay chosen bills through one merchant. Amounts in fen."""

    __tablename__ = "payment_order"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint(
            "state NOT IN ('succeeded','succeeded_late') OR channel_txn IS NOT NULL", name="txn"
        ),
        Index(
            "uq_payment_order_txn", "channel", "channel_txn", unique=True,
            postgresql_where=text("channel_txn IS NOT NULL"),
        ),
        Index(
            "ix_payment_order_query", "next_query_at",
            postgresql_where=text("next_query_at IS NOT NULL"),
        ),
        Index("ix_payment_order_house", "house_id", "created_at"),
    )  # fmt: skip
    id: Mapped[Pk]
    out_trade_no: Mapped[Code] = mapped_column(unique=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchant.id"))
    channel: Mapped[Code]
    method: Mapped[Code]
    payer: Mapped[Code]
    openid: Mapped[Code | None]
    amount_fen: Mapped[int]
    state: Mapped[Code] = mapped_column(server_default="created")
    version: Mapped[int] = mapped_column(server_default="1")
    channel_txn: Mapped[Code | None]
    time_expire: Mapped[datetime]
    created_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    next_query_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]
    asked_state: Mapped[Code | None]
    prepay: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class OrderBill(db.Model):
    """A bill's part in an order, quoted when it was opened.

    At most one live row per (bill, channel, payer): an overlapping checkout by the same payer
    closes the older order first (design 4.3).
    """

    __tablename__ = "order_bill"
    __table_args__ = (
        CheckConstraint("principal_fen >= 0 AND late_fee_fen >= 0", name="parts"),
        Index(
            "uq_order_bill_live", "bill_id", "channel", "payer", unique=True,
            postgresql_where=text("live"),
        ),
        Index("ix_order_bill_bill", "bill_id"),
    )  # fmt: skip
    order_id: Mapped[int] = mapped_column(ForeignKey("payment_order.id"), primary_key=True)
    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"), primary_key=True)
    channel: Mapped[Code]
    payer: Mapped[Code]
    principal_fen: Mapped[int]
    late_fee_fen: Mapped[int]
    live: Mapped[bool] = mapped_column(server_default=text("true"))


class OrderEvent(db.Model):
    """History of an order's states, written by trigger in the same transaction."""

    __tablename__ = "order_event"
    id: Mapped[Pk]
    order_id: Mapped[int] = mapped_column(ForeignKey("payment_order.id"), index=True)
    from_state: Mapped[Code | None]
    to_state: Mapped[Code]
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class Inbox(db.Model):
    """A verified notice exactly as it arrived (raw bytes), or the answer of our own query."""

    __tablename__ = "inbox"
    __table_args__ = (UniqueConstraint("channel", "event_key"),)
    id: Mapped[Pk]
    channel: Mapped[Code]
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchant.id"))
    event_key: Mapped[Code]
    kind: Mapped[Code]
    out_trade_no: Mapped[Code]
    raw: Mapped[bytes]
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    parsed: Mapped[dict[str, Any]] = mapped_column(JSONB)
    received_at: Mapped[datetime]


class InboxPending(db.Model):
    """Notices not judged yet; filled by trigger on inbox, emptied by trigger on the outcome."""

    __tablename__ = "inbox_pending"
    inbox_id: Mapped[int] = mapped_column(
        ForeignKey("inbox.id"), primary_key=True, autoincrement=False
    )
    out_trade_no: Mapped[Code] = mapped_column(index=True)
    not_before: Mapped[datetime] = mapped_column(index=True)
    tries: Mapped[int] = mapped_column(server_default="0")


class InboxOutcome(db.Model):
    """What became of a notice: settled, duplicate, ignored, or quarantined for a person."""

    __tablename__ = "inbox_outcome"
    __table_args__ = (
        CheckConstraint("state IN ('settled','duplicate','ignored','quarantined')", name="state"),
    )
    inbox_id: Mapped[int] = mapped_column(
        ForeignKey("inbox.id"), primary_key=True, autoincrement=False
    )
    state: Mapped[Code]
    reason: Mapped[str] = mapped_column(server_default="")
    at: Mapped[datetime]


class Refund(db.Model):
    """Money going back the way it came; the number is fixed before the platform is asked."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint(
            "state IN ('requested','pending','processing','unknown','succeeded','closed',"
            "'abnormal','rejected')",
            name="state",
        ),
        CheckConstraint("approved_by IS NULL OR approved_by <> requested_by", name="two_people"),
        Index(
            "ix_refund_query", "next_query_at", postgresql_where=text("next_query_at IS NOT NULL")
        ),
    )
    id: Mapped[Pk]
    out_refund_no: Mapped[Code] = mapped_column(unique=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("payment_order.id"), index=True)
    channel: Mapped[Code]
    amount_fen: Mapped[int]
    reason: Mapped[str]
    state: Mapped[Code]
    requested_by: Mapped[str]
    approved_by: Mapped[str | None]
    requested_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    next_query_at: Mapped[datetime | None]
