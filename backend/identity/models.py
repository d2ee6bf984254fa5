"""Who may log in: owners by WeChat openid, stewards by password; apps and pay codes."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, Pk, db

ROLES = ("steward", "lead", "finance", "manager", "admin")


class WechatApp(db.Model):
    """A mini-program or official account; secret, token, aes_key and templates are encrypted."""

    __tablename__ = "wechat_app"
    __table_args__ = (CheckConstraint("kind IN ('miniprogram','official_account')", name="kind"),)
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    name: Mapped[Code] = mapped_column(unique=True)
    kind: Mapped[Code]
    appid: Mapped[Code] = mapped_column(unique=True)
    config_enc: Mapped[bytes]


class OwnerAccount(db.Model):
    """A WeChat user as this company knows him; one unionid, an openid per app."""

    __tablename__ = "owner_account"
    __table_args__ = (
        Index(
            "uq_owner_account_unionid", "company_id", "unionid", unique=True,
            postgresql_where=text("unionid IS NOT NULL"),
        ),
    )  # fmt: skip
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    unionid: Mapped[Code | None]
    token_version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]


class OwnerOpenid(db.Model):
    """openid per app; `following` is kept by follow/unfollow events (official account)."""

    __tablename__ = "owner_openid"
    appid: Mapped[Code] = mapped_column(primary_key=True)
    openid: Mapped[Code] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("owner_account.id"), index=True)
    following: Mapped[bool] = mapped_column(server_default=text("false"))


class Binding(db.Model):
    """An account bound to a house as a party; nothing personal is shown before this exists."""

    __tablename__ = "binding"
    __table_args__ = (
        CheckConstraint("bound_by IN ('phone','name')", name="bound_by"),
        Index(
            "uq_binding_live", "account_id", "house_id", "party_id", unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_binding_house", "house_id"),
        Index("ix_binding_party", "party_id"),
    )  # fmt: skip
    id: Mapped[Pk]
    account_id: Mapped[int] = mapped_column(ForeignKey("owner_account.id"))
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    bound_by: Mapped[Code]
    bound_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class BindingAttempt(db.Model):
    """Tries per account and day, and per house and day: five, then tomorrow."""

    __tablename__ = "binding_attempt"
    __table_args__ = (CheckConstraint("tries <= 5", name="five_a_day"),)
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    tries: Mapped[int]


class Steward(db.Model):
    """Staff: steward (管家), lead, finance, manager, admin. Passwords are argon2 hashes."""

    __tablename__ = "steward"
    __table_args__ = (
        CheckConstraint("role IN ('steward','lead','finance','manager','admin')", name="role"),
    )
    id: Mapped[Pk]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    login: Mapped[Code] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[Code]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    token_version: Mapped[int] = mapped_column(server_default="1")
    failed_logins: Mapped[int] = mapped_column(server_default="0")
    locked_until: Mapped[datetime | None]


class StewardBuilding(db.Model):
    """Which buildings a steward works; other roles see their whole company."""

    __tablename__ = "steward_building"
    steward_id: Mapped[int] = mapped_column(ForeignKey("steward.id"), primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"), primary_key=True)


class PayCode(db.Model):
    """A query code for the fixed quick-pay link: shows the bills of one party at one house."""

    __tablename__ = "pay_code"
    __table_args__ = (UniqueConstraint("house_id", "party_id"),)
    code: Mapped[Code] = mapped_column(primary_key=True)
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    created_at: Mapped[datetime]
