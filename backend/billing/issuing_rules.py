"""The careful way: lines of houses where something changes inside the period, by the pure rules.

A hand-over splits a line over its parties (M3); a tariff change makes a line of its own; a fee
that starts or ends inside the period is charged for its own days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from backend.fees.formula import months_text
from backend.fees.models import FeeStandard
from backend.fees.rules import (
    Holding,
    Line,
    Part,
    PriceStep,
    bill_lines,
    line_exact,
    monthly_price,
    split_whole,
)
from backend.periods import cut, months_between, overlap


def slow_lines(
    pairs: Sequence[Any],
    standards: Sequence[FeeStandard],
    period_from: date,
    period_to: date,
    prices: Mapping[int, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return line rows (the columns of the statement's x_ arrays) for careful pairs.

    pairs: rows with house_id, fee_item_id, area, fees and holders as JSON (issuing_sql.SLOW_PAIRS).
    """
    versions: dict[tuple[int, str], list[FeeStandard]] = defaultdict(list)
    for standard in standards:
        versions[(standard.fee_item_id, standard.code)].append(standard)
    rows: list[dict[str, Any]] = []
    for pair in pairs:
        for fee in pair.fees or []:
            steps = versions.get((pair.fee_item_id, fee["code"]), [])
            rows += _fee_lines(pair, fee, steps, period_from, period_to, prices)
    return rows


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None


def _fee_lines(
    pair: Any,
    fee: Mapping[str, Any],
    steps: Sequence[FeeStandard],
    period_from: date,
    period_to: date,
    prices: Mapping[int, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    span = overlap(period_from, period_to, _day(fee["from"]) or date.min, _day(fee["to"]))
    if not steps or span is None or not pair.holders:
        return []
    start = max(span[0], min(s.effective.lower for s in steps))
    ends = [s.effective.upper for s in steps]
    end = span[1] if None in ends else min(span[1], max(ends))
    if end <= start:
        return []
    lines = bill_lines(
        start=start,
        end=end,
        prices=[PriceStep(s.effective.lower, _price(pair, fee, s), str(s.id)) for s in steps],
        holdings=_holdings(pair.holders, start, end),
        anchor_day=steps[0].anchor_day,
    )
    return [
        _row(pair, fee, standard, piece, prices)
        for line in lines
        for part in line.parts
        if part.party is not None
        for standard, piece in _by_version(line, part, steps)
    ]


def _by_version(
    line: Line, part: Part, steps: Sequence[FeeStandard]
) -> list[tuple[FeeStandard, Part]]:
    """Return a part of a line cut where another version of the same price begins (A10, C43).

    The pieces sum to the part: naming both versions changes no amount.
    """
    used = sorted((s for s in steps if str(s.id) in line.versions), key=lambda s: s.effective.lower)
    spans = list(cut(part.start, part.end, [s.effective.lower for s in used]))
    months = [months_between(start, end, anchor_day=used[0].anchor_day) for start, end in spans]
    fens = split_whole(
        part.fen,
        [line_exact(monthly=line.monthly, months=m, share=line.share) for m in months],
    )
    return [
        (
            [s for s in used if s.effective.lower <= start][-1],
            Part(part.party, start, end, m, fen),
        )
        for (start, end), m, fen in zip(spans, months, fens, strict=True)
    ]


def _price(pair: Any, fee: Mapping[str, Any], standard: FeeStandard):
    if standard.method == "area":
        return monthly_price(area=pair.area, rate=standard.rate, surcharge=standard.surcharge)
    return monthly_price(fixed=standard.fixed, quantity=fee["quantity"])


def _holdings(holders: Sequence[Mapping[str, Any]], start: date, end: date) -> list[Holding]:
    """Return who is liable from when; a gap without anybody is billed to nobody."""
    result: list[Holding] = [Holding(start, None)]
    for holder in holders:
        first, last = _day(holder["from"]) or date.min, _day(holder["to"])
        result.append(Holding(max(first, start), str(holder["party"])))
        if last is not None and last < end:
            result.append(Holding(last, None))
    return result


def _row(
    pair: Any, fee: Mapping[str, Any], standard: FeeStandard, part: Any, prices: Mapping[int, Any]
) -> dict[str, Any]:
    is_area = standard.method == "area"
    months = part.months
    return {
        "house_id": pair.house_id,
        "party_id": int(part.party),
        "fee_item_id": pair.fee_item_id,
        "standard_id": standard.id,
        "pf": part.start,
        "pt": part.end,
        "area": pair.area if is_area else None,
        "rate": standard.rate,
        "surcharge": standard.surcharge,
        "fixed": standard.fixed,
        "quantity": fee["quantity"],
        "months": Decimal(months.numerator) / Decimal(months.denominator),
        "months_text": months_text(part.start, part.end, anchor_day=standard.anchor_day),
        "fen": part.fen,
        "due": prices[standard.id]["due"],
    }
