"""A steward's list: open tasks of his buildings that are due, with what a call needs (S31, S33).

A snapshot with its as-of time: households without open principal are left out, and whether a
contact is allowed is asked again when it happens (design 4.7). Constant query count.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import text

from backend import clock
from backend.conduct import queries as conduct
from backend.db import db
from backend.estate.rules import mask_name
from backend.identity.scope import Scope
from backend.money import yuan_text
from backend.reminders.operations import start_of_day
from backend.reports import texts
from backend.reports.paging import PAGE, big, decode, page

_OPEN = """
    FROM steward_task t
    JOIN house h ON h.id = t.house_id
    JOIN LATERAL (
        SELECT sum(b.open_fen) AS open_fen, min(b.due_date) AS due_date, count(*) AS bills
        FROM bill b WHERE b.house_id = t.house_id AND b.party_id = t.party_id
          AND b.state IN ('open','part_paid')) o ON o.bills > 0
"""


def list_worklist(
    scope: Scope, *, cursor: str | None = None, building_id: int | None = None, limit: int = PAGE
) -> dict[str, Any]:
    """Return {items, as_of, next_cursor, counts} of tasks due today or before, oldest first.

    building_id: only this building; one outside the scope shows nothing. Raises `bad_cursor`.
    """
    now, today = clock.business_now(), clock.business_today()
    after = decode(cursor, date.fromisoformat, big) or (date.min, 0)
    where, params = _scope_of(scope, building_id)
    params |= {"today": today, "after_day": after[0], "after_id": after[1], "limit": limit + 1}
    rows = db.session.execute(text(_items_sql(where)), params).all()
    shown, next_cursor = page(rows, limit, lambda row: (row.due_day.isoformat(), row.task_id))
    allowed = _permissions(shown, now)
    return {
        "items": [_item(row, today, allowed[row.task_id]) for row in shown],
        "as_of": now,
        "next_cursor": next_cursor,
        "counts": _counts(where, params, today),
    }


def _scope_of(scope: Scope, building_id: int | None) -> tuple[str, dict[str, Any]]:
    where, params = scope.where("h"), dict(scope.params)
    if building_id is not None:
        where, params["building"] = f"{where} AND h.building_id = :building", building_id
    return where, params


def _items_sql(where: str) -> str:
    return f"""
        SELECT t.id AS task_id, t.kind, t.stage, t.due_day, t.reason, t.house_id, t.party_id,
               h.code, c.name AS community, p.name AS party, o.open_fen, o.due_date, o.bills,
               l.at AS last_at, l.kind AS last_kind, l.result AS last_result
        {_OPEN}
        JOIN community c ON c.id = t.community_id
        JOIN party p ON p.id = t.party_id
        LEFT JOIN LATERAL (
            SELECT k.at, k.kind, k.result FROM contact k
            WHERE k.house_id = t.house_id AND k.party_id = t.party_id
            ORDER BY k.at DESC, k.id DESC LIMIT 1) l ON true
        WHERE t.state = 'open' AND t.due_day <= :today AND {where}
          AND (t.due_day, t.id) > (:after_day, :after_id)
        ORDER BY t.due_day, t.id LIMIT :limit
    """


def _permissions(rows: list[Any], now: Any) -> dict[int, conduct.Permission]:
    """One answer per task, for its own kind of contact."""
    pairs = {(row.house_id, row.party_id) for row in rows}
    found = conduct.permissions(pairs, kinds=("call", "visit"), at=now)
    return {
        row.task_id: found[(row.house_id, row.party_id, _contact_kind(row.kind))] for row in rows
    }


def _contact_kind(task_kind: str) -> str:
    return "visit" if task_kind == "visit" else "call"


def _item(row: Any, today: date, allowed: conduct.Permission) -> dict[str, Any]:
    last = row.last_at and {
        "at": row.last_at,
        "kind_text": texts.KIND[row.last_kind],
        "result_text": texts.RESULT[row.last_result],
    }
    return {
        "task_id": row.task_id,
        "kind": row.kind,
        "kind_text": texts.KIND[row.kind],
        "stage": row.stage,
        "stage_text": texts.STAGE.get(row.stage, row.stage),
        "due_day": row.due_day,
        "reason": row.reason,
        "house_id": row.house_id,
        "house_code": row.code,
        "community_name": row.community,
        "party_id": row.party_id,
        "party_name": mask_name(row.party),
        "open_fen": int(row.open_fen),
        "open_text": yuan_text(int(row.open_fen)),
        "overdue_days": max(0, (today - row.due_date).days),
        "bill_count": row.bills,
        "last_contact": last or None,
        "contact_allowed": allowed.as_json(),
    }


def _counts(where: str, params: dict[str, Any], today: date) -> dict[str, int]:
    """open: due and not done; done_today: done since the business midnight, in the same scope."""
    row = db.session.execute(
        text(
            f"""
            SELECT (SELECT count(*) {_OPEN}
                    WHERE t.state = 'open' AND t.due_day <= :today AND {where}) AS open,
                   (SELECT count(*) FROM steward_task t JOIN house h ON h.id = t.house_id
                    WHERE t.state = 'done' AND t.closed_at >= :midnight AND {where}) AS done
            """
        ),
        {**params, "midnight": start_of_day(today, hour=0)},
    ).one()
    return {"open": row.open, "done_today": row.done}
