"""How much of one payment still lies unspent in its party's credit (M9, A47)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text

from backend.db import db
from backend.ledger.operations import credit_account
from backend.payments.models import PaymentOrder

# A refund's movements belong to its payment; every other movement out is money used on bills.
_MOVES = text(
    """
    SELECT CASE WHEN j.source_type = 'payment' THEN j.source_key ELSE o.channel_txn END AS payment,
           -sum(p.amount)::bigint AS fen
    FROM account a JOIN posting p ON p.account_id = a.id JOIN journal j ON j.id = p.journal_id
    LEFT JOIN refund r ON j.source_type LIKE 'refund%' AND r.out_refund_no = j.source_key
    LEFT JOIN payment_order o ON o.id = r.order_id
    WHERE a.company_id = :company AND a.code = :code AND a.currency = 'CNY'
    GROUP BY j.id, payment ORDER BY j.id
    """
)


def unspent_credit(order: PaymentOrder, *, company_id: int) -> int:
    """Return the fen of an order's payment that are still credit; the caller holds the house."""
    code = credit_account(order.house_id, order.party_id)
    moves = db.session.execute(_MOVES, {"company": company_id, "code": code})
    return unspent((row.payment, row.fen) for row in moves).get(order.channel_txn, 0)


def unspent(moves: Iterable[tuple[str | None, int]]) -> dict[str | None, int]:
    """Return what is left of each payment's credit, oldest first.

    moves: (payment or None, fen) in booking order; fen > 0 came in, < 0 went out. What went out for
    no payment in particular was taken from the oldest credit.
    """
    left: dict[str | None, int] = {}
    for payment, fen in moves:
        if fen >= 0:
            left[payment] = left.get(payment, 0) + fen
            continue
        for source in ([payment] if payment is not None else []) + list(left):
            taken = min(-fen, left.get(source, 0))
            left[source] = left.get(source, 0) - taken
            fen += taken
    return left
