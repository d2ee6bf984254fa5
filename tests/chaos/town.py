"""A town of any size in seconds: houses, people, bills and reminders written set-based.

Needs an application context. Every household has one owner with one mobile number
(`1390000xxxx`, by its number), one open bill of `BILL_FEN`, and, once planned, one reminder.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import text

from backend import clock
from backend.db import db
from backend.estate import privacy
from backend.ledger import operations as ledger
from tests.factories.estate import BILL_FEN, TODAY, Estate, make_estate, make_merchant
from tests.factories.messages import open_channels

DUE_DAYS_AGO = 2  # a quiet day of the calendar: the morning run plans nothing of its own


@dataclass(frozen=True)
class Household:
    """One race track: who lives where, owes what, and which message is about it."""

    number: int
    house_id: int
    party_id: int
    bill_id: int
    phone: str


@dataclass(frozen=True)
class Town:
    """A community, its merchants and its households in order of their number."""

    estate: Estate
    households: list[Household]


_HOUSES = """
    INSERT INTO house (community_id, building_id, code, unit, room, area, occupancy)
    SELECT :community, :building, 'T-' || lpad(n::text, 5, '0'), 'T', n::text, 94.56, 'self'
    FROM generate_series(0, :n - 1) n;
    INSERT INTO house_account (house_id, community_id)
    SELECT id, community_id FROM house WHERE community_id = :community AND unit = 'T';
    INSERT INTO party (company_id, source_key, name)
    SELECT :company, 'T' || n, '张小' || (ARRAY['明','红','刚','丽'])[1 + n % 4]
    FROM generate_series(0, :n - 1) n;
    INSERT INTO ownership (house_id, party_id, valid)
    SELECT h.id, p.id, daterange('2026-01-01', NULL) FROM house h
    JOIN party p ON p.source_key = 'T' || h.room AND p.company_id = :company
    WHERE h.community_id = :community AND h.unit = 'T';
    INSERT INTO liability (house_id, party_id, valid)
    SELECT h.id, p.id, daterange('2026-01-01', NULL) FROM house h
    JOIN party p ON p.source_key = 'T' || h.room AND p.company_id = :company
    WHERE h.community_id = :community AND h.unit = 'T'
"""

_BILLS = """
    INSERT INTO bill (community_id, house_id, party_id, payee_id, fee_item_id, period_from,
                      period_to, due_date, issued_on, due_fen)
    SELECT :community, h.id, l.party_id, :payee, :item, CAST(:first AS date),
           CAST(:first AS date) + interval '1 month', CAST(:due AS date), CAST(:first AS date),
           :fen
    FROM house h JOIN liability l ON l.house_id = h.id
    WHERE h.community_id = :community AND h.unit = 'T' ORDER BY h.id;
    INSERT INTO bill_line (bill_id, line, standard_id, period_from, period_to, area, rate,
                           surcharge, months, months_text, fen)
    SELECT b.id, 1, :standard, b.period_from, b.period_to, 94.56, 1.3, 20, 1, '1', b.due_fen
    FROM bill b WHERE b.community_id = :community AND b.period_from = :first
"""

_JOURNAL = """
    WITH made AS (
        INSERT INTO journal (company_id, source_type, source_key, posted_at)
        VALUES (:company, 'bill_run', 'town:' || :community || ':' || :first, now()) RETURNING id)
    INSERT INTO posting (journal_id, line, account_id, bill_id, currency, amount)
    SELECT made.id, row_number() OVER (), a.id, b.id, 'CNY',
           CASE a.code WHEN 'receivable' THEN b.due_fen ELSE -b.due_fen END
    FROM made, bill b, account a
    WHERE b.community_id = :community AND b.period_from = :first AND a.company_id = :company
      AND a.code IN ('receivable', 'income:WY')
"""

_MESSAGES = """
    WITH made AS (
        INSERT INTO message (community_id, house_id, party_id, kind, event, stage, window_key,
                             channel, out_id, due_at, valid_until)
        SELECT :community, b.house_id, b.party_id, 'reminder', 'overdue_3', 'S24', :window, 'auto',
               'M' || replace(gen_random_uuid()::text, '-', ''), :due_at, :valid_until
        FROM bill b WHERE b.id = ANY(:bills) ORDER BY b.id
        RETURNING id, house_id),
    bound AS (
        INSERT INTO message_bill (message_id, bill_id, stage, window_key)
        SELECT m.id, b.id, 'S24', :window FROM made m JOIN bill b ON b.house_id = m.house_id
        WHERE b.id = ANY(:bills))
    INSERT INTO task (queue, kind, dedupe_key, community_id, payload, due_at)
    SELECT 'messages', 'send_message', id::text, :community,
           jsonb_build_object('message_id', id), :due_at FROM made
