"""What was paid towards bills: when, through which channel, under which receipt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from backend.billing.models import Receipt
from backend.db import db
from backend.money import yuan_text
from backend.payments.models import OrderBill, PaymentOrder
from backend.reports import texts


def with_payments(views: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return bill views, each with its `payments`, newest first. One query.

    A payment: receipt_no (None until the sealer numbered it), channel_text, paid_fen (principal
    and late fee of this bill alone) with its text, paid_at (UTC, the platform's success time).
    """
    found = _payments([view["id"] for view in views])
    return [{**view, "payments": found[view["id"]]} for view in views]


def _payments(bill_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    rows = db.session.execute(
        db.select(
            OrderBill.bill_id, Receipt.number, Receipt.channel, Receipt.lines, PaymentOrder.paid_at
        )
        .join(PaymentOrder, PaymentOrder.id == OrderBill.order_id)
        .join(
            Receipt,
            (Receipt.source_type == "payment") & (Receipt.source_key == PaymentOrder.channel_txn),
        )
        .where(OrderBill.bill_id.in_(list(bill_ids)))
        .order_by(PaymentOrder.paid_at.desc(), PaymentOrder.id.desc())
    )
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        fen = sum(row.lines[part].get(str(row.bill_id), 0) for part in ("principal", "late_fee"))
        if fen:
            found[row.bill_id].append(_payment(row, fen))
    return found


def _payment(row: Any, fen: int) -> dict[str, Any]:
    return {
        "receipt_no": row.number,
        "channel_text": texts.PAY_CHANNEL.get(row.channel, row.channel),
        "paid_fen": fen,
        "paid_text": yuan_text(fen),
        "paid_at": row.paid_at,
    }
