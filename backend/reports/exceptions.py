"""What waits for a person: notices that fit no order or cannot be settled, dead tasks, messages
and refunds in doubt, refunds that want a second person's word, orders the platform gave no final
word on (nobody asks any more, `payments.operations.query_delay`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from backend.db import db
from backend.identity.scope import Scope
from backend.money import yuan_text
from backend.reports import texts
from backend.reports.paging import PAGE, big, decode, page

_FIRST = (datetime(9999, 1, 1, tzinfo=UTC), "~", 2**63 - 1)

_ALL = text(
    """
    SELECT * FROM (
        SELECT 'quarantined_notice' AS kind, i.id, x.at,
               CASE WHEN i.out_trade_no = '' THEN x.reason
                    ELSE x.reason || ' · ' || i.out_trade_no END AS reason,
               CAST(NULL AS text) AS number, CAST(NULL AS bigint) AS amount_fen,
               CAST(NULL AS text) AS asked_by, CAST(NULL AS text) AS asked_name
        FROM inbox_outcome x JOIN inbox i ON i.id = x.inbox_id
        JOIN merchant m ON m.id = i.merchant_id
        WHERE x.state = 'quarantined' AND m.company_id = :company
        UNION ALL
        SELECT 'unsettled_notice', i.id, i.received_at, i.out_trade_no, NULL, NULL, NULL, NULL
        FROM inbox_pending p JOIN inbox i ON i.id = p.inbox_id
        JOIN merchant m ON m.id = i.merchant_id
        WHERE p.tries >= 5 AND m.company_id = :company
        UNION ALL
        SELECT 'dead_task', t.id, coalesce(t.done_at, t.not_before, t.created_at),
               t.kind || ' · ' || coalesce(t.last_error, ''), NULL, NULL, NULL, NULL
        FROM task t JOIN community c ON c.id = t.community_id
        WHERE t.state = 'dead' AND c.company_id = :company
        UNION ALL
        SELECT 'in_doubt_message', m.id, coalesce(m.begun_at, m.calling_at, m.due_at),
               m.event || ' · ' || coalesce(m.reason_code, ''), NULL, NULL, NULL, NULL
        FROM message m JOIN community c ON c.id = m.community_id
        WHERE m.state = 'in_doubt' AND c.company_id = :company
        UNION ALL
        SELECT 'abnormal_refund', r.id, r.requested_at, r.out_refund_no, NULL, NULL, NULL, NULL
        FROM refund r JOIN payment_order o ON o.id = r.order_id
        JOIN community c ON c.id = o.community_id
        WHERE r.state = 'abnormal' AND c.company_id = :company
        UNION ALL
        SELECT 'waiting_refund', r.id, r.requested_at, r.reason, r.out_refund_no, r.amount_fen,
               r.requested_by, s.name
        FROM refund r JOIN payment_order o ON o.id = r.order_id
        JOIN community c ON c.id = o.community_id
        LEFT JOIN steward s ON r.requested_by = 'steward:' || s.id
        WHERE r.state = 'requested' AND c.company_id = :company
        UNION ALL
        SELECT 'unanswered_order', o.id, coalesce(o.asked_at, o.created_at),
               o.state || ' · ' || o.out_trade_no, NULL, NULL, NULL, NULL
        FROM payment_order o JOIN community c ON c.id = o.community_id
        WHERE o.id IN (SELECT order_id FROM order_bill WHERE live)
          AND o.state IN ('created','pending','unknown','closing') AND o.next_query_at IS NULL
          AND c.company_id = :company) e
    WHERE (e.at, e.kind COLLATE "C", e.id) < (:at, :kind COLLATE "C", :id)
    ORDER BY e.at DESC, e.kind COLLATE "C" DESC, e.id DESC LIMIT :limit
    """
)


def list_exceptions(
    scope: Scope, *, cursor: str | None = None, limit: int = PAGE
) -> dict[str, Any]:
    """Return {items, next_cursor} of the company, newest first; one query. Raises `bad_cursor`."""
    at, kind, id_ = decode(cursor, datetime.fromisoformat, str, big) or _FIRST
    rows = db.session.execute(
        _ALL,
        {
            "company": scope.company_id,
            "at": at,
            "kind": kind,
            "id": id_,
            "limit": limit + 1,
        },
    ).all()
    shown, next_cursor = page(rows, limit, lambda row: (row.at.isoformat(), row.kind, row.id))
    items = [
        {
            "kind": row.kind,
            "kind_text": texts.EXCEPTION[row.kind],
            "id": row.id,
            "at": row.at,
            "reason": row.reason,
            "refund": _refund(scope, row) if row.kind == "waiting_refund" else None,
        }
        for row in shown
    ]
    return {"items": items, "next_cursor": next_cursor}


def _refund(scope: Scope, row: Any) -> dict[str, Any]:
    """What the second person must know; mine: asked for by the caller, who may not approve it."""
    return {
        "out_refund_no": row.number,
        "amount_fen": row.amount_fen,
        "amount_text": yuan_text(row.amount_fen),
        "requested_by": row.asked_name or row.asked_by,
        "mine": row.asked_by == f"steward:{scope.steward_id}",
    }
