"""Incentive points: programme rules and per-bill entries; balances live in the ledger (PT)."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, UniqueConstraint
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db


class PointsProgramme(db.Model):
    """Announced rules, equal for all in the same position, with dates and a funder (C48)."""

    __tablename__ = "points_programme"
    __table_args__ = (
        ExcludeConstraint(
            ("community_id", "="), ("valid", "&&"), name="ex_points_programme_one", using="gist"
        ),
        CheckConstraint("funded_by IN ('company','owners_resolution')", name="funded_by"),
    )
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    title: Mapped[str]
    points_per_yuan: Mapped[Decimal] = mapped_column(Numeric(9, 4))
    multiplier: Mapped[Decimal] = mapped_column(Numeric(9, 4), server_default="1")
    funded_by: Mapped[Code] = mapped_column(server_default="company")
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class PointsEntry(db.Model):
    """One earning or taking of points, per settlement and bill (A48)."""

    __tablename__ = "points_entry"
    __table_args__ = (
        UniqueConstraint("source_type", "source_key", "bill_id"),
        CheckConstraint("points <> 0", name="nonzero"),
    )
    id: Mapped[Pk]
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    bill_id: Mapped[int | None] = mapped_column(ForeignKey("bill.id"))
    source_type: Mapped[Code]
    source_key: Mapped[Code]
    points: Mapped[int]
    journal_id: Mapped[int] = mapped_column(ForeignKey("journal.id"))
    at: Mapped[datetime]


class PointsShortage(db.Model):
    """Points a claw-back could not take; the next earnings pay it off (A49)."""

    __tablename__ = "points_shortage"
    __table_args__ = (CheckConstraint("points >= 0", name="points"),)
    party_id: Mapped[int] = mapped_column(
        ForeignKey("party.id"), primary_key=True, autoincrement=False
    )
    points: Mapped[int]
