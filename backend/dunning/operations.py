"""People's side of arrears: planning call tasks, closing them, keeping and breaking promises."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import text

from backend.conduct.holds_sql import BULK_PLAN, HOLDS_IN_FORCE, NOT_HELD, PAYING
from backend.db import db
from backend.reminders import rules

_PLAN = text(
    f"""
    WITH {HOLDS_IN_FORCE},
    act AS (
        SELECT * FROM unnest(CAST(:events AS text[]), CAST(:stages AS text[]),
            CAST(:windows AS text[]), CAST(:names AS text[]), CAST(:froms AS int[]),
            CAST(:tos AS int[])) AS a(event, stage, win, name, from_day, to_day)),
    oldest AS (
        SELECT b.house_id, b.party_id, min(b.due_date) AS due_date FROM bill b
        WHERE b.community_id = :community AND b.state IN ('open','part_paid')
          AND b.due_date < :today
          AND {NOT_HELD}
        GROUP BY b.house_id, b.party_id)
    INSERT INTO steward_task (community_id, house_id, party_id, kind, stage, window_key, due_day,
                              reason, created_at)
    SELECT :community, o.house_id, o.party_id, 'call', a.stage, a.win || ':' || o.due_date, :today,
           a.name, :now
    FROM oldest o JOIN act a ON (CAST(:today AS date) - o.due_date) BETWEEN a.from_day AND a.to_day
    WHERE NOT EXISTS (SELECT 1 FROM steward_task t WHERE t.house_id = o.house_id
                      AND t.party_id = o.party_id AND t.state = 'open')
    ON CONFLICT DO NOTHING
    """
)


def plan_call_tasks(*, community_id: int, today: date, now: datetime) -> int:
    """Put households whose current act is a call on the worklist (S25, S33)."""
    acts = [a for a in rules.CALENDAR if a.kind == "task" and a.event.startswith("call_")]
    db.session.execute(BULK_PLAN)
    return db.session.execute(
        _PLAN,
        {
            "events": [a.event for a in acts],
            "stages": [a.stage for a in acts],
            "windows": [a.window for a in acts],
            "names": [a.name_zh for a in acts],
            "froms": [a.from_day for a in acts],
            "tos": [a.to_day for a in acts],
            "community": community_id,
            "today": today,
            "now": now,
        },
    ).rowcount


def after_payment(*, house_ids: Collection[int], day: date, now: datetime) -> None:
    """Close tasks of households without overdue principal; judge promises the payment meets.

    day: today, whatever day the money is dated: what fell due since still needs its call.
    """
    db.session.execute(
        text(
            """
            UPDATE steward_task t SET state = 'cancelled', closed_at = :now
            WHERE t.house_id = ANY(:ids) AND t.state = 'open' AND NOT EXISTS (
                SELECT 1 FROM bill b WHERE b.house_id = t.house_id AND b.party_id = t.party_id
                  AND b.open_fen > 0 AND NOT b.reversed AND b.due_date < :day)
            """
        ),
        {"ids": list(house_ids), "now": now, "day": day},
    )
    keep_promises(house_ids=house_ids, now=now)


def keep_promises(*, house_ids: Collection[int], now: datetime) -> None:
    """Mark promises kept once the promised amount came in: no hold, no reminder more (C71).

    A promise already called broken is kept after all when the money is dated by its day: its
    callback was lost, and the owner shall not be called for a word that was kept.
    """
    db.session.execute(
        text(
            """
            WITH kept AS (
                UPDATE promise p SET state = 'kept', closed_at = :now
                WHERE p.state IN ('open','broken') AND p.house_id = ANY(:ids)
                  AND (SELECT coalesce(sum(e.amount_fen), 0) FROM principal_event e
                       JOIN bill b ON b.id = e.bill_id JOIN journal j ON j.id = e.journal_id
                       WHERE b.house_id = p.house_id AND b.party_id = p.party_id
                         AND e.kind IN ('payment','credit') AND e.id > p.after_event_id
                         AND (p.state = 'open' OR e.day <= p.day))
                      >= least(p.amount_fen, p.open_at_start_fen)
                RETURNING p.id, p.house_id, p.party_id, p.hold_id),
            closed AS (
                UPDATE steward_task t SET state = 'cancelled', closed_at = :now
                FROM kept k WHERE t.house_id = k.house_id AND t.party_id = k.party_id
                  AND t.kind = 'promise_broken' AND t.window_key = 'promise:' || k.id
                  AND t.state = 'open'),
            silenced AS (
                UPDATE message m SET state = 'suppressed', reason_code = 'promise_kept'
                FROM kept k WHERE m.house_id = k.house_id AND m.party_id = k.party_id
                  AND m.state = 'planned' AND m.stage = 'promise'
                  AND m.window_key = 'promise:' || k.id)
            UPDATE hold SET lifted_at = :now, lifted_by = 'promise kept'
            WHERE id IN (SELECT hold_id FROM kept) AND lifted_at IS NULL
            """
        ),
        {"ids": list(house_ids), "now": now},
    )


_PAYING = f"""EXISTS (SELECT 1 FROM bill b WHERE b.house_id = p.house_id
                     AND b.party_id = p.party_id AND {PAYING})"""


def promises_waiting(*, community_id: int, today: date) -> int:
    """Return how many promises of passed days wait for a payment that is on its way."""
    return db.session.scalar(
        text(
            "SELECT count(*) FROM promise p "
            f"WHERE p.state = 'open' AND p.community_id = :c AND p.day < :today AND {_PAYING}"
        ),
        {"c": community_id, "today": today},
    )


def break_promises(*, community_id: int, today: date, now: datetime) -> int:
    """Break promises whose day passed unpaid: lift the hold, put the household back on the list.

    Money on its way counts as paid until the platform has said otherwise: such a promise stays
    open (`promises_waiting`).
    """
    return db.session.execute(
        text(
            f"""
            WITH broken AS (
                UPDATE promise p SET state = 'broken', closed_at = :now
                WHERE p.state = 'open' AND p.community_id = :c AND p.day < :today
                  AND NOT {_PAYING}
                RETURNING p.id, p.house_id, p.party_id, p.hold_id, p.day),
            lifted AS (
                UPDATE hold SET lifted_at = :now, lifted_by = 'promise broken'
                WHERE id IN (SELECT hold_id FROM broken) AND lifted_at IS NULL),
            closed AS (
                UPDATE steward_task t SET state = 'cancelled', closed_at = :now
                FROM broken b WHERE t.house_id = b.house_id AND t.party_id = b.party_id
                  AND t.state = 'open')
            INSERT INTO steward_task (community_id, house_id, party_id, kind, stage, window_key,
                                      due_day, reason, created_at)
            SELECT :c, house_id, party_id, 'promise_broken', 'promise', 'promise:' || id, :today,
                   '承诺 ' || day || ' 缴费未到账', :now
            FROM broken ON CONFLICT DO NOTHING
            """
        ),
        {"c": community_id, "today": today, "now": now},
    ).rowcount
