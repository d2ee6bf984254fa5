"""Bills and what is open on them; the house account is the one lock of everything about a house.

`open_fen` (principal) = due − paid − waived − credited and can never be negative: the database
refuses. Late fee is derived as of a date and only *posted* amounts stand in columns here.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db


class HouseAccount(db.Model):
    """One row per house: locked by paying, waiving, refunding, permitting, opening an order.

    `credit_pending` forbids permits until freshly issued bills had their credit applied (A45).
    """

    __tablename__ = "house_account"
    house_id: Mapped[int] = mapped_column(
        ForeignKey("house.id"), primary_key=True, autoincrement=False
    )
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    credit_pending: Mapped[bool] = mapped_column(server_default=text("false"))


class BillRun(db.Model):
    """One issuing of bills for a community and period; restartable, with progress (S10, S11)."""

    __tablename__ = "bill_run"
    __table_args__ = (
        UniqueConstraint("community_id", "period_from", "period_to"),
        CheckConstraint("state IN ('running','done','failed')", name="state"),
    )
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    period_from: Mapped[date]
    period_to: Mapped[date]
    issue_date: Mapped[date]
    state: Mapped[Code] = mapped_column(server_default="running")
    houses_done: Mapped[int] = mapped_column(server_default="0")
    houses_total: Mapped[int] = mapped_column(server_default="0")
    last_house_id: Mapped[int] = mapped_column(server_default="0")
    batch_no: Mapped[int] = mapped_column(server_default="0")
    bills: Mapped[int] = mapped_column(server_default="0")
    total_fen: Mapped[int] = mapped_column(server_default="0")
    by: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Bill(db.Model):
    """What one party owes for one fee item of one house and period. Amounts in fen."""

    __tablename__ = "bill"
    __table_args__ = (
        UniqueConstraint(
            "house_id", "fee_item_id", "period_from", "period_to", "kind", "source_key", "revision",
            name="uq_bill_identity",
        ),
        CheckConstraint("period_from < period_to", name="period"),
        CheckConstraint(
            "paid_fen >= 0 AND waived_fen >= 0 AND credited_fen >= 0 AND due_fen >= 0",
            name="parts",
        ),
        CheckConstraint("due_fen - paid_fen - waived_fen - credited_fen >= 0", name="open"),
        CheckConstraint(
            "late_fee_posted_fen - late_fee_paid_fen - late_fee_waived_fen >= 0 "
            "AND late_fee_paid_fen >= 0 AND late_fee_waived_fen >= 0",
            name="late_fee",
        ),
        Index("ix_bill_house", "house_id"),
        Index("ix_bill_party", "party_id"),
        Index(
            "ix_bill_open_due", "community_id", "due_date", "id",
            postgresql_where=text("state IN ('open','part_paid')"),
        ),
        Index("ix_bill_run", "bill_run_id"),
    )  # fmt: skip
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    payee_id: Mapped[int] = mapped_column(ForeignKey("payee.id"))
    fee_item_id: Mapped[int] = mapped_column(ForeignKey("fee_item.id"))
    bill_run_id: Mapped[int | None] = mapped_column(ForeignKey("bill_run.id"))
    kind: Mapped[Code] = mapped_column(server_default="regular")
    source_key: Mapped[Code] = mapped_column(server_default="")
    revision: Mapped[int] = mapped_column(server_default="1")
    period_from: Mapped[date]
    period_to: Mapped[date]
    due_date: Mapped[date]
    issued_on: Mapped[date]
    due_fen: Mapped[int]
    paid_fen: Mapped[int] = mapped_column(server_default="0")
    waived_fen: Mapped[int] = mapped_column(server_default="0")
    credited_fen: Mapped[int] = mapped_column(server_default="0")
    open_fen: Mapped[int] = mapped_column(
        Computed("due_fen - paid_fen - waived_fen - credited_fen", persisted=True)
    )
    late_fee_posted_fen: Mapped[int] = mapped_column(server_default="0")
    late_fee_paid_fen: Mapped[int] = mapped_column(server_default="0")
    late_fee_waived_fen: Mapped[int] = mapped_column(server_default="0")
    reversed: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[Code] = mapped_column(
        Computed(
            "CASE WHEN reversed THEN 'reversed' "
            "WHEN due_fen - paid_fen - waived_fen - credited_fen = 0 THEN 'paid' "
            "WHEN paid_fen + waived_fen + credited_fen > 0 THEN 'part_paid' ELSE 'open' END",
            persisted=True,
        )
    )


class BillLine(db.Model):
    """How an amount came about: the published standard, price, months, one rounding (C53)."""

    __tablename__ = "bill_line"
    bill_id: Mapped[int] = mapped_column(
        ForeignKey("bill.id"), primary_key=True, autoincrement=False
    )
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    standard_id: Mapped[int] = mapped_column(ForeignKey("fee_standard.id"), index=True)
    period_from: Mapped[date]
    period_to: Mapped[date]
    area: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    rate: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    surcharge: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    fixed: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    quantity: Mapped[int] = mapped_column(server_default="1")
    months: Mapped[Decimal]
    months_text: Mapped[str]
    fen: Mapped[int]


class PrincipalEvent(db.Model):
    """Every change of a bill's open principal with its business day: the input of M7.

    kind payment|credit|waiver|correction|refund; amount in fen, positive lowers the principal.
    """

    __tablename__ = "principal_event"
    __table_args__ = (
        CheckConstraint("kind IN ('payment','credit','waiver','correction','refund')", name="kind"),
        CheckConstraint("amount_fen <> 0", name="nonzero"),
        Index("ix_principal_event_bill", "bill_id"),
    )
    id: Mapped[Pk]
    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"))
    day: Mapped[date]
    kind: Mapped[Code]
    amount_fen: Mapped[int]
    journal_id: Mapped[int] = mapped_column(ForeignKey("journal.id"))


class LateFeeFreeze(db.Model):
    """No late fee on [day_from, day_to) for the whole bill or a disputed part (A33, A34).

    Written by the rooms above (dispute, plan, hardship); read by the late-fee rule.
    """

    __tablename__ = "late_fee_freeze"
    id: Mapped[Pk]
    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"), index=True)
    day_from: Mapped[date]
    day_to: Mapped[date | None]
    amount_fen: Mapped[int | None]
    reason: Mapped[str]
    voided: Mapped[bool] = mapped_column(server_default=text("false"))


class Receipt(db.Model):
    """What was received and how it was appropriated; `number` is given gapless by the sealer."""

    __tablename__ = "receipt"
    __table_args__ = (UniqueConstraint("source_type", "source_key"),)
    id: Mapped[Pk]
    number: Mapped[Code | None] = mapped_column(unique=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"), index=True)
    source_type: Mapped[Code]
    source_key: Mapped[Code]
    channel: Mapped[Code]
    amount_fen: Mapped[int]
    credit_fen: Mapped[int]
    lines: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime]
