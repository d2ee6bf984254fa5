"""Append-only double entry, in fen (CNY) and in points (PT).

A journal's lines arrive in one INSERT; an immediate statement trigger over that transition
table refuses a currency that does not sum to zero, a single line, or a later extra line.
`balance` is kept by the same trigger only for accounts that carry a floor (`min_balance`), so
the bank account never serialises anybody. Corrections are reversals; the application role has
INSERT and SELECT only.
Sign: debit > 0, credit < 0. `sign` turns Σ amount into the natural balance (credit and points
accounts are −1), and CHECK(balance >= min_balance) holds in that natural direction.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db


class Account(db.Model):
    """A named account of one company; names are fixed in docs/operations.md."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("company_id", "code", "currency"),
        CheckConstraint("currency IN ('CNY','PT')", name="currency"),
        CheckConstraint("sign IN (1,-1)", name="sign"),
        CheckConstraint("min_balance IS NULL OR balance >= min_balance", name="floor"),
    )
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    code: Mapped[Code]
    currency: Mapped[Code] = mapped_column(server_default="CNY")
    sign: Mapped[int] = mapped_column(server_default="1")
    min_balance: Mapped[int | None]
    balance: Mapped[int] = mapped_column(server_default="0")


class Journal(db.Model):
    """One booking, once per source: ('payment', platform transaction id), ('bill_run', …) …"""

    __tablename__ = "journal"
    __table_args__ = (UniqueConstraint("company_id", "source_type", "source_key"),)
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    source_type: Mapped[Code]
    source_key: Mapped[Code]
    reverses: Mapped[int | None] = mapped_column(ForeignKey("journal.id"), unique=True)
    posted_at: Mapped[datetime]


class Posting(db.Model):
    """One line. amount in fen or points, never zero; bill_id names the bill it belongs to."""

    __tablename__ = "posting"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="nonzero"),
        Index("ix_posting_bill", "bill_id"),
        Index("ix_posting_account", "account_id"),
    )
    journal_id: Mapped[int] = mapped_column(
        ForeignKey("journal.id"), primary_key=True, autoincrement=False
    )
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    bill_id: Mapped[int | None]
    currency: Mapped[Code]
    amount: Mapped[int]
