"""One batch of a bill run: which standards apply, the set-based statement, the careful rest.

Plain way (SQL): houses whose fee assignment, liable party and price hold for the whole period.
Careful way (`issuing_rules`): houses with a hand-over, a tariff change or a fee that starts or
ends inside the period; their lines come from the pure rules (M3) and are written by a statement
and a journal of their own in the same transaction.
A house and fee item already billed for an overlapping period is left out, so a run can be
repeated and nobody is charged twice (C43).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import text

from backend.billing.issuing_rules import slow_lines
from backend.billing.issuing_sql import (
    BULK_PLAN,
    CAREFUL_PAIRS,
    COUNT_UNBILLABLE,
    NEGATIVE_BILLS,
    NEXT_HOUSES,
    WRITE_CAREFUL,
    WRITE_PLAIN,
)
from backend.billing.models import BillRun
from backend.billing.queries import bill_details, bills_by_id, line_formula
from backend.db import db
from backend.fees.formula import months_text
from backend.fees.models import FeeStandard
from backend.ledger import operations as ledger
from backend.ledger.operations import account_ids
from backend.money import yuan_text
from backend.periods import MONTH_PARTS, month_parts_between, months_between

SAMPLE = 5
MIN_TERM = timedelta(days=10)
"""A bill issued late is never due earlier than its issue date plus the usual term, 5th to 15th."""


@dataclass(frozen=True)
class Batch:
    """What one batch added."""

    last_house_id: int
    houses: int
    bills: int
    total_fen: int


def months_of(period_from: date, period_to: date) -> int | None:
    """Return the whole number of cycle months of a period, None if it is not whole."""
    months = months_between(period_from, period_to, anchor_day=period_from.day)
    return int(months) if months.denominator == 1 else None


def published_standards(community_id: int, period_from: date, period_to: date) -> list[FeeStandard]:
    """Return the published versions that touch the period and whose cycle it is.

    A period of n whole months bills standards of an n-month cycle; a part of a month bills the
    monthly ones (M2).
    """
    cycle = months_of(period_from, period_to) or 1
    return list(
        db.session.scalars(
            db.select(FeeStandard)
            .where(
                FeeStandard.community_id == community_id,
                FeeStandard.published_at.is_not(None),
                FeeStandard.cycle_months == cycle,
                text("effective && daterange(:f, :t)").bindparams(f=period_from, t=period_to),
            )
            .order_by(FeeStandard.code, FeeStandard.version)
        )
    )


def count_houses(community_id: int) -> int:
    """Return how many houses a run looks at."""
    return db.session.scalar(
        text("SELECT count(*) FROM house WHERE community_id = :c"), {"c": community_id}
    )


def due_date(
    standard: FeeStandard, period_from: date, issued: date, workday: Callable[[date], bool]
) -> date:
    """Return the due date: due_day of the period's first month, moved to a working day (A28)."""
    month_end = (period_from.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    due = period_from.replace(day=min(standard.due_day, month_end.day))
    due = max(due, issued + MIN_TERM)
    while not workday(due):
        due += timedelta(days=1)
    return due


def issue_batch(
    run: BillRun, *, limit: int, at: datetime, workday: Callable[[date], bool]
) -> Batch | None:
    """Issue the next `limit` houses of a run; None when no house is left. The caller commits."""
    head = db.session.execute(
        NEXT_HOUSES,
        {"community": run.community_id, "after": run.last_house_id, "limit": limit},
    ).one()
    if not head.houses:
        return None
    db.session.execute(BULK_PLAN)
    standards = published_standards(run.community_id, run.period_from, run.period_to)
    prices = _price_rows(standards, run, workday)
    base = _write_values(run, upto=head.last_id, at=at)
    plain = db.session.execute(WRITE_PLAIN, base | _price_arrays(prices)).one()
    bills, total_fen = plain.bills, plain.total_fen
    if plain.careful_houses:
        lines = _careful_lines(run, plain, standards, prices)
        own_key = {"batch": f"{base['batch']}:careful"}
        rest = db.session.execute(WRITE_CAREFUL, base | own_key | _line_arrays(lines)).one()
        bills, total_fen = bills + rest.bills, total_fen + rest.total_fen
        _credit_negative(run, sorted({line["house_id"] for line in lines}), base["company"], at)
    return Batch(head.last_id, head.houses, bills, total_fen)


def _credit_negative(run: BillRun, houses: list[int], company_id: int, at: datetime) -> None:
    """Turn bills whose sum is negative into credit of their party (A08); few, one journal each."""
    values = {"run": run.id, "houses": houses, "company": company_id}
    for bill in db.session.execute(NEGATIVE_BILLS, values).all():
        ledger.post(
            company_id=company_id,
            source_type="bill_credit",
            source_key=str(bill.id),
            entries=[
                ledger.Entry(f"income:{bill.item}", bill.fen),
                ledger.Entry(ledger.credit_account(bill.house_id, bill.party_id), -bill.fen),
            ],
            at=at,
        )


def _price_rows(
    standards: Sequence[FeeStandard], run: BillRun, workday: Callable[[date], bool]
) -> dict[int, dict[str, Any]]:
    """Return per standard what the statement needs: months as a whole number of parts (M2)."""
    return {
        s.id: {
            "parts": month_parts_between(run.period_from, run.period_to, anchor_day=s.anchor_day),
            "months_text": months_text(run.period_from, run.period_to, anchor_day=s.anchor_day),
            "due": due_date(s, run.period_from, run.issue_date, workday),
            "whole": s.effective.lower <= run.period_from
            and (s.effective.upper is None or s.effective.upper >= run.period_to),
        }
        for s in standards
    }


def _codes(standards: Sequence[FeeStandard]) -> dict[str, Any]:
    return {"codes": sorted({s.code for s in standards})}


def _price_arrays(prices: dict[int, dict[str, Any]]) -> dict[str, Any]:
    return {
        "std": list(prices),
        "month_parts": MONTH_PARTS,
        **{
            name: [price[name] for price in prices.values()]
            for name in ("parts", "months_text", "due", "whole")
        },
    }


def _careful_lines(
    run: BillRun, plain: Any, standards: Sequence[FeeStandard], prices: dict[int, dict[str, Any]]
) -> list[dict[str, Any]]:
    pairs = db.session.execute(
        CAREFUL_PAIRS,
        {
            "houses": plain.careful_houses,
            "items": plain.careful_items,
            "pf": run.period_from,
            "pt": run.period_to,
            **_codes(standards),
        },
    ).all()
    return slow_lines(pairs, standards, run.period_from, run.period_to, prices)


_LINE = ("house_id", "party_id", "fee_item_id", "standard_id", "pf", "pt", "area", "rate",
         "surcharge", "fixed", "quantity", "months", "months_text", "fen", "due")  # fmt: skip


def _line_arrays(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the careful lines column by column."""
    return {f"x_{name}": [line[name] for line in lines] for name in _LINE}


def _write_values(run: BillRun, *, upto: int, at: datetime) -> dict[str, Any]:
    """Return what both statements take: the range, the run, the accounts."""
    company_id, payee_id, items = _accounts(run.community_id)
    incomes = {item: account for item, account in items.items() if isinstance(item, int)}
    return {
        "community": run.community_id,
        "pf": run.period_from,
        "pt": run.period_to,
        "after": run.last_house_id,
        "upto": upto,
        "run": run.id,
        "batch": f"{run.id}:{upto}:{run.bills}",
        "company": company_id,
        "payee": payee_id,
        "issued": run.issue_date,
        "at": at,
        "receivable": items["receivable"],
        "income_item": list(incomes),
        "income_account": list(incomes.values()),
    }


def _accounts(community_id: int) -> tuple[int, int, dict[Any, int]]:
    """Return company, payee and account ids: {'receivable': id, fee_item_id: income account}."""
    head = db.session.execute(
        text("SELECT company_id, payee_id FROM community WHERE id = :c"), {"c": community_id}
    ).one()
    fee_items = db.session.execute(
        text("SELECT id, code FROM fee_item WHERE community_id = :c"), {"c": community_id}
    ).all()
    names = {("receivable", "CNY")} | {(f"income:{i.code}", "CNY") for i in fee_items}
    ids = account_ids(company_id=head.company_id, keys=names)
    accounts: dict[Any, int] = {"receivable": ids[("receivable", "CNY")]}
    accounts |= {i.id: ids[(f"income:{i.code}", "CNY")] for i in fee_items}
    return head.company_id, head.payee_id, accounts


def unbillable(community_id: int, period_from: date, period_to: date) -> list[dict[str, str]]:
    """Return houses that carry a fee but have nobody liable or no price then (at most 50)."""
    standards = published_standards(community_id, period_from, period_to)
    rows = db.session.execute(
        COUNT_UNBILLABLE,
        {"community": community_id, "pf": period_from, "pt": period_to, **_codes(standards)},
    )
    return [{"house_code": r.code, "reason_zh": r.reason} for r in rows]


def sample_bills(run_id: int, *, added: int) -> list[dict[str, Any]]:
    """Return up to SAMPLE of the `added` newest bills of a run, with formula, for the preview."""
    ids = db.session.scalars(
        text("SELECT id FROM bill WHERE bill_run_id = :r ORDER BY id DESC LIMIT :n"),
        {"r": run_id, "n": min(SAMPLE, added)},
    ).all()
    details = bill_details(ids)
    return [
        {
            "house_code": details[bill.id]["house_code"],
            "fee_name": details[bill.id]["fee_name"],
            "formula": "；".join(
                line_formula(line, anchor) for line, _, _, anchor in details[bill.id]["lines"]
            ),
            "due_fen": bill.due_fen,
            "due_text": yuan_text(bill.due_fen),
            "due_date": bill.due_date,
        }
        for bill in bills_by_id(ids)
    ]
