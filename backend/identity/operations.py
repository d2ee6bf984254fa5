"""Writing identities: owner accounts and their openids, bindings, tries. Nothing here commits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

import psycopg.errors as pg
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.exc import IntegrityError

from backend.db import db
from backend.errors import Refusal
from backend.identity.models import Binding, BindingAttempt, OwnerAccount, OwnerOpenid
from backend.identity.rules import TRIES_A_DAY


def account_for(
    *, company_id: int, appid: str, openid: str, unionid: str | None, now: datetime
) -> OwnerAccount:
    """Return the account of a WeChat user, made or completed: one unionid, an openid per app.

    A user known under this openid keeps that account; a second account that came from following
    the official account joins it unless houses are bound to it.
    """
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:who, 727003))"),
        {"who": f"{company_id}:{unionid or appid + openid}"},
    )
    account = _find_or_make(company_id, appid, openid, unionid, now)
    db.session.execute(
        pg_insert(OwnerOpenid)
        .values(appid=appid, openid=openid, account_id=account.id)
        .on_conflict_do_nothing()
    )
    db.session.flush()
    return account


def _find_or_make(
    company_id: int, appid: str, openid: str, unionid: str | None, now: datetime
) -> OwnerAccount:
    known = db.session.scalar(
        db.select(OwnerAccount)
        .join(OwnerOpenid, OwnerOpenid.account_id == OwnerAccount.id)
        .where(OwnerOpenid.appid == appid, OwnerOpenid.openid == openid)
    )
    joined = unionid and db.session.scalar(
        db.select(OwnerAccount).where(
            OwnerAccount.company_id == company_id, OwnerAccount.unionid == unionid
        )
    )
    account = known or joined
    if account is None:
        account = OwnerAccount(company_id=company_id, unionid=unionid, created_at=now)
        db.session.add(account)
        db.session.flush()
    elif unionid and account.unionid is None:
        if not joined:
            account.unionid = unionid
        elif _absorb(account, joined):
            account.unionid = unionid
    return account


def _absorb(account: OwnerAccount, other: OwnerAccount) -> bool:
    """Move the openids of an account without houses; False when it has some."""
    if db.session.scalar(db.select(Binding.id).where(Binding.account_id == other.id).limit(1)):
        return False
    other.unionid = None
    db.session.execute(
        db.update(OwnerOpenid)
        .where(OwnerOpenid.account_id == other.id)
        .values(account_id=account.id)
    )
    db.session.flush()
    return True


def set_following(*, appid: str, openid: str, following: bool) -> None:
    """Keep whether a user follows the official account (C19: who can get template messages)."""
    db.session.execute(
        db.update(OwnerOpenid)
        .where(OwnerOpenid.appid == appid, OwnerOpenid.openid == openid)
        .values(following=following)
    )


def count_try(*, house_ids: Collection[int], day: date) -> None:
    """Count one try to bind each of these houses on a business day.

    The sixth is refused by the database (CHECK five_a_day): Refusal `binding_tries_used` (429).
    """
    for house_id in sorted(house_ids):
        statement = (
            pg_insert(BindingAttempt)
            .values(house_id=house_id, day=day, tries=1)
            .on_conflict_do_update(
                index_elements=["house_id", "day"],
                set_={"tries": text("binding_attempt.tries + 1")},
            )
        )
        try:
            db.session.execute(statement)
        except IntegrityError as error:
            if not isinstance(error.orig, pg.CheckViolation):
                raise
            raise Refusal(
                "binding_tries_used",
                message="five tries a day for a house",
                message_zh=f"该房屋今天的核对次数已用完（每天 {TRIES_A_DAY} 次）。",
                http=429,
                what_to_do="请明天再试，或用手机号一键绑定，或联系物业服务中心。",
            ) from error


def bind(
    *, account_id: int, pairs: Collection[tuple[int, int]], bound_by: str, now: datetime
) -> list[int]:
    """Bind an account to (house, party) pairs; return the ids of the bindings that are new."""
    if not pairs:
        return []
    return list(
        db.session.scalars(
            pg_insert(Binding)
            .values(
                [
                    {
                        "account_id": account_id,
                        "house_id": house_id,
                        "party_id": party_id,
                        "bound_by": bound_by,
                        "bound_at": now,
                    }
                    for house_id, party_id in sorted(pairs)
                ]
            )
            .on_conflict_do_nothing()
            .returning(Binding.id)
        )
    )
