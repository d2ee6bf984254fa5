"""Who did what: rows written inside the business transaction, sealed into a chain afterwards.

Locking a chain head inside business transactions would serialise everything, so a row is first
only appended (`audit_event` + a `audit_pending` marker by trigger) and one sealer gives it the
next sequence number and hash within two seconds (design 4.11, C32). Nobody may update either.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Pk, db

SEALER_LOCK = 727_001
GENESIS = "0" * 64


class AuditEvent(db.Model):
    """One act. `object` is 'table:id'; `detail` holds ids, amounts, reasons; nothing personal."""

    __tablename__ = "audit_event"
    id: Mapped[Pk]
    at: Mapped[datetime]
    company_id: Mapped[int | None]
    actor: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)


class AuditPending(db.Model):
    """Marker of an event not sealed yet; filled by trigger, emptied by the sealer."""

    __tablename__ = "audit_pending"
    event_id: Mapped[int] = mapped_column(
        ForeignKey("audit_event.id"), primary_key=True, autoincrement=False
    )


class AuditSeal(db.Model):
    """The chain: sequence without gaps, hash over the previous hash and the event."""

    __tablename__ = "audit_seal"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(ForeignKey("audit_event.id"), unique=True)
    prev_hash: Mapped[str]
    hash: Mapped[str]


def record(
    *,
    actor: str,
    action: str,
    object: str,
    at: datetime,
    company_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Append one event to the running transaction. actor: 'steward:3', 'system:relay'."""
    db.session.add(
        AuditEvent(
            at=at,
            company_id=company_id,
            actor=actor,
            action=action,
            object=object,
            detail=detail or {},
        )
    )


def event_hash(prev_hash: str, seq: int, event: AuditEvent) -> str:
    """Return the SHA-256 hex of one link; the text form is fixed for all time."""
    body = json.dumps(
        [prev_hash, seq, event.id, event.at.astimezone(UTC).isoformat(), event.company_id,
         event.actor, event.action, event.object, event.detail],
        ensure_ascii=False, sort_keys=True, separators=(",", ":"),
    )  # fmt: skip
    return hashlib.sha256(body.encode()).hexdigest()


def seal_pending(*, limit: int = 5000) -> int:
    """Give the next sequence numbers to pending events; return how many. One sealer at a time."""
    if not db.session.scalar(text("SELECT pg_try_advisory_xact_lock(:k)"), {"k": SEALER_LOCK}):
        return 0
    head = db.session.execute(
        text("SELECT seq, hash FROM audit_seal ORDER BY seq DESC LIMIT 1")
    ).first()
    seq, prev = (head.seq, head.hash) if head else (0, GENESIS)
    pending = db.session.scalars(
        db.select(AuditEvent)
        .join(AuditPending, AuditPending.event_id == AuditEvent.id)
        .order_by(AuditEvent.id)
        .limit(limit)
    ).all()
    for event in pending:
        seq += 1
        digest = event_hash(prev, seq, event)
        db.session.add(AuditSeal(seq=seq, event_id=event.id, prev_hash=prev, hash=digest))
        prev = digest
    db.session.flush()
    if pending:
        db.session.execute(
            text("DELETE FROM audit_pending WHERE event_id = ANY(:ids)"),
            {"ids": [event.id for event in pending]},
        )
    return len(pending)


def verify_chain() -> dict[str, Any]:
    """Recompute the chain: {sealed, unsealed, bad_seq, bad_reason}; bad_seq None = sound."""
    prev, expected, sealed = GENESIS, 0, 0
    rows = db.session.execute(
        db.select(AuditSeal, AuditEvent)
        .outerjoin(AuditEvent, AuditEvent.id == AuditSeal.event_id)
        .order_by(AuditSeal.seq)
        .execution_options(yield_per=2000)
    )
    bad: tuple[int, str] | None = None
    for seal, event in rows:
        expected += 1
        if seal.seq != expected:
            bad = (expected, "sequence number missing")
        elif event is None:
            bad = (seal.seq, "event row missing")
        elif seal.prev_hash != prev:
            bad = (seal.seq, "previous hash differs")
        elif event_hash(prev, seal.seq, event) != seal.hash:
            bad = (seal.seq, "event was altered")
        if bad:
            break
        prev, sealed = seal.hash, sealed + 1
    unsealed = db.session.scalar(
        text(
            "SELECT count(*) FROM audit_event e "
            "WHERE NOT EXISTS (SELECT 1 FROM audit_seal s WHERE s.event_id = e.id)"
        )
    )
    return {
        "sealed": sealed,
        "unsealed": unsealed,
        "bad_seq": bad[0] if bad else None,
        "bad_reason": bad[1] if bad else None,
    }
