"""Idempotency keys: the first answer is stored in the transaction that did the work (design 4.6).

Two ways. An *answered* key is inserted first, in the work's own transaction: a twin waits for it
and then finds the answer. A *bound* key belongs to work that asks a platform in between: it is
claimed and committed first, the number of the order is written to `reference` in the order's
transaction, and a retry rebuilds the answer for that number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, db
from backend.errors import Refusal

ABANDONED_AFTER = timedelta(seconds=15)
"""A claim without a reference this old belongs to a process that died before it did anything."""


class IdempotencyKey(db.Model):
    """(actor, route, key) → first answer; `reference` binds a key to an order before its answer."""

    __tablename__ = "idempotency_key"
    actor: Mapped[Code] = mapped_column(primary_key=True)
    route: Mapped[Code] = mapped_column(primary_key=True)
    key: Mapped[Code] = mapped_column(primary_key=True)
    body_hash: Mapped[str]
    reference: Mapped[str | None]
    status: Mapped[int | None]
    response: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime]


@dataclass(frozen=True)
class Claim:
    """What a caller sent: who, which operation, his key, and the hash of what he asked for."""

    actor: str
    route: str
    key: str
    body_hash: str


def open_key(claim: Claim, now: datetime) -> IdempotencyKey | None:
    """Insert the key into the running transaction; return its earlier row if there is one.

    Waits for a twin that is still running. Raises Refusal `idempotency_key_reused` (409).
    """
    values = {**_identity(claim), "body_hash": claim.body_hash, "created_at": now}
    done = db.session.execute(
        insert(IdempotencyKey).values(values).on_conflict_do_nothing().returning(IdempotencyKey.key)
    ).first()
    return None if done else _checked(claim)


def claim_key(claim: Claim, now: datetime) -> IdempotencyKey | None:
    """Claim the key before work that commits by itself; return its earlier row, None if new.

    A claim left behind by a dead process is taken over. Raises Refusal `idempotency_key_reused`,
    `request_in_progress` (409).
    """
    earlier = open_key(claim, now)
    if earlier is None or earlier.reference is not None or earlier.status is not None:
        return earlier
    if now - earlier.created_at < ABANDONED_AFTER:
        raise in_progress()
    taken = db.session.execute(
        db.update(IdempotencyKey)
        .where(*_this(claim), IdempotencyKey.created_at == earlier.created_at)
        .values(created_at=now)
    ).rowcount
    if not taken:
        raise in_progress()
    return None


def bind_key(claim: Claim, reference: str) -> None:
    """Tie the key to a number, in the transaction that creates the thing of that number."""
    db.session.execute(db.update(IdempotencyKey).where(*_this(claim)).values(reference=reference))


def reference_of(claim: Claim) -> str | None:
    """Return what the key is bound to."""
    return db.session.scalar(db.select(IdempotencyKey.reference).where(*_this(claim)))


def store_answer(claim: Claim, *, status: int, response: dict[str, Any], now: datetime) -> None:
    """Keep the first answer, in the transaction that did the work."""
    answer = {"status": status, "response": response}
    db.session.execute(
        insert(IdempotencyKey)
        .values(**_identity(claim), body_hash=claim.body_hash, created_at=now, **answer)
        .on_conflict_do_update(index_elements=["actor", "route", "key"], set_=answer)
    )


def release_key(claim: Claim) -> None:
    """Give up a claim that came to nothing, so that the caller may try the same key again."""
    db.session.execute(
        db.delete(IdempotencyKey).where(
            *_this(claim), IdempotencyKey.reference.is_(None), IdempotencyKey.status.is_(None)
        )
    )


def in_progress() -> Refusal:
    """The same request is still being worked on."""
    return Refusal(
        "request_in_progress",
        message="the first request with this key is still running",
        message_zh="同一操作正在处理中。",
        what_to_do="请几秒后用同一编号重试，不会重复处理。",
    )


def _identity(claim: Claim) -> dict[str, str]:
    return {"actor": claim.actor, "route": claim.route, "key": claim.key}


def _this(claim: Claim) -> tuple[Any, ...]:
    return (
        IdempotencyKey.actor == claim.actor,
        IdempotencyKey.route == claim.route,
        IdempotencyKey.key == claim.key,
    )


def _checked(claim: Claim) -> IdempotencyKey:
    row = db.session.scalar(
        db.select(IdempotencyKey).where(*_this(claim)).execution_options(populate_existing=True)
    )
    if row is None:  # the twin rolled back between our insert and this look
        raise in_progress()
    if row.body_hash != claim.body_hash:
        raise Refusal(
            "idempotency_key_reused",
            message="this key was used for another request",
            message_zh="该操作编号已用于另一项请求。",
            what_to_do="请为新的操作使用新的编号。",
        )
    return row
