"""Lengths in months add up however a period is cut, and anchors never drift (M2, A02, A03)."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.periods import (
    MONTH_PARTS,
    Period,
    PeriodRefused,
    cut,
    cycle_containing,
    cycle_periods,
    month_parts_between,
    month_pieces,
    months_between,
    overlap,
)

days = st.dates(date(1999, 1, 1), date(2060, 12, 31))
anchors = st.integers(1, 31)


def test_the_worked_example_is_sixteen_thirty_firsts_and_one_and_ten_thirty_firsts() -> None:
    pieces = month_pieces(date(2026, 1, 16), date(2026, 3, 11))
    assert [(p.days, p.length) for p in pieces] == [(16, 31), (28, 28), (10, 31)]
    assert months_between(date(2026, 1, 16), date(2026, 3, 11)) == Fraction(57, 31)


def test_an_anchored_quarter_is_three_months_and_no_fraction() -> None:
    quarter = (date(2026, 1, 15), date(2026, 4, 15))
    assert months_between(*quarter, anchor_day=15) == 3
    assert months_between(*quarter) == Fraction(17, 31) + 2 + Fraction(14, 30)


def test_every_start_is_computed_from_the_original_anchor() -> None:
    starts = [p.start for p in cycle_periods(
        start=date(2027, 12, 31), cycle_months=1, cycles=5, anchor_day=31
    )]  # fmt: skip
    assert starts == [
        date(2027, 12, 31), date(2028, 1, 31), date(2028, 2, 29), date(2028, 3, 31),
        date(2028, 4, 30),
    ]  # fmt: skip


def test_a_start_inside_a_cycle_month_gives_a_shorter_first_period() -> None:
    assert cycle_periods(start=date(2026, 1, 20), cycle_months=3, cycles=2, anchor_day=15) == [
        Period(date(2026, 1, 20), date(2026, 4, 15)),
        Period(date(2026, 4, 15), date(2026, 7, 15)),
    ]


@given(days, days, days, anchors)
def test_lengths_add_up_at_every_cut(a: date, b: date, c: date, anchor: int) -> None:
    first, middle, last = sorted((a, b, c))
    if first == middle or middle == last:
        return
    whole = months_between(first, last, anchor_day=anchor)
    parts = [
        months_between(first, middle, anchor_day=anchor),
        months_between(middle, last, anchor_day=anchor),
    ]
    assert sum(parts) == whole
    pieces = month_pieces(first, last, anchor_day=anchor)
    assert sum((Fraction(p.days, p.length) for p in pieces), Fraction(0)) == whole
    assert sum(p.days for p in pieces) == (last - first).days


@given(days, days, anchors)
def test_month_parts_carry_the_exact_length_as_a_whole_number(
    a: date, b: date, anchor: int
) -> None:
    first, last = min(a, b), max(a, b) + timedelta(days=1)
    months = months_between(first, last, anchor_day=anchor)
    assert Fraction(month_parts_between(first, last, anchor_day=anchor), MONTH_PARTS) == months


@given(days, anchors, st.integers(1, 12), st.integers(1, 24))
def test_whole_cycles_are_their_nominal_months_and_touch(
    start: date, anchor: int, months: int, cycles: int
) -> None:
    periods = cycle_periods(start=start, cycle_months=months, cycles=cycles, anchor_day=anchor)
    assert periods[0].start == start
    for before, after in zip(periods, periods[1:], strict=False):
        assert before.end == after.start
        assert months_between(*after, anchor_day=anchor) == months


@given(days, days, anchors, st.integers(1, 12))
def test_the_cycle_containing_a_day_contains_it(
    day: date, origin: date, anchor: int, months: int
) -> None:
    period = cycle_containing(day, origin=origin, cycle_months=months, anchor_day=anchor)
    assert period.start <= day < period.end
    assert months_between(*period, anchor_day=anchor) == months
    same = cycle_containing(period.start, origin=origin, cycle_months=months, anchor_day=anchor)
    assert same == period


def test_empty_and_reversed_periods_and_odd_anchors_are_refused() -> None:
    day = date(2026, 1, 1)
    for start, end in ((day, day), (day + timedelta(days=1), day)):
        with pytest.raises(PeriodRefused) as refusal:
            months_between(start, end)
        assert refusal.value.code == "empty_period"
    for anchor in (0, 32, True, 1.5):
        with pytest.raises(PeriodRefused) as refusal:
            months_between(day, date(2026, 2, 1), anchor_day=anchor)  # type: ignore[arg-type]
        assert refusal.value.code == "bad_anchor"


def test_a_cut_keeps_every_day_once_and_ignores_days_outside() -> None:
    start, end = date(2026, 1, 1), date(2026, 2, 1)
    inside = date(2026, 1, 16)
    assert cut(start, end, [end, inside, start, inside, date(2027, 1, 1)]) == [
        Period(start, inside),
        Period(inside, end),
    ]


def test_spans_that_only_touch_do_not_overlap() -> None:
    a, b, c = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
    assert overlap(a, b, b, c) is None
    assert overlap(a, None, b, None) == (b, None)
    assert overlap(a, c, b, None) == (b, c)
