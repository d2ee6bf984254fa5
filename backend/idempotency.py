"""Idempotency keys: the first answer is stored in the transaction that did the work (design 4.6)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Code, db


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
