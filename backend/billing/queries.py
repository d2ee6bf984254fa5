"""Reading bills and deriving late fee for them: one set of queries for any number of bills."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from backend.billing import late_fee as m7
from backend.billing.models import Bill, BillLine, LateFeeFreeze, PrincipalEvent
from backend.db import db
from backend.estate.models import Community, House
from backend.fees.formula import formula_text
from backend.fees.models import FeeItem, FeeStandard, LateFeeTerms, LprRate

LPR_MULTIPLE = 4  # C9: charged rate = min(contract, 4 × LPR)
COURT_MULTIPLE = Fraction(13, 10)  # C9: the figure shown beside it


RUN_STATE = """CASE WHEN r.state = 'running'
    AND EXISTS (SELECT 1 FROM task t WHERE t.kind = 'bill_run' AND t.state = 'dead'
                AND t.dedupe_key >= r.id || ':' AND t.dedupe_key < r.id || ';')
    AND NOT EXISTS (SELECT 1 FROM task t WHERE t.kind = 'bill_run' AND t.state IN ('ready','leased')
                    AND t.dedupe_key >= r.id || ':' AND t.dedupe_key < r.id || ';')
    THEN 'failed' ELSE r.state END"""
"""SQL: the state of `bill_run r`. It has failed when its task gave up and none goes on with it."""


@dataclass(frozen=True, slots=True)
class BillFee:
    """Late fee of one bill as of a day. accrued: whole life; open: not yet paid or waived; fen."""

    accrued: int
    open: int
    steps: tuple[m7.LateFeeStep, ...]


def open_bills(house_ids: Collection[int]) -> list[Bill]:
    """Return the bills with open principal of these houses, oldest due first."""
    return list(
        db.session.scalars(
            db.select(Bill)
            .where(Bill.house_id.in_(list(house_ids)), Bill.state.in_(("open", "part_paid")))
            .order_by(Bill.due_date, Bill.id)
        )
    )


def payable_bills(house_ids: Collection[int], as_of: date) -> list[Bill]:
    """Return the bills of these houses on which anything can be paid, oldest due first.

    Open principal, or late fee left over on a bill whose principal came in late (M7, M8): such a
    bill is 'paid' and nobody is reminded of it, but its rest is owed.
    """
    late = db.session.scalars(
        db.select(Bill).where(
            Bill.house_id.in_(list(house_ids)),
            Bill.state == "paid",
            db.exists().where(
                PrincipalEvent.bill_id == Bill.id, PrincipalEvent.day > Bill.due_date
            ),
        )
    ).all()
    fees = late_fees(late, as_of)
    found = open_bills(house_ids) + [bill for bill in late if fees[bill.id].open]
    return sorted(found, key=lambda bill: (bill.due_date, bill.id))


def bills_by_id(bill_ids: Collection[int]) -> list[Bill]:
    """Return these bills by due date and id, freshly read."""
    return list(
        db.session.scalars(
            db.select(Bill)
            .where(Bill.id.in_(list(bill_ids)))
            .order_by(Bill.due_date, Bill.id)
            .execution_options(populate_existing=True)
        )
    )


def late_fees(bills: Sequence[Bill], as_of: date) -> dict[int, BillFee]:
    """Return the late fee of each bill as of a business day by the one rule M7.

    At most four queries whatever the number of bills; a bill that is not overdue asks none. Bills
    of an item without terms have no fee (C8).
    """
    if not bills:
        return {}
    terms = _terms({bill.fee_item_id for bill in bills})
    ids = [bill.id for bill in bills if bill.due_date < as_of and bill.fee_item_id in terms]
    changes, freezes = (_changes(ids), _freezes(ids)) if ids else ({}, {})
    result = {}
    for bill in bills:
        clause = terms.get(bill.fee_item_id)
        if clause is None or bill.reversed:
            result[bill.id] = BillFee(0, 0, ())
            continue
        fee = m7.late_fee(
            principal=bill.due_fen,
            due=bill.due_date,
            as_of=as_of,
            terms=clause,
            changes=changes.get(bill.id, ()),
            freezes=freezes.get(bill.id, ()),
        )
        settled = bill.late_fee_paid_fen + bill.late_fee_waived_fen
        result[bill.id] = BillFee(fee.fen, max(0, fee.fen - settled), fee.steps)
    return result


def _terms(fee_item_ids: Collection[int]) -> dict[int, m7.LateFeeTerms]:
    rows = db.session.scalars(
        db.select(LateFeeTerms).where(LateFeeTerms.fee_item_id.in_(list(fee_item_ids)))
    ).all()
    if not rows:
        return {}
    lpr = tuple(
        m7.Ceiling(row.effective_from, Fraction(row.annual) * LPR_MULTIPLE)
        for row in db.session.scalars(db.select(LprRate).order_by(LprRate.effective_from))
    )
    return {
        row.fee_item_id: m7.LateFeeTerms(
            daily_rate=row.contract_daily_rate.normalize(),
            ceilings=lpr if row.ceiling == "lpr4" else None,
            cap_percent=row.cap_percent.normalize(),
            clause_proved=row.notice_proof is not None,
            grace_days=row.grace_days,
            clause_from=row.clause_from,
        )
        for row in rows
    }


def _changes(bill_ids: Collection[int]) -> dict[int, list[m7.PrincipalChange]]:
    changes: dict[int, list[m7.PrincipalChange]] = defaultdict(list)
    rows = db.session.scalars(
        db.select(PrincipalEvent).where(PrincipalEvent.bill_id.in_(list(bill_ids)))
    )
    for row in rows:
        changes[row.bill_id].append(m7.PrincipalChange(row.day, row.kind, row.amount_fen))
    return changes


def _freezes(bill_ids: Collection[int]) -> dict[int, list[m7.Freeze]]:
    freezes: dict[int, list[m7.Freeze]] = defaultdict(list)
    rows = db.session.scalars(
        db.select(LateFeeFreeze).where(
            LateFeeFreeze.bill_id.in_(list(bill_ids)), LateFeeFreeze.voided.is_(False)
        )
    )
    for row in rows:
        freezes[row.bill_id].append(m7.Freeze(row.day_from, row.day_to, row.amount_fen))
    return freezes


def bill_details(bill_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """Return what a bill page shows beside the amounts: names, house label, lines.

    {bill_id: {fee_name, house_code, community_name, lines: [BillLine, standard name, basis]}}
    """
    heads = db.session.execute(
        db.select(Bill.id, FeeItem.name, House.code, Community.name)
        .join(FeeItem, FeeItem.id == Bill.fee_item_id)
        .join(House, House.id == Bill.house_id)
        .join(Community, Community.id == Bill.community_id)
        .where(Bill.id.in_(list(bill_ids)))
    )
    details: dict[int, dict[str, Any]] = {
        row[0]: {"fee_name": row[1], "house_code": row[2], "community_name": row[3], "lines": []}
        for row in heads
    }
    lines = db.session.execute(
        db.select(BillLine, FeeStandard.name, FeeStandard.basis, FeeStandard.anchor_day)
        .join(FeeStandard, FeeStandard.id == BillLine.standard_id)
        .where(BillLine.bill_id.in_(list(bill_ids)))
        .order_by(BillLine.bill_id, BillLine.line)
    )
    for line, name, basis, anchor_day in lines:
        details[line.bill_id]["lines"].append((line, name, basis, anchor_day))
    return details


def line_formula(line: BillLine, anchor_day: int) -> str:
    """Return the sentence by which an owner recomputes a stored line (C53)."""
    return formula_text(
        start=line.period_from,
        end=line.period_to,
        anchor_day=anchor_day,
        area=line.area,
        rate=line.rate,
        surcharge=line.surcharge,
        fixed=line.fixed,
        quantity=line.quantity,
        charged_fen=line.fen,
    )


def court_friendly_annual(day: date) -> Decimal | None:
    """Return 1.3 × LPR in force on a day as a fraction a year, None before the first row (C9)."""
    annual = db.session.scalar(
        db.select(LprRate.annual)
        .where(LprRate.effective_from <= day)
        .order_by(LprRate.effective_from.desc())
        .limit(1)
    )
    return None if annual is None else annual * Decimal("1.3")
