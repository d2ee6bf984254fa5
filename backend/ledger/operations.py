"""Posting: one journal, all its lines in one INSERT, once per source.

Account names and what kind they are: docs/operations.md. Only accounts that may not go below
zero carry a floor (credit, prepaid, points); the others never lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import insert, text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from backend.db import db
from backend.ledger.models import Account, Journal, Posting

_FLOORED = ("credit:", "prepaid:", "points:")


class Entry(NamedTuple):
    """One line: account code, amount (debit > 0, fen or points), bill, currency."""

    account: str
    amount: int
    bill_id: int | None = None
    currency: str = "CNY"


def account_ids(*, company_id: int, keys: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return ids of (code, currency) accounts of a company, opening the missing ones at zero."""
    found = _select(company_id, keys)
    missing = sorted(keys - found.keys())
    if missing:
        rows = [
            {
                "company_id": company_id,
                "code": code,
                "currency": currency,
                "sign": -1 if code.startswith(_FLOORED) else 1,
                "min_balance": 0 if code.startswith(_FLOORED) else None,
            }
            for code, currency in missing
        ]
        db.session.execute(pg_insert(Account).values(rows).on_conflict_do_nothing())
        found |= _select(company_id, set(missing))
    return found


def _select(company_id: int, keys: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    rows = db.session.execute(
        db.select(Account.code, Account.currency, Account.id).where(
            Account.company_id == company_id, Account.code.in_({code for code, _ in keys})
        )
    )
    return {(r.code, r.currency): r.id for r in rows if (r.code, r.currency) in keys}


def post(
    *,
    company_id: int,
    source_type: str,
    source_key: str,
    entries: Sequence[Entry],
    at: datetime,
    reverses: int | None = None,
) -> int:
    """Write one balanced journal and return its id.

    Zero entries are left out. Raises IntegrityError when the source was booked before, when a
    currency does not sum to zero, or when a floored account would go below zero.
    """
    lines = [entry for entry in entries if entry.amount]
    ids = account_ids(company_id=company_id, keys={(e.account, e.currency) for e in lines})
    journal_id = db.session.execute(
        insert(Journal)
        .values(
            company_id=company_id,
            source_type=source_type,
            source_key=source_key,
            posted_at=at,
            reverses=reverses,
        )
        .returning(Journal.id)
    ).scalar_one()
    db.session.execute(
        insert(Posting).values(
            [
                {
                    "journal_id": journal_id,
                    "line": number,
                    "account_id": ids[(entry.account, entry.currency)],
                    "bill_id": entry.bill_id,
                    "currency": entry.currency,
                    "amount": entry.amount,
                }
                for number, entry in enumerate(lines, start=1)
            ]
        )
    )
    return journal_id


def credit_account(house_id: int, party_id: int) -> str:
    """Return the code of a party's credit at a house (A45: it belongs to the party there)."""
    return f"credit:{house_id}:{party_id}"


def points_account(party_id: int) -> str:
    """Return the code of a party's points account."""
    return f"points:{party_id}"


def balance(*, company_id: int, code: str, currency: str = "CNY") -> int:
    """Return the natural balance of a floored account, 0 if it was never opened."""
    return (
        db.session.scalar(
            db.select(Account.balance).where(
                Account.company_id == company_id,
                Account.code == code,
                Account.currency == currency,
            )
        )
        or 0
    )


def credits_of_houses(*, company_id: int, house_ids: Sequence[int]) -> dict[tuple[int, int], int]:
    """Return {(house, party): fen} of the positive credits at these houses."""
    rows = db.session.execute(
        text(
            # ';' follows ':' in the C collation: a range of the index per house, no scan
            "SELECT h.id AS h, split_part(a.code, ':', 3)::bigint AS p, a.balance"
            " FROM unnest(CAST(:ids AS bigint[])) AS h(id) JOIN account a ON a.company_id = :c"
            " AND a.code >= 'credit:' || h.id || ':' AND a.code < 'credit:' || h.id || ';'"
            " WHERE a.currency = 'CNY' AND a.balance > 0"
        ),
        {"c": company_id, "ids": list(house_ids)},
    )
    return {(row.h, row.p): row.balance for row in rows}
