"""Periods are half-open `[start, end)`, and a month of a cycle runs from anchor to anchor.

Every date stands at a *month position*: the number of the cycle month it lies in plus the part of
that month already gone. The length of any period in months is the difference of two positions, so
lengths add up exactly however a period is cut (M2, A02). Anchor 1 is the calendar month; a month
that lacks the anchor day uses its last day, and every start is computed from the original anchor,
never from the start before it (A03: 31 Jan, 28 Feb, 31 Mar).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

# Months have 28 to 31 days, so every length in months is a whole number of these parts of a month:
# lcm(28, 29, 30, 31). It lets SQL carry exact months as an integer.
MONTH_PARTS = 377_580


class PeriodRefused(ValueError):
    """A period or anchor that means nothing; `code` is stable, `message_zh` is for people."""

    def __init__(self, code: str, message_zh: str) -> None:
        super().__init__(message_zh)
        self.code = code
        self.message_zh = message_zh


class Period(NamedTuple):
    """The days from `start` up to but not including `end`."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """Return the number of days."""
        return (self.end - self.start).days


class MonthPiece(NamedTuple):
    """The part of one cycle month that a period covers: `days` of its `length` days."""

    start: date
    end: date
    days: int
    length: int


def require_period(start: date, end: date) -> Period:
    """Return `[start, end)`; raise PeriodRefused `empty_period` if it has no day (A08)."""
    if end <= start:
        raise PeriodRefused("empty_period", f"期间 {start} 至 {end} 为空或起止颠倒。")
    return Period(start, end)


def _month_index(day: date) -> int:
    return day.year * 12 + day.month - 1


def _require_anchor(anchor_day: int) -> None:
    if isinstance(anchor_day, bool) or not isinstance(anchor_day, int) or not 1 <= anchor_day <= 31:
        raise PeriodRefused("bad_anchor", "计费起始日须为 1 到 31 的整数。")


def cycle_month_start(month_index: int, *, anchor_day: int = 1) -> date:
    """Return the first day of a cycle month; month_index = year × 12 + month − 1.

    Raises PeriodRefused `bad_anchor` for an anchor outside 1–31.
    """
    _require_anchor(anchor_day)
    year, month0 = divmod(month_index, 12)
    return date(year, month0 + 1, min(anchor_day, monthrange(year, month0 + 1)[1]))


def cycle_month_of(day: date, *, anchor_day: int = 1) -> int:
    """Return the index of the cycle month in which `day` lies."""
    index = _month_index(day)
    return index if day >= cycle_month_start(index, anchor_day=anchor_day) else index - 1


def month_position(day: date, *, anchor_day: int = 1) -> Fraction:
    """Return where `day` stands on the line of cycle months (whole number at a month's start)."""
    index = cycle_month_of(day, anchor_day=anchor_day)
    start = cycle_month_start(index, anchor_day=anchor_day)
    length = (cycle_month_start(index + 1, anchor_day=anchor_day) - start).days
    return index + Fraction((day - start).days, length)


def months_between(start: date, end: date, *, anchor_day: int = 1) -> Fraction:
    """Return the exact length of `[start, end)` in cycle months (M2).

    2026-01-16 to 2026-03-11 with anchor 1 is 16/31 + 1 + 10/31 = 57/31.
    Raises PeriodRefused `empty_period` or `bad_anchor`.
    """
    require_period(start, end)
    return month_position(end, anchor_day=anchor_day) - month_position(start, anchor_day=anchor_day)


def is_whole_months(start: date, end: date, *, anchor_day: int = 1) -> bool:
    """Tell whether `[start, end)` is cut at month boundaries only; anchor 1: calendar months.

    2026-11-01 to 2026-12-01 is, to 2026-11-30 is not. Raises as `months_between`.
    """
    require_period(start, end)
    places = (month_position(day, anchor_day=anchor_day) for day in (start, end))
    return all(place.denominator == 1 for place in places)


def month_parts_between(start: date, end: date, *, anchor_day: int = 1) -> int:
    """Return the exact length in parts of a month, `MONTH_PARTS` to the month (whole number)."""
    return int(months_between(start, end, anchor_day=anchor_day) * MONTH_PARTS)


def month_pieces(start: date, end: date, *, anchor_day: int = 1) -> list[MonthPiece]:
    """Return the cycle months that `[start, end)` touches, each with its days and its length.

    The sum of days ÷ length is `months_between`. Raises as it does.
    """
    require_period(start, end)
    pieces = []
    index = cycle_month_of(start, anchor_day=anchor_day)
    month_start = cycle_month_start(index, anchor_day=anchor_day)
    while month_start < end:
        index += 1
        month_end = cycle_month_start(index, anchor_day=anchor_day)
        first, last = max(start, month_start), min(end, month_end)
        pieces.append(MonthPiece(first, last, (last - first).days, (month_end - month_start).days))
        month_start = month_end
    return pieces


def cycle_periods(
    *, start: date, cycle_months: int, cycles: int, anchor_day: int = 1
) -> list[Period]:
    """Return the first `cycles` billing periods from `start`, `cycle_months` months each.

    Every boundary is computed from the anchor day (A03). A start inside a cycle month gives a
    first period that is shorter. Raises PeriodRefused `bad_cycle` for counts below 1.
    """
    if cycle_months < 1 or cycles < 1:
        raise PeriodRefused("bad_cycle", "计费周期的月数和期数须为正整数。")
    first = cycle_month_of(start, anchor_day=anchor_day)
    bounds = [
        cycle_month_start(first + number * cycle_months, anchor_day=anchor_day)
        for number in range(cycles + 1)
    ]
    bounds[0] = start
    return [Period(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]


def cycle_containing(day: date, *, origin: date, cycle_months: int, anchor_day: int = 1) -> Period:
    """Return the whole billing period in which `day` lies, cycles counted from `origin`.

    origin: any day of the first month of some cycle (e.g. the contract's start). The period is not
    cut to the origin: cut it with `overlap`. Raises PeriodRefused `bad_cycle`, `bad_anchor`.
    """
    if cycle_months < 1:
        raise PeriodRefused("bad_cycle", "计费周期的月数须为正整数。")
    first = cycle_month_of(origin, anchor_day=anchor_day)
    gone = (cycle_month_of(day, anchor_day=anchor_day) - first) // cycle_months
    begin = first + gone * cycle_months
    return Period(
        cycle_month_start(begin, anchor_day=anchor_day),
        cycle_month_start(begin + cycle_months, anchor_day=anchor_day),
    )


def overlap(
    start_a: date, end_a: date | None, start_b: date, end_b: date | None
) -> tuple[date, date | None] | None:
    """Return the common days of two half-open spans, or None; an end of None is open."""
    start = max(start_a, start_b)
    ends = [end for end in (end_a, end_b) if end is not None]
    end = min(ends) if ends else None
    return None if end is not None and end <= start else (start, end)


def cut(start: date, end: date, days: Iterable[date]) -> list[Period]:
    """Return `[start, end)` cut at those of `days` that lie strictly inside, in date order.

    Raises PeriodRefused `empty_period`.
    """
    require_period(start, end)
    bounds = [start, *sorted({day for day in days if start < day < end}), end]
    return [Period(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]


def each_day(start: date, end: date) -> Iterable[date]:
    """Yield the days of `[start, end)`."""
    for offset in range((end - start).days):
        yield start + timedelta(days=offset)