"""


def build_town(
    sandbox: Any, *, households: int, code: str = "TOWN", wechatpay: bool = True
) -> Town:
    """Make a community with `households` households, one open bill each, SMS and a merchant."""
    estate = make_estate(code=code, houses=0)
    open_channels(estate, sandbox, channels=("sms",))
    if wechatpay:
        sandbox.post("/_sandbox/apps", kind="miniprogram", name="town-mini")
        make_merchant(estate, sandbox)
    scope = {
        "community": estate.community_id, "company": estate.company_id,
        "building": estate.building_ids[0], "n": households,
    }  # fmt: skip
    _run(_HOUSES, scope)
    _give_phones(estate.company_id)
    add_bills(estate)
    return Town(estate, _households(estate))


def add_bills(estate: Estate, *, first: str = "2026-12-01") -> None:
    """Give every household a bill of the month that begins on `first`, due DUE_DAYS_AGO."""
    _run(
        _BILLS,
        {
            "community": estate.community_id, "payee": estate.payee_id,
            "item": estate.fee_item_id, "standard": estate.standard_id,
            "first": date.fromisoformat(first), "due": TODAY - timedelta(days=DUE_DAYS_AGO),
            "fen": BILL_FEN,
        },
    )  # fmt: skip
    _accounts(estate.company_id)
    _run(
        _JOURNAL,
        {
            "company": estate.company_id, "community": estate.community_id,
            "first": date.fromisoformat(first),
        },
    )  # fmt: skip


def plan_messages(
    town: Town, households: list[Household], *, window: str = "W1", valid_seconds: int | None = None
) -> None:
    """Plan one reminder for each of these households, due now; optionally valid for seconds."""
    now = clock.business_now()
    db.session.execute(
        text(_MESSAGES),
        {
            "community": town.estate.community_id, "window": window,
            "bills": [h.bill_id for h in households], "due_at": now,
            "valid_until": now + timedelta(seconds=valid_seconds) if valid_seconds else None,
        },
    )  # fmt: skip
    db.session.commit()


def _run(statements: str, values: dict[str, Any]) -> None:
    for statement in statements.split(";"):
        used = {k: v for k, v in values.items() if f":{k}" in statement}
        db.session.execute(text(statement), used)
    db.session.commit()


def _accounts(company_id: int) -> None:
    ledger.account_ids(company_id=company_id, keys={("receivable", "CNY"), ("income:WY", "CNY")})
    db.session.commit()


def _give_phones(company_id: int) -> None:
    people = db.session.execute(
        text("SELECT id, substr(source_key, 2)::int FROM party WHERE company_id = :c"),
        {"c": company_id},
    ).all()
    rows = []
    for party_id, number in people:
        phone = f"1390000{number:04d}"
        rows.append(
            {
                "company": company_id, "party": party_id,
                "value": privacy.encrypt(company_id, phone),
                "blind": privacy.blind(company_id, phone),
                "masked": f"{phone[:3]}****{phone[-4:]}",
            }
        )  # fmt: skip
    db.session.execute(
        text(
            "INSERT INTO contact_point (company_id, party_id, kind, value_enc, blind, masked, "
            "source_date) VALUES (:company, :party, 'mobile', :value, :blind, :masked, "
            "'2026-01-01')"
        ),
        rows,
    )
    db.session.commit()


def _households(estate: Estate) -> list[Household]:
    rows = db.session.execute(
        text(
            "SELECT h.room::int AS number, h.id AS house_id, b.party_id, b.id AS bill_id "
            "FROM house h JOIN bill b ON b.house_id = h.id "
            "WHERE h.community_id = :c AND h.unit = 'T' ORDER BY 1"
        ),
        {"c": estate.community_id},
    ).all()
    db.session.rollback()
    return [
        Household(r.number, r.house_id, r.party_id, r.bill_id, f"1390000{r.number:04d}")
        for r in rows
    ]
