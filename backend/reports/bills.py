"""A bill as its owner reads it: what, for when, how computed, how much is open as of today.

One shape for the mini-program, the quick-pay page and the steward's household page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from backend.billing import queries as bills
from backend.billing.models import Bill
from backend.billing.queries import BillFee
from backend.money import decimal_text, yuan_text
from backend.reminders.facts import period_text

STATE_ZH = {"open": "待缴", "part_paid": "部分已缴", "paid": "已缴清", "reversed": "已作废"}
REST_ZH = "本金已缴，违约金待缴"


def bill_views(chosen: Sequence[Bill], *, as_of: date) -> list[dict[str, Any]]:
    """Return bills for people, in the order given; a constant number of queries.

    as_of: business day of the late fee. Amounts in fen with a yuan text beside them. payable_fen
    is open principal plus open late fee; paid and reversed bills have neither.
    """
    fees = bills.late_fees(chosen, as_of)
    details = bills.bill_details([bill.id for bill in chosen])
    return [_view(bill, fees[bill.id], details[bill.id], as_of) for bill in chosen]


def totals(views: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return {open_fen, late_fee_fen, payable_fen, payable_text} of bill views."""
    payable = sum(view["payable_fen"] for view in views)
    return {
        "open_fen": sum(view["open_fen"] for view in views),
        "late_fee_fen": sum(view["late_fee_fen"] for view in views),
        "payable_fen": payable,
        "payable_text": yuan_text(payable),
    }


def payable_totals(chosen: Sequence[Bill], *, as_of: date) -> dict[str, Any]:
    """Return the totals of bills without their texts."""
    fees = bills.late_fees(chosen, as_of)
    amounts = [(b.open_fen, fees[b.id].open) for b in chosen if not b.reversed]
    return totals(
        [
            {"open_fen": open_fen, "late_fee_fen": fee, "payable_fen": open_fen + fee}
            for open_fen, fee in amounts
        ]
    )


def _view(bill: Bill, fee: BillFee, detail: dict[str, Any], as_of: date) -> dict[str, Any]:
    open_fen = 0 if bill.reversed else bill.open_fen
    late = 0 if bill.reversed else fee.open
    overdue = max(0, (as_of - bill.due_date).days) if open_fen else 0
    return {
        "id": bill.id,
        "house_id": bill.house_id,
        "party_id": bill.party_id,
        "house_label": f"{detail['community_name']} {detail['house_code']}",
        "fee_name": detail["fee_name"],
        "period_from": bill.period_from,
        "period_to": bill.period_to,
        "period_text": period_text([bill]),
        "due_date": bill.due_date,
        "overdue_days": overdue,
        "due_fen": bill.due_fen,
        "due_text": yuan_text(bill.due_fen),
        "paid_fen": bill.paid_fen,
        "waived_fen": bill.waived_fen,
        "credited_fen": bill.credited_fen,
        "open_fen": open_fen,
        "open_text": yuan_text(open_fen),
        "late_fee_fen": late,
        "late_fee_text": yuan_text(late),
        "payable_fen": open_fen + late,
        "payable_text": yuan_text(open_fen + late),
        "state": bill.state,
        "state_text": REST_ZH if late and not open_fen else STATE_ZH[bill.state],
        "late_fee_explained": [_step(step) for step in fee.steps] if late else [],
        "lines": [_line(*line) for line in detail["lines"]],
    }


def _step(step: Any) -> dict[str, Any]:
    """One run of days: base × days × rate, recomputable by hand (C10)."""
    return {
        "from": step.start,
        "to": step.end - timedelta(days=1),  # the last charged day, as letters print it
        "days": step.days,
        "base_fen": step.base,
        "rate_text": _rate_text(step),
        "exact_text": decimal_text(step.exact_fen / 100) + "元",
    }


def _rate_text(step: Any) -> str:
    if step.annual is not None:
        return f"年化{decimal_text(Fraction(step.annual) * 100)}% ÷ 365/日"
    return f"{decimal_text(step.rate * 1000)}‰/日"


def _line(line: Any, standard_name: str, basis: str, anchor_day: int) -> dict[str, Any]:
    return {
        "formula": bills.line_formula(line, anchor_day),
        "fen": line.fen,
        "text": yuan_text(line.fen),
        "standard_name": standard_name,
        "basis": basis,
    }
