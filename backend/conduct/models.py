"""Contact rules' memory: holds that silence reminders, permits given or refused, contacts made."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db


class Hold(db.Model):
    """A reason not to send, written by the rooms above and read by the permit.

    Scope: a house, optionally one party or one bill. [from_day, until_day) in business days;
    until_day None = until lifted.
    """

    __tablename__ = "hold"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('promise','plan','dispute','hardship','stop_contact','own_error',"
            "'pending_entry','manual')",
            name="kind",
        ),
        Index("ix_hold_house", "house_id", postgresql_where=text("lifted_at IS NULL")),
        Index("ix_hold_party", "party_id", postgresql_where=text("lifted_at IS NULL")),
    )
    id: Mapped[Pk]
    house_id: Mapped[int | None] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    bill_id: Mapped[int | None] = mapped_column(ForeignKey("bill.id"))
    kind: Mapped[Code]
    from_day: Mapped[date]
    until_day: Mapped[date | None]
    reason: Mapped[str]
    source: Mapped[str]
    created_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None]


class Permit(db.Model):
    """A decision taken under the house account's lock, single use; append-only."""

    __tablename__ = "permit"
    __table_args__ = (
        CheckConstraint("decision IN ('allowed','refused')", name="decision"),
        Index("ix_permit_subject", "subject_type", "subject_id"),
    )
    id: Mapped[Pk]
    subject_type: Mapped[Code]
    subject_id: Mapped[int]
    house_id: Mapped[int]
    party_id: Mapped[int]
    decision: Mapped[Code]
    reason_code: Mapped[Code]
    rule_set: Mapped[Code]
    at: Mapped[datetime]


class ContactLog(db.Model):
    """Every contact or attempt by anybody, per liable person: what the counts look at (C16).

    kind call|message|visit; class_ reminder|bill_notice|promise|legal|reply; at = business instant.
    """

    __tablename__ = "contact_log"
    __table_args__ = (
        CheckConstraint("kind IN ('call','message','visit')", name="kind"),
        Index("ix_contact_log_party", "party_id", "at"),
    )
    id: Mapped[Pk]
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    kind: Mapped[Code]
    class_: Mapped[Code] = mapped_column("class")
    channel: Mapped[Code]
    connected: Mapped[bool]
    subject_type: Mapped[Code]
    subject_id: Mapped[int]
    at: Mapped[datetime]
