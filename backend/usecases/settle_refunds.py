"""Refund results, by notice or by query: only `succeeded` means that the money went back (M9)."""

from __future__ import annotations

from datetime import datetime, timedelta

from backend import audit
from backend.db import db
from backend.ledger import operations as ledger
from backend.ledger.operations import Entry
from backend.payments.models import Inbox, Merchant, PaymentOrder, Refund

_NEXT = timedelta(seconds=30)


def settle_refund(notice: Inbox, order: PaymentOrder, now: datetime) -> tuple[str, str]:
    """Judge a refund notice. Alipay reports only a running total, so its word triggers a query."""
    refund = db.session.scalar(
        db.select(Refund)
        .where(Refund.out_refund_no == (notice.parsed.get("out_refund_no") or ""))
        .with_for_update()
    )
    if refund is None or refund.order_id != order.id:
        return "quarantined", "unknown_refund"
    if refund.state == "succeeded":
        return "duplicate", ""
    if refund.state in ("closed", "rejected"):  # the credit was given back: a person must look
        return "quarantined", "refund_after_close"
    amount = notice.parsed.get("amount_fen")
    if amount is None:
        refund.next_query_at = now
        return "ignored", "asked_by_query"
    if amount != refund.amount_fen:
        return "quarantined", "amount_mismatch"
    note_refund_state(refund, order, notice.parsed.get("refund_state") or "unknown", now)
    return "settled", ""


def reserve_entries(refund: Refund, order: PaymentOrder) -> list[Entry]:
    """Return the lines that take the money out of the payer's credit before anybody is asked."""
    credit = ledger.credit_account(order.house_id, order.party_id)
    return [Entry(credit, refund.amount_fen), Entry("refund_payable", -refund.amount_fen)]


def note_refund_state(refund: Refund, order: PaymentOrder, state: str, now: datetime) -> None:
    """Move a refund on: succeeded books the outflow, closed gives the credit back."""
    merchant = db.session.get_one(Merchant, order.merchant_id)
    if state == "succeeded":
        refund.state, refund.done_at, refund.next_query_at = "succeeded", now, None
        clearing = f"clearing:{order.channel}:{merchant.name}"
        entries = [Entry("refund_payable", refund.amount_fen), Entry(clearing, -refund.amount_fen)]
        ledger.post(
            company_id=merchant.company_id,
            source_type="refund",
            source_key=refund.out_refund_no,
            entries=entries,
            at=now,
        )
    elif state == "closed":
        refund.state, refund.done_at, refund.next_query_at = "closed", now, None
        back = [
            Entry(e.account, -e.amount, e.bill_id, e.currency)
            for e in reserve_entries(refund, order)
        ]
        ledger.post(
            company_id=merchant.company_id,
            source_type="refund_closed",
            source_key=refund.out_refund_no,
            entries=back,
            at=now,
        )
    else:
        refund.state = state if state in ("processing", "abnormal") else "unknown"
        refund.next_query_at = None if state == "abnormal" else now + _NEXT
        return
    audit.record(
        actor="system:refunds",
        action=f"refund_{state}",
        object=f"refund:{refund.id}",
        at=now,
        company_id=merchant.company_id,
        detail={"amount_fen": refund.amount_fen},
    )
