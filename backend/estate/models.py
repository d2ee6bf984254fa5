"""Who and what is managed: companies, communities, houses, persons, and who owns and owes when.

Several owners may hold a house at once (who may *see*); exactly one party is liable on any day
(who is *billed and reminded*) — an exclusion constraint says so (S5, C12).
Phones, ID numbers and addresses are stored encrypted with the company's data key plus a blind
index for exact search and a mask for display (C57).
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import DATERANGE, JSONB, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db


class Company(db.Model):
    """A property-service company; several may live in one deployment and never mix (C58)."""

    __tablename__ = "company"
    id: Mapped[Pk]
    code: Mapped[Code] = mapped_column(unique=True)
    name: Mapped[str]
    hotline: Mapped[str] = mapped_column(server_default="")
    data_key_wrapped: Mapped[bytes]


class Payee(db.Model):
    """An entity that receives money, with a merchant account of its own; one per order (C55)."""

    __tablename__ = "payee"
    __table_args__ = (UniqueConstraint("company_id", "name"),)
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    name: Mapped[str]


class Community(db.Model):
    """A managed estate (小区), in 包干制 (lump_sum) or 酬金制 (commission) (S4)."""

    __tablename__ = "community"
    __table_args__ = (
        UniqueConstraint("company_id", "code"),
        CheckConstraint("contract_mode IN ('lump_sum','commission')", name="contract_mode"),
    )
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"), index=True)
    payee_id: Mapped[int] = mapped_column(ForeignKey("payee.id"))
    code: Mapped[Code]
    name: Mapped[str]
    hotline: Mapped[str] = mapped_column(server_default="")
    contract_mode: Mapped[Code] = mapped_column(server_default="lump_sum")
    contract_to: Mapped[date | None]


class Building(db.Model):
    """A building (楼栋): the unit of a steward's scope."""

    __tablename__ = "building"
    __table_args__ = (UniqueConstraint("community_id", "code"),)
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    code: Mapped[Code]
    name: Mapped[str]


class House(db.Model):
    """A flat, shop or parking space. area in ㎡ with up to 4 decimals; code like '3-1-1201'."""

    __tablename__ = "house"
    __table_args__ = (
        UniqueConstraint("community_id", "code"),
        CheckConstraint("area >= 0", name="area"),
        CheckConstraint("use IN ('residential','shop','parking','office','other')", name="use"),
        CheckConstraint(
            "occupancy IN ('self','rent','vacant','unsold','undelivered','unknown')",
            name="occupancy",
        ),
        Index("ix_house_building", "building_id", "code"),
    )
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    code: Mapped[Code]
    unit: Mapped[Code] = mapped_column(server_default="")
    room: Mapped[Code] = mapped_column(server_default="")
    area: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    use: Mapped[Code] = mapped_column(server_default="residential")
    occupancy: Mapped[Code] = mapped_column(server_default="unknown")
    handed_over: Mapped[date | None]


class Party(db.Model):
    """A person or organisation that owns, uses or pays. Personal numbers are in contact_point."""

    __tablename__ = "party"
    __table_args__ = (
        UniqueConstraint("company_id", "source_key"),
        CheckConstraint("kind IN ('person','organisation','developer')", name="kind"),
    )
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    source_key: Mapped[Code]
    name: Mapped[str]
    kind: Mapped[Code] = mapped_column(server_default="person")
    id_no_enc: Mapped[bytes | None]
    id_no_masked: Mapped[str | None]
    birth_year: Mapped[int | None]


class ContactPoint(db.Model):
    """A phone of a party with its lawful source and date (C22)."""

    __tablename__ = "contact_point"
    __table_args__ = (
        UniqueConstraint("party_id", "kind", "blind"),
        CheckConstraint("kind IN ('mobile','landline')", name="kind"),
        CheckConstraint("source IN ('owner','contract','court','mediation')", name="source"),
        CheckConstraint("state IN ('valid','invalid')", name="state"),
        Index("ix_contact_point_blind", "company_id", "blind"),
    )
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    kind: Mapped[Code]
    value_enc: Mapped[bytes]
    blind: Mapped[bytes]
    masked: Mapped[str]
    source: Mapped[Code] = mapped_column(server_default="contract")
    source_date: Mapped[date]
    state: Mapped[Code] = mapped_column(server_default="valid")
    rank: Mapped[int] = mapped_column(server_default="1")


class Ownership(db.Model):
    """Who owns when; co-owners overlap. Decides who may see."""

    __tablename__ = "ownership"
    __table_args__ = (
        ExcludeConstraint(
            ("house_id", "="), ("party_id", "="), ("valid", "&&"),
            name="ex_ownership_same_party", using="gist",
        ),
        Index("ix_ownership_party", "party_id"),
    )  # fmt: skip
    id: Mapped[Pk]
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    share: Mapped[Decimal | None] = mapped_column(Numeric(9, 6))
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class Liability(db.Model):
    """The one party liable for a house on a day: owner, agreed user, or developer (S5)."""

    __tablename__ = "liability"
    __table_args__ = (
        ExcludeConstraint(
            ("house_id", "="), ("valid", "&&"), name="ex_liability_one_party", using="gist"
        ),
        CheckConstraint("role IN ('owner','user','developer')", name="role"),
        Index("ix_liability_party", "party_id"),
    )
    id: Mapped[Pk]
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    role: Mapped[Code] = mapped_column(server_default="owner")
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class RosterImport(db.Model):
    """One import run and its row-by-row report, with progress while it runs."""

    __tablename__ = "roster_import"
    __table_args__ = (
        CheckConstraint("state IN ('running','done','refused','failed')", name="state"),
    )
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    community_id: Mapped[int | None] = mapped_column(ForeignKey("community.id"))
    filename: Mapped[str]
    sha256: Mapped[str]
    state: Mapped[Code] = mapped_column(server_default="running")
    done: Mapped[int] = mapped_column(server_default="0")
    total: Mapped[int] = mapped_column(server_default="0")
    report: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    by: Mapped[str]
    at: Mapped[datetime]
