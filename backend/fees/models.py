"""What may be charged: published, effective-dated fee standards and late-fee terms.

A bill line points to the published version it came from; no published version, no bill (C43).
A late-fee rate needs clause text, page and proof of notice, else it is zero (C8).
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db


class FeeItem(db.Model):
    """A kind of charge: 物业费, 停车费, 公摊 … ; pass_through is money of a utility (C44)."""

    __tablename__ = "fee_item"
    __table_args__ = (UniqueConstraint("community_id", "code"),)
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    code: Mapped[Code]
    name: Mapped[str]
    pass_through: Mapped[bool] = mapped_column(server_default=text("false"))


class FeeStandard(db.Model):
    """One version of a price. rate 元/㎡/month, surcharge and fixed 元/month (M1).

    method 'area' = area × rate + surcharge; 'fixed' and 'parking' = fixed × quantity.
    due_day is the day of the month of the period's start by which the bill is due.
    """

    __tablename__ = "fee_standard"
    __table_args__ = (
        UniqueConstraint("community_id", "code", "version"),
        CheckConstraint("method IN ('area','fixed','parking')", name="method"),
        CheckConstraint(
            "(method = 'area') = (rate IS NOT NULL) AND (method <> 'area') = (fixed IS NOT NULL)",
            name="price",
        ),
        CheckConstraint("anchor_day BETWEEN 1 AND 31 AND due_day BETWEEN 1 AND 31", name="days"),
        CheckConstraint("cycle_months BETWEEN 1 AND 12", name="cycle"),
        ExcludeConstraint(
            ("community_id", "="), ("code", "="), ("effective", "&&"),
            name="ex_fee_standard_one_version", using="gist",
            where=text("published_at IS NOT NULL"),
        ),
        Index("ix_fee_standard_item", "fee_item_id"),
    )  # fmt: skip
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    fee_item_id: Mapped[int] = mapped_column(ForeignKey("fee_item.id"))
    code: Mapped[Code]
    version: Mapped[int]
    name: Mapped[str]
    method: Mapped[Code]
    rate: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    surcharge: Mapped[Decimal] = mapped_column(Numeric(12, 4), server_default="0")
    fixed: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    cycle_months: Mapped[int] = mapped_column(server_default="1")
    anchor_day: Mapped[int] = mapped_column(server_default="1")
    due_day: Mapped[int] = mapped_column(server_default="15")
    effective: Mapped[Range[date]] = mapped_column(DATERANGE)
    basis: Mapped[str]
    published_at: Mapped[datetime | None]
    published_by: Mapped[str | None]


class HouseFee(db.Model):
    """Which standard (by code) a house is charged, how many times, from when to when."""

    __tablename__ = "house_fee"
    __table_args__ = (
        ExcludeConstraint(
            ("house_id", "="), ("standard_code", "="), ("valid", "&&"),
            name="ex_house_fee_once", using="gist",
        ),
        CheckConstraint("quantity > 0", name="quantity"),
        Index("ix_house_fee_community", "community_id", "standard_code"),
    )  # fmt: skip
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    standard_code: Mapped[Code]
    quantity: Mapped[int] = mapped_column(server_default="1")
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class LateFeeTerms(db.Model):
    """The contract's late-fee clause of one fee item, with proof, grace and cap (C8–C10).

    ceiling: 'lpr4' = 4 × one-year LPR; 'contract' = an administrator lifted it with a basis.
    """

    __tablename__ = "late_fee_terms"
    __table_args__ = (
        CheckConstraint("ceiling IN ('lpr4','contract')", name="ceiling"),
        CheckConstraint("ceiling = 'lpr4' OR ceiling_basis IS NOT NULL", name="basis"),
        CheckConstraint("grace_days >= 0 AND cap_percent BETWEEN 0 AND 100", name="bounds"),
        CheckConstraint(
            "contract_daily_rate = 0 OR (clause_text IS NOT NULL AND clause_page IS NOT NULL "
            "AND notice_proof IS NOT NULL AND clause_from IS NOT NULL)",
            name="proof",
        ),
    )
    fee_item_id: Mapped[int] = mapped_column(ForeignKey("fee_item.id"), primary_key=True)
    contract_daily_rate: Mapped[Decimal] = mapped_column(Numeric(14, 10), server_default="0")
    clause_text: Mapped[str | None]
    clause_page: Mapped[str | None]
    notice_proof: Mapped[str | None]
    clause_from: Mapped[date | None]
    grace_days: Mapped[int] = mapped_column(server_default="15")
    cap_percent: Mapped[Decimal] = mapped_column(Numeric(7, 4), server_default="30")
    ceiling: Mapped[Code] = mapped_column(server_default="lpr4")
    ceiling_basis: Mapped[str | None]


class LprRate(db.Model):
    """One-year LPR by date, as a fraction a year (0.03 = 3 %). Kept by an administrator."""

    __tablename__ = "lpr_rate"
    __table_args__ = {"comment": "reference"}
    effective_from: Mapped[date] = mapped_column(primary_key=True)
    annual: Mapped[Decimal] = mapped_column(Numeric(9, 6))
    source: Mapped[str]
