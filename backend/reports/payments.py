"""Payments and bill runs of a company, newest first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from backend.billing.queries import RUN_STATE
from backend.db import db
from backend.errors import NotFound
from backend.identity.scope import Scope
from backend.money import yuan_text
from backend.reports import texts
from backend.reports.paging import PAGE, big, decode, page

_LAST = (2**63 - 1,)


def list_payments(
    scope: Scope, *, state: str | None = None, cursor: str | None = None, limit: int = PAGE
) -> dict[str, Any]:
    """Return {items, next_cursor}; state: only orders in it. One query. Raises `bad_cursor`."""
    after = decode(cursor, big) or _LAST
    rows = db.session.execute(
        text(
            f"""
            SELECT o.id, o.out_trade_no, o.channel, o.state, o.amount_fen, o.house_id, h.code,
                   coalesce(o.paid_at, o.created_at) AS at, c.name AS community,
                   (SELECT coalesce(sum(r.amount_fen), 0) FROM refund r WHERE r.order_id = o.id
                    AND r.state NOT IN ('closed','rejected')) AS refunded_fen
            FROM payment_order o JOIN house h ON h.id = o.house_id
            JOIN community c ON c.id = o.community_id
            WHERE {scope.where("h")} AND o.id < :after
              AND (CAST(:state AS text) IS NULL OR o.state = :state)
            ORDER BY o.id DESC LIMIT :limit
            """
        ),
        {**scope.params, "after": after[0], "state": state, "limit": limit + 1},
    ).all()
    shown, next_cursor = page(rows, limit, lambda row: (row.id,))
    return {"items": [_payment(row) for row in shown], "next_cursor": next_cursor}


def _payment(row: Any) -> dict[str, Any]:
    return {
        "out_trade_no": row.out_trade_no,
        "channel_text": texts.PAY_CHANNEL[row.channel],
        "state": row.state,
        "state_text": texts.ORDER[row.state],
        "amount_fen": row.amount_fen,
        "amount_text": yuan_text(row.amount_fen),
        "refunded_fen": int(row.refunded_fen),
        "at": row.at,
        "house_id": row.house_id,
        "house_code": row.code,
        "community_name": row.community,
    }


_RUNS = f"""
    SELECT r.id, {RUN_STATE} AS state, r.houses_done, r.houses_total, r.bills, r.total_fen,
           r.period_from, r.period_to, r.started_at, r.finished_at, c.name AS community,
           c.id AS community_id
    FROM bill_run r JOIN community c ON c.id = r.community_id WHERE c.company_id = :company
"""


def list_bill_runs(scope: Scope, *, cursor: str | None = None, limit: int = PAGE) -> dict[str, Any]:
    """Return {items, next_cursor} of the company's bill runs. One query. Raises `bad_cursor`."""
    after = decode(cursor, big) or _LAST
    rows = db.session.execute(
        text(f"{_RUNS} AND r.id < :after ORDER BY r.id DESC LIMIT :limit"),
        {"company": scope.company_id, "after": after[0], "limit": limit + 1},
    ).all()
    shown, next_cursor = page(rows, limit, lambda row: (row.id,))
    return {"items": [_run(row) for row in shown], "next_cursor": next_cursor}


def get_bill_run(scope: Scope, run_id: int) -> dict[str, Any]:
    """Return one bill run with its progress. Raises NotFound for another company's."""
    row = db.session.execute(
        text(f"{_RUNS} AND r.id = :id"), {"company": scope.company_id, "id": run_id}
    ).first()
    if row is None:
        raise NotFound("出账批次")
    return _run(row)


def _run(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "houses_done": row.houses_done,
        "houses_total": row.houses_total,
        "bills": row.bills,
        "total_fen": row.total_fen,
        "total_text": yuan_text(row.total_fen),
        "community_id": row.community_id,
        "community_name": row.community,
        "period_from": row.period_from,
        "period_to": row.period_to,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }
