"""People's work on arrears: tasks, contacts made, promises to pay."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db


class StewardTask(db.Model):
    """Something a steward is asked to do for a household on a day (call, visit, promise kept?)."""

    __tablename__ = "steward_task"
    __table_args__ = (
        CheckConstraint("kind IN ('call','visit','promise_broken')", name="kind"),
        CheckConstraint("state IN ('open','done','cancelled')", name="state"),
        UniqueConstraint("house_id", "party_id", "kind", "window_key"),
        Index(
            "ix_steward_task_open", "community_id", "due_day",
            postgresql_where=text("state = 'open'"),
        ),
    )  # fmt: skip
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    kind: Mapped[Code]
    stage: Mapped[Code]
    window_key: Mapped[Code]
    due_day: Mapped[date]
    state: Mapped[Code] = mapped_column(server_default="open")
    reason: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class Contact(db.Model):
    """A call or visit that was made (or tried) by a person; append-only (S32, S51)."""

    __tablename__ = "contact"
    __table_args__ = (
        CheckConstraint("kind IN ('call','visit')", name="kind"),
        CheckConstraint(
            "kind = 'call' OR (second_steward_id IS NOT NULL AND second_steward_id <> steward_id)",
            name="visit_by_two",
        ),
        CheckConstraint(
            "result IN ('promised','will_consider','no_answer','unreachable','wrong_number',"
            "'away','refused','dispute','hardship','not_met','met','paid_already')",
            name="result",
        ),
        Index("ix_contact_house", "house_id", "at"),
    )
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    steward_id: Mapped[int] = mapped_column(ForeignKey("steward.id"))
    second_steward_id: Mapped[int | None] = mapped_column(ForeignKey("steward.id"))
    kind: Mapped[Code]
    result: Mapped[Code]
    reason_code: Mapped[Code]
    note: Mapped[str] = mapped_column(server_default="")
    connected: Mapped[bool]
    at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class Promise(db.Model):
    """A promise to pay an amount by a day; silences reminders until then (S34, C71)."""

    __tablename__ = "promise"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("state IN ('open','kept','broken','cancelled')", name="state"),
        Index(
            "uq_promise_open", "house_id", "party_id", unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_promise_due", "day", postgresql_where=text("state = 'open'")),
    )  # fmt: skip
    id: Mapped[Pk]
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    amount_fen: Mapped[int]
    open_at_start_fen: Mapped[int]
    after_event_id: Mapped[int] = mapped_column(server_default="0")
    day: Mapped[date]
    pay_by: Mapped[Code] = mapped_column(server_default="wechatpay")
    made_by: Mapped[str]
    hold_id: Mapped[int] = mapped_column(ForeignKey("hold.id"))
    state: Mapped[Code] = mapped_column(server_default="open")
    made_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
