"""The overview: communities with what is open, overdue and collected this year (C76, S68).

收缴率 = collected ÷ receivable of bills whose period begins in the current year; waived amounts
are not receivable. A rate is cut, never rounded up: 100% means that nothing is missing.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import text

from backend import clock
from backend.db import db
from backend.identity.scope import Scope

NO_RATE = "—"


def list_communities(scope: Scope) -> dict[str, Any]:
    """Return {items} of the communities with houses in the scope, by code; one query."""
    today = clock.business_today()
    rows = db.session.execute(
        text(
            f"""
            WITH mine AS (
                SELECT h.id, h.community_id FROM house h WHERE {scope.where("h")}),
            counted AS (
                SELECT community_id, count(*) AS houses FROM mine GROUP BY community_id),
            money AS (
                SELECT m.community_id, sum(b.open_fen) AS open_fen,
                    sum(b.open_fen) FILTER (WHERE b.due_date < :today) AS overdue_fen,
                    sum(b.paid_fen + b.credited_fen)
                        FILTER (WHERE b.period_from BETWEEN :first AND :last) AS collected_fen,
                    sum(b.due_fen - b.waived_fen)
                        FILTER (WHERE b.period_from BETWEEN :first AND :last) AS receivable_fen
                FROM mine m JOIN bill b ON b.house_id = m.id
                WHERE NOT b.reversed GROUP BY m.community_id)
            SELECT c.id, c.code, c.name, n.houses, coalesce(m.open_fen, 0) AS open_fen,
                   coalesce(m.overdue_fen, 0) AS overdue_fen,
                   coalesce(m.collected_fen, 0) AS collected_fen,
                   coalesce(m.receivable_fen, 0) AS receivable_fen
            FROM counted n JOIN community c ON c.id = n.community_id
            LEFT JOIN money m ON m.community_id = c.id
            ORDER BY c.code, c.id
            """
        ),
        {
            **scope.params,
            "today": today,
            "first": date(today.year, 1, 1),
            "last": date(today.year, 12, 31),
        },
    )
    return {"items": [_item(row) for row in rows]}


def rate_text(collected: int, receivable: int) -> str:
    """Return "85.3%", cut to one decimal; "—" when nothing was receivable."""
    if receivable <= 0:
        return NO_RATE
    thousandths = collected * 1000 // receivable
    return f"{thousandths // 10}.{thousandths % 10}%"


def _item(row: Any) -> dict[str, Any]:
    collected, receivable = int(row.collected_fen), int(row.receivable_fen)
    return {
        "id": row.id,
        "code": row.code,
        "name": row.name,
        "houses": row.houses,
        "open_fen": int(row.open_fen),
        "overdue_fen": int(row.overdue_fen),
        "collected_fen": collected,
        "collection_rate_text": rate_text(collected, receivable),
    }
