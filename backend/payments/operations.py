"""Writing orders, notices and refunds. Nothing here commits or talks to a platform."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from backend.db import db
from backend.payments.models import LIVE, Inbox, InboxOutcome, OrderBill, PaymentOrder

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_out_trade_no(*, community_id: int, at: datetime) -> str:
    """Return a number of ≤ 32 letters and digits that encodes the community."""
    digits, rest = "", community_id
    while rest:
        rest, digit = divmod(rest, 32)
        digits = _ALPHABET[digit] + digits
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return f"JQ{at:%y%m%d}{digits.rjust(4, '0')}{tail}"


def query_delay(age: timedelta) -> timedelta | None:
    """Return when to ask again about an order of this age; None = stop (30 s, 2 min, 1 h)."""
    if age < timedelta(minutes=15):
        return timedelta(seconds=30)
    if age < timedelta(hours=1):
        return timedelta(minutes=2)
    if age < timedelta(hours=48):
        return timedelta(hours=1)
    return timedelta(hours=12) if age < timedelta(days=8) else None


def store_notice(
    *,
    channel: str,
    merchant_id: int,
    event_key: str,
    kind: str,
    out_trade_no: str,
    raw: bytes,
    headers: Mapping[str, str],
    parsed: dict[str, Any],
    at: datetime,
) -> int | None:
    """Append a notice to the inbox; None if this event is already there."""
    return db.session.execute(
        pg_insert(Inbox)
        .values(
            channel=channel,
            merchant_id=merchant_id,
            event_key=event_key,
            kind=kind,
            out_trade_no=out_trade_no,
            raw=raw,
            headers=dict(headers),
            parsed=parsed,
            received_at=at,
        )
        .on_conflict_do_nothing()
        .returning(Inbox.id)
    ).scalar()


def judge(*, inbox_id: int, state: str, reason: str = "", at: datetime) -> None:
    """Write what became of a notice: settled, duplicate, ignored, quarantined."""
    db.session.execute(
        pg_insert(InboxOutcome).values(inbox_id=inbox_id, state=state, reason=reason, at=at)
    )


def lock_order(out_trade_no: str) -> PaymentOrder | None:
    """Return the order, locked and freshly read; lock its houses first."""
    return db.session.scalar(
        db.select(PaymentOrder)
        .where(PaymentOrder.out_trade_no == out_trade_no)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def houses_of_order(order_id: int) -> list[int]:
    """Return the houses of an order's bills in id order."""
    return list(
        db.session.scalars(
            text(
                "SELECT DISTINCT b.house_id FROM order_bill ob JOIN bill b ON b.id = ob.bill_id "
                "WHERE ob.order_id = :o ORDER BY 1"
            ),
            {"o": order_id},
        )
    )


def order_bills(order_id: int) -> list[OrderBill]:
    """Return what an order was opened for."""
    return list(db.session.scalars(db.select(OrderBill).where(OrderBill.order_id == order_id)))


def live_orders_of_bills(bill_ids: Collection[int]) -> list[PaymentOrder]:
    """Return orders that may still be paid for any of these bills."""
    return list(
        db.session.scalars(
            db.select(PaymentOrder)
            .where(
                PaymentOrder.state.in_(LIVE),
                PaymentOrder.id.in_(
                    db.select(OrderBill.order_id).where(OrderBill.bill_id.in_(list(bill_ids)))
                ),
            )
            .order_by(PaymentOrder.id)
        )
    )


def note_answer(*, order_id: int, state: str, at: datetime) -> None:
    """Remember when and what the platform last said about an order."""
    db.session.execute(
        db.update(PaymentOrder)
        .where(PaymentOrder.id == order_id)
        .values(asked_at=at, asked_state=state)
    )
