"""Planning and cancelling messages. A message row is one attempt; its task says when (tasks.py).

Who receives it, on which channel and with which text is decided at the last moment, under the
house account's lock (`backend.usecases.send_message`); until then `channel` is 'auto'.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import text

from backend import tasks
from backend.clock import SHANGHAI
from backend.conduct.holds_sql import BULK_PLAN, HOLDS_IN_FORCE, NOT_HELD
from backend.db import db
from backend.reminders import rules
from backend.reminders.models import Message, MessageBill

SENT_KINDS = ("bill", "reminder", "dunning", "promise")


def new_out_id() -> str:
    """Return our id of one message: goes out with it, so that the vendor can be asked by it."""
    return "M" + secrets.token_hex(14)


def plan_message(
    *,
    community_id: int,
    house_id: int,
    party_id: int,
    kind: str,
    event: str,
    stage: str,
    window_key: str,
    bill_ids: Sequence[int],
    due_at: datetime,
    data: dict[str, Any] | None = None,
    valid_until: datetime | None = None,
    tried: Sequence[str] = (),
) -> int:
    """Add one planned message with its task; return its id.

    Raises IntegrityError when a live message of the same (bill, stage, window) exists.
    """
    message = Message(
        community_id=community_id,
        house_id=house_id,
        party_id=party_id,
        kind=kind,
        event=event,
        stage=stage,
        window_key=window_key,
        channel="auto",
        tried=list(tried),
        out_id=new_out_id(),
        data=data or {},
        due_at=due_at,
        valid_until=valid_until,
    )
    db.session.add(message)
    db.session.flush()
    for bill_id in bill_ids:
        db.session.add(
            MessageBill(message_id=message.id, bill_id=bill_id, stage=stage, window_key=window_key)
        )
    db.session.flush()
    tasks.plan(
        queue="messages",
        kind="send_message",
        dedupe_key=str(message.id),
        due_at=due_at,
        payload={"message_id": message.id},
        community_id=community_id,
    )
    return message.id


def cancel_for_paid_bills(bill_ids: Collection[int]) -> int:
    """Suppress planned messages whose bills are all paid now; return how many (S15)."""
    if not bill_ids:
        return 0
    return db.session.execute(
        text(
            """
            UPDATE message m SET state = 'suppressed', reason_code = 'paid'
            WHERE m.state = 'planned' AND m.kind = ANY(:kinds)
              AND m.id IN (SELECT message_id FROM message_bill WHERE bill_id = ANY(:ids) AND live)
              AND NOT EXISTS (SELECT 1 FROM message_bill mb JOIN bill b ON b.id = mb.bill_id
                              WHERE mb.message_id = m.id AND b.open_fen > 0 AND NOT b.reversed)
            """
        ),
        {"ids": list(bill_ids), "kinds": list(SENT_KINDS)},
    ).rowcount


_PLAN = text(
    f"""
    WITH {HOLDS_IN_FORCE},
    act AS (
        SELECT * FROM unnest(CAST(:events AS text[]), CAST(:stages AS text[]),
            CAST(:windows AS text[]), CAST(:froms AS int[]), CAST(:tos AS int[]))
            AS a(event, stage, win, from_day, to_day)),
    due AS (
        SELECT b.id AS bill_id, b.house_id, b.party_id, b.due_date, a.event, a.stage, a.win,
               a.win || ':' || b.due_date AS window_key, a.to_day
        FROM bill b JOIN act a ON (CAST(:today AS date) - b.due_date)
            BETWEEN a.from_day AND a.to_day
        WHERE b.community_id = :community AND b.state IN ('open','part_paid')
          AND NOT (a.from_day < 0 AND b.due_date + a.from_day <= b.issued_on)
          AND NOT EXISTS (
              SELECT 1 FROM message_bill mb JOIN message m ON m.id = mb.message_id
              WHERE mb.bill_id = b.id AND mb.stage = a.stage
                AND mb.window_key = a.win || ':' || b.due_date
                AND (mb.live OR m.reason_code IN ('no_channel','stop')))
          AND {NOT_HELD}),
    grouped AS (
        SELECT house_id, party_id, event, stage, min(window_key) AS window_key,
               min(due_date + to_day) AS last_day
        FROM due GROUP BY house_id, party_id, event, stage),
    new_message AS (
        INSERT INTO message (community_id, house_id, party_id, kind, event, stage, window_key,
                             channel, out_id, due_at, valid_until)
        SELECT :community, house_id, party_id,
               CASE WHEN stage = 'S23' THEN 'bill' ELSE 'reminder' END, event, stage, window_key,
               'auto', 'M' || replace(gen_random_uuid()::text, '-', ''), :due_at,
               CAST(last_day + 1 AS timestamp) AT TIME ZONE 'Asia/Shanghai'
        FROM grouped RETURNING id, house_id, party_id, event, stage),
    bound AS (
        INSERT INTO message_bill (message_id, bill_id, stage, window_key)
        SELECT n.id, d.bill_id, d.stage, d.window_key FROM due d
        JOIN new_message n USING (house_id, party_id, event, stage)),
    queued AS (
        INSERT INTO task (queue, kind, dedupe_key, community_id, payload, due_at)
        SELECT 'messages', 'send_message', id::text, :community,
               jsonb_build_object('message_id', id), :due_at FROM new_message)
    SELECT count(*) FROM new_message
    """
)


def plan_reminders(*, community_id: int, today: date, due_at: datetime) -> int:
    """Plan the message acts of the calendar due today for one community, set-based.

    One message per (house, liable party, act), covering all its bills of that act; only the
    current act of each bill, so missed days never make a burst (S23, S24, design 4.9).
    """
    acts = [a for a in rules.CALENDAR if a.kind == "message"]
    db.session.execute(BULK_PLAN)
    return db.session.execute(
        _PLAN,
        {
            "events": [a.event for a in acts],
            "stages": [a.stage for a in acts],
            "windows": [a.window for a in acts],
            "froms": [a.from_day for a in acts],
            "tos": [a.to_day for a in acts],
            "community": community_id,
            "today": today,
            "due_at": due_at,
        },
    ).scalar_one()


def plan_issue_notices(*, bill_run_id: int, due_at: datetime) -> int:
    """Plan 'your bill is out' for every household of a run that owes something (S11).

    A run whose due day is over gets none: the overdue acts have taken over (design 4.9).
    """
    db.session.execute(BULK_PLAN)
    return db.session.execute(
        text(
            """
            WITH grouped AS (
                SELECT community_id, house_id, party_id, array_agg(id) AS bills,
                       min(due_date) AS due FROM bill
                WHERE bill_run_id = :run AND open_fen > 0
                GROUP BY community_id, house_id, party_id),
            new_message AS (
                INSERT INTO message (community_id, house_id, party_id, kind, event, stage,
                                     window_key, channel, out_id, due_at, valid_until)
                SELECT community_id, house_id, party_id, 'bill', 'bill_issued', 'S11',
                       'run:' || :run, 'auto', 'M' || replace(gen_random_uuid()::text, '-', ''),
                       :due_at, CAST(due + 1 AS timestamp) AT TIME ZONE 'Asia/Shanghai'
                FROM grouped g
                WHERE CAST(due + 1 AS timestamp) AT TIME ZONE 'Asia/Shanghai' > :due_at
                  AND NOT EXISTS (
                    SELECT 1 FROM message m WHERE m.house_id = g.house_id
                      AND m.party_id = g.party_id AND m.event = 'bill_issued'
                      AND m.window_key = 'run:' || :run)
                RETURNING id, community_id, house_id, party_id),
            bound AS (
                INSERT INTO message_bill (message_id, bill_id, stage, window_key)
                SELECT n.id, unnest(g.bills), 'S11', 'run:' || :run FROM new_message n
                JOIN grouped g USING (house_id, party_id)),
            queued AS (
                INSERT INTO task (queue, kind, dedupe_key, community_id, payload, due_at)
                SELECT 'messages', 'send_message', id::text, community_id,
                       jsonb_build_object('message_id', id), :due_at FROM new_message)
            SELECT count(*) FROM new_message
            """
        ),
        {"run": bill_run_id, "due_at": due_at},
    ).scalar_one()


def start_of_day(day: date, hour: int = 9) -> datetime:
    """Return an hour of a business date as an aware instant (message window opens at 9, C15)."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=SHANGHAI)
