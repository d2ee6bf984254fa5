"""Run worked money cases through the product's rules: JSON lines in, JSON lines out.

`python -m tests.worked_cases < cases.jsonl`. A line is `{id, kind, rule, input}`; the answer is
`{id, output}`, `{id, output: {"refused": reason}}` where a rule says no, or `{id, skip}` for a
kind that is not computed here. Nothing is calculated in this file: it only carries the words of a
case over to the arguments of a rule and back.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from backend.billing import late_fee as fee_rules
from backend.billing import rules as billing
from backend.clock import date_of
from backend.errors import Refusal
from backend.fees import rules as fees
from backend.money import AmountRefused
from backend.periods import PeriodRefused, cycle_periods
from backend.points import rules as points

Case = dict[str, Any]
PRICE_KEYS = ("area", "rate", "surcharge", "fixed")
TERM_KEYS = (
    "grace_days", "contract_daily_rate", "ceilings", "cap_percent", "clause_proved", "clause_from"
)  # fmt: skip


def day(text: str) -> date:
    """Return the business date of a date, or of an instant (A32); no zone means local."""
    if len(text) == len("2026-01-01"):
        return date.fromisoformat(text)
    instant = datetime.fromisoformat(text)
    return date_of(instant) if instant.tzinfo else instant.date()


def _price(case: Case) -> Fraction:
    return fees.monthly_price(**{key: case.get(key) for key in PRICE_KEYS})


def _share(case: Case) -> Fraction:
    return fees.charged_share(case.get("percents") or ())


def _line(case: Case) -> int:
    return fees.line_fen(
        monthly=_price(case),
        start=day(case["from"]),
        end=day(case["to"]),
        anchor_day=case.get("anchor_day", 1),
        share=_share(case),
    )


def line(case: Case) -> Case:
    """One line → fen."""
    return {"fen": _line(case)}


def proration(case: Case) -> Case:
    """As a line; or cycles from a start → periods, fen per cycle, total."""
    if "cycles" not in case:
        return line(case)
    anchor = case.get("anchor_day", 1)
    periods = cycle_periods(
        start=day(case["start"]),
        cycle_months=case.get("cycle_months", 1),
        cycles=case["cycles"],
        anchor_day=anchor,
    )
    amounts = [
        fees.line_fen(
            monthly=_price(case), start=p.start, end=p.end, anchor_day=anchor, share=_share(case)
        )
        for p in periods
    ]
    return {
        "periods": [[p.start.isoformat(), p.end.isoformat()] for p in periods],
        "fen": amounts,
        "total": sum(amounts),
    }


def _complete(terms: Case) -> bool:
    """Tell whether terms make a price; a tariff may bring what the base leaves open."""
    return "fixed" in terms or {"area", "rate"} <= terms.keys()


def _price_steps(case: Case) -> list[fees.PriceStep]:
    """Return the prices by day; terms without a price add no step (an uncovered day is refused)."""
    terms = {key: case[key] for key in PRICE_KEYS if case.get(key) is not None}
    start = day(case["from"])
    steps = [fees.PriceStep(start, _price(terms))] if _complete(terms) else []
    tariff_steps = []
    for tariff in sorted(case.get("tariffs") or (), key=lambda t: t["from"]):
        change = {key: tariff[key] for key in PRICE_KEYS if tariff.get(key) is not None}
        if "fixed" in change:
            terms = {}
        elif change:
            terms.pop("fixed", None)
        terms |= change
        if _complete(terms):
            tariff_steps.append(fees.PriceStep(day(tariff["from"]), _price(terms)))
    in_force_at_start = any(step.start <= start for step in tariff_steps)
    return tariff_steps if in_force_at_start else steps + tariff_steps


def _reductions(case: Case) -> list[fees.Reduction]:
    return [
        fees.Reduction(
            start=day(r["from"]),
            end=day(r["to"]) if r.get("to") else None,
            share=fees.charged_share([r["percent"]]),
        )
        for r in case.get("reductions") or ()
    ]


def split(case: Case) -> Case:
    """One period over parties and tariffs → parts and total."""
    lines = fees.bill_lines(
        start=day(case["from"]),
        end=day(case["to"]),
        prices=_price_steps(case),
        holdings=[
            fees.Holding(day(p["from"]), p["party"], _share(p)) for p in case.get("parties") or ()
        ],
        reductions=_reductions(case),
        share=_share(case),
        anchor_day=case.get("anchor_day", 1),
    )
    parts = [
        {
            "party": part.party,
            "from": part.start.isoformat(),
            "to": part.end.isoformat(),
            "fen": part.fen,
        }
        for bill_line in lines
        for part in bill_line.parts
    ]
    return {"parts": parts, "total": sum(bill_line.fen for bill_line in lines)}


def vacancy(case: Case) -> Case:
    """One period under reductions → fen of every line, total."""
    lines = fees.bill_lines(
        start=day(case["from"]),
        end=day(case["to"]),
        prices=[fees.PriceStep(day(case["from"]), _price(case))],
        reductions=_reductions(case),
        share=_share(case),
        anchor_day=case.get("anchor_day", 1),
    )
    amounts = [bill_line.fen for bill_line in lines]
    return {"lines": amounts, "total": sum(amounts)}


def discount(case: Case) -> Case:
    """Rounded lines and a percentage off each, or a sum off the named one (A17)."""
    charges = [item if isinstance(item, int) else _line(item) for item in case["lines"]]
    if case.get("amount") is None:
        off = [fees.discount_line(line=fen, percent=case["percent"]) for fen in charges]
    else:
        named = charges[case.get("line", 0)]
        off = [fees.discount_line(line=named, amount=case["amount"])]
    discounts = [fen for fen in off if fen]
    return {"charges": charges, "discounts": discounts, "total": sum(charges) + sum(discounts)}


def _terms(case: Case) -> fee_rules.LateFeeTerms:
    ceilings = case.get("ceilings")
    if ceilings is not None:
        ceilings = tuple(fee_rules.Ceiling(day(c["from"]), c["annual"]) for c in ceilings)
    clause_from = case.get("clause_from")
    return fee_rules.LateFeeTerms(
        daily_rate=case.get("contract_daily_rate"),
        ceilings=ceilings,
        cap_percent=case.get("cap_percent"),
        clause_proved=case.get("clause_proved", True),
        grace_days=case.get("grace_days", 0),
        clause_from=day(clause_from) if clause_from else None,
    )


def _changes(bill: Case) -> list[fee_rules.PrincipalChange]:
    moves = [("payment", p, p["amount"]) for p in bill.get("payments") or ()]
    moves += [("refund", r, -r["amount"]) for r in bill.get("refunds") or ()]
    moves += [(a["type"], a, -a["amount"]) for a in bill.get("adjustments") or ()]
    return [
        fee_rules.PrincipalChange(day(m.get("at") or m.get("date") or bill["due"]), kind, fen)
        for kind, m, fen in moves
    ]


def _freezes(bill: Case) -> list[fee_rules.Freeze]:
    return [
        fee_rules.Freeze(day(f["from"]), day(f["to"]) if f.get("to") else None, f.get("amount"))
        for f in bill.get("freezes") or ()
        if not f.get("voided")
    ]


def late_fee(case: Case) -> Case:
    """Bills under terms as of a date → fees per bill, total."""
    result = {
        bill["id"]: fee_rules.late_fee(
            principal=bill["principal"],
            due=day(bill["due"]),
            as_of=day(case["as_of"]),
            terms=_terms(case | {key: bill[key] for key in TERM_KEYS if key in bill}),
            changes=_changes(bill),
            freezes=_freezes(bill),
        ).fen
        for bill in case["bills"]
    }
    return {"fees": result, "total": sum(result.values())}


def _appropriation(case: Case) -> billing.Appropriation:
    payer = case.get("payer")
    bills = []
    for b in case["bills"]:
        disputed = b.get("disputed") or False
        part = disputed if type(disputed) is int else None
        bills.append(
            billing.OpenBill(
                id=b["id"],
                due=day(b["due"]),
                principal=b["principal"],
                late_fee=b.get("late_fee", 0),
                liable=payer is None or b.get("party") in (None, payer),
                disputed=bool(disputed),
                disputed_fen=part,
                time_barred=b.get("time_barred", False),
            )
        )
    return billing.appropriate(bills=bills, amount=case["amount"], choice=case.get("choice"))


def _moved(moved: billing.Appropriation) -> Case:
    return {"principal": moved.principal, "late_fee": moved.late_fee, "credit": moved.credit}


def appropriation(case: Case) -> Case:
    """Open bills and an amount → principal and late fee per bill, credit."""
    return _moved(_appropriation(case))


def refund(case: Case) -> Case:
    """A payment and refunds of it → what each takes back, and what remains."""
    rest = _appropriation(case)
    steps = []
    for amount in case["refunds"]:
        reversal = billing.reverse(applied=rest, amount=amount)
        steps.append(_moved(reversal.taken))
        rest = reversal.after
    return {"steps": steps, "after": _moved(rest)}


def _earn(case: Case) -> Case:
    factors = case.get("multiplier", "1")
    given = [
        {
            bill_id: points.points_earned(
                principal_paid=paid.get("principal", 0),
                points_per_yuan=case["points_per_yuan"],
                factors=factors if isinstance(factors, list) else [factors],
                not_cleared=paid.get("by_points", 0),
            )
            for bill_id, paid in settlement["bills"].items()
        }
        for settlement in case["settlements"]
    ]
    return {"points": given, "total": sum(sum(bills.values()) for bills in given)}


def earn_or_deduct(case: Case) -> Case:
    """Mode earn → points per settlement and bill; mode deduct → fen and points used."""
    if case["mode"] == "earn":
        return _earn(case)
    bought = points.deduct_points(
        points=case["points"],
        exchange_points=case["exchange"]["points"],
        exchange_fen=case["exchange"]["fen"],
        principal_left=case["principal_left"],
        max_percent=case.get("max_percent"),
    )
    return {"fen": bought.fen, "points_used": bought.points_used}


KINDS: dict[str, Callable[[Case], Case]] = {
    "line": line,
    "proration": proration,
    "split": split,
    "vacancy": vacancy,
    "discount": discount,
    "late_fee": late_fee,
    "appropriation": appropriation,
    "refund": refund,
    "points": earn_or_deduct,
}


def run_case(case: Case) -> Case:
    """Return the answer to one case; a refusal is an answer, a malformed case an `error`."""
    answer: Case = {"id": case.get("id")}
    rule = KINDS.get(case.get("kind", ""))
    if rule is None:
        return answer | {"skip": f"kind {case.get('kind')} is not computed here"}
    if case["kind"] == "refund" and case["input"].get("points"):
        return answer | {"skip": "refund with points is not computed here"}
    try:
        return answer | {"output": rule(case["input"])}
    except (Refusal, AmountRefused, PeriodRefused) as refusal:
        return answer | {"output": {"refused": f"{refusal.code}: {refusal.message_zh}"}}
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        return answer | {"error": f"{type(error).__name__}: {error}"}


def run(lines: Iterable[str]) -> Iterator[str]:
    """Yield one JSON line per non-empty input line."""
    for text in lines:
        if text.strip():
            yield json.dumps(_answer(text), ensure_ascii=False)


def _answer(text: str) -> Case:
    try:
        return run_case(json.loads(text))
    except (ValueError, AttributeError) as error:  # not JSON, or not an object: the others go on
        return {"id": None, "error": f"not a case: {error}"}


if __name__ == "__main__":
    for answer_line in run(sys.stdin):
        print(answer_line)
