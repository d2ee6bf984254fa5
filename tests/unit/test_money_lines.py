"""Lines, splits and percentages: one rounding per line, and parts that sum to it (M1–M4)."""

from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import Refusal
from backend.fees.formula import formula_text, months_text
from backend.fees.rules import (
    Holding,
    Line,
    PriceStep,
    Reduction,
    bill_lines,
    charged_share,
    discount_line,
    line_exact,
    line_fen,
    monthly_price,
    split_whole,
)
from backend.money import AmountRefused, round_half_up
from backend.periods import PeriodRefused, each_day, months_between

JAN, FEB, MAR, JUL = (date(2026, month, 1) for month in (1, 2, 3, 7))
EXAMPLE = monthly_price(area="94.56", rate="1.3", surcharge="20")
HUNDRED = monthly_price(fixed="100")


def parts_of(lines: Iterable[Line]) -> list[tuple[Any, ...]]:
    return [(p.party, p.start, p.end, p.fen) for line in lines for p in line.parts]


@pytest.mark.covers("C53")
def test_a_line_is_rounded_once_not_every_month() -> None:
    assert line_fen(monthly=EXAMPLE, start=JAN, end=FEB) == 14293
    assert line_fen(monthly=EXAMPLE, start=JAN, end=JUL) == 85757


def test_parts_of_months_are_summed_before_the_rounding() -> None:
    assert line_fen(monthly=HUNDRED, start=date(2026, 1, 16), end=date(2026, 3, 11)) == 18387


def test_a_negative_line_mirrors_the_positive_one() -> None:
    assert line_fen(monthly=Fraction(-5, 1000), start=JAN, end=FEB) == -1
    assert line_fen(monthly=Fraction(5, 1000), start=JAN, end=FEB) == 1


def test_a_yearly_price_is_a_twelfth_a_month_and_a_quantity_multiplies() -> None:
    assert monthly_price(fixed="100", yearly=True) == Fraction(100, 12)
    assert monthly_price(fixed="150.5", quantity=2) == 301


@pytest.mark.parametrize(
    ("price", "code"),
    [
        ({"area": "94.56"}, "price_incomplete"),
        ({"rate": "1.3"}, "price_incomplete"),
        ({}, "price_incomplete"),
        ({"fixed": "1", "area": "1", "rate": "1"}, "price_ambiguous"),
        ({"fixed": "1", "surcharge": "1"}, "price_ambiguous"),
        ({"area": "-1", "rate": "1"}, "negative_area"),
        ({"area": "94.56001", "rate": "1.3"}, "too_many_decimals"),
        ({"area": "94.56", "rate": "1.30001"}, "too_many_decimals"),
        ({"fixed": "1.00001"}, "too_many_decimals"),
        ({"fixed": 1.5}, "not_exact"),
    ],
)
def test_a_price_that_is_unclear_is_refused(price: dict[str, Any], code: str) -> None:
    with pytest.raises((Refusal, AmountRefused)) as refusal:
        monthly_price(**price)
    assert refusal.value.code == code


def test_percentages_multiply_unless_only_the_lowest_counts() -> None:
    assert charged_share(["70", "50"]) == Fraction(35, 100)
    assert charged_share(["70", "50"], lowest_only=True) == Fraction(1, 2)
    assert charged_share() == 1


def test_the_hand_over_day_belongs_to_the_new_party() -> None:
    lines = bill_lines(
        start=JAN,
        end=FEB,
        prices=[PriceStep(JAN, EXAMPLE)],
        holdings=[Holding(date(2025, 1, 1), "developer"), Holding(date(2026, 1, 16), "owner")],
    )
    assert parts_of(lines) == [
        ("developer", JAN, date(2026, 1, 16), 6916),
        ("owner", date(2026, 1, 16), FEB, 7377),
    ]
    assert [line.fen for line in lines] == [14293]


def test_no_part_is_ever_more_than_what_is_left() -> None:
    assert split_whole(2, [Fraction(1, 2)] * 4) == [1, 1, 0, 0]
    assert split_whole(-2, [Fraction(-1, 2)] * 4) == [-1, -1, 0, 0]
    assert split_whole(7, [Fraction(7, 12)] * 12) == [1] * 7 + [0] * 5
    with pytest.raises(Refusal):
        split_whole(7, [])


def test_of_two_transfers_on_one_day_the_last_party_has_the_day() -> None:
    day = date(2026, 1, 16)
    lines = bill_lines(
        start=JAN,
        end=FEB,
        prices=[PriceStep(JAN, HUNDRED)],
        holdings=[Holding(JAN, "a"), Holding(day, "b"), Holding(day, "c")],
    )
    assert [part[0] for part in parts_of(lines)] == ["a", "c"]


def test_a_new_version_at_the_same_price_stays_one_line_naming_both() -> None:
    day = date(2026, 1, 11)
    (line,) = bill_lines(
        start=JAN,
        end=FEB,
        prices=[PriceStep(JAN, HUNDRED, "v1"), PriceStep(day, HUNDRED, "v2")],
        holdings=[Holding(JAN, "owner")],
    )
    assert (line.fen, line.versions) == (10000, ("v1", "v2"))
    assert parts_of([line]) == [("owner", JAN, FEB, 10000)]


def test_a_tariff_change_cuts_first_and_each_line_is_then_split() -> None:
    change, sale = date(2026, 1, 11), date(2026, 1, 21)
    lines = bill_lines(
        start=JAN,
        end=FEB,
        prices=[PriceStep(JAN, HUNDRED), PriceStep(change, monthly_price(fixed="120"))],
        holdings=[Holding(JAN, "seller"), Holding(sale, "buyer")],
    )
    assert [line.fen for line in lines] == [3226, 8129]
    assert parts_of(lines) == [
        ("seller", JAN, change, 3226),
        ("seller", change, sale, 3871),
        ("buyer", sale, FEB, 4258),
    ]


def test_runs_of_equal_price_that_do_not_touch_are_lines_of_their_own() -> None:
    steps = [(1, "100"), (11, "120"), (21, "100")]
    lines = bill_lines(
        start=JAN,
        end=FEB,
        prices=[PriceStep(date(2026, 1, day), monthly_price(fixed=f)) for day, f in steps],
    )
    assert [line.fen for line in lines] == [3226, 3871, 3548]


def test_a_party_with_its_own_percentage_has_its_own_line() -> None:
    sale = date(2026, 1, 16)
    lines = bill_lines(
        start=JAN,
        end=FEB,
        prices=[PriceStep(JAN, EXAMPLE)],
        holdings=[Holding(JAN, "developer", Fraction(7, 10)), Holding(sale, "owner")],
    )
    assert [(line.share, line.fen) for line in lines] == [(Fraction(7, 10), 4841), (1, 7377)]


def test_days_before_the_first_party_and_of_nobody_are_not_billed() -> None:
    lines = bill_lines(
        start=JAN,
        end=FEB,
        prices=[PriceStep(JAN, monthly_price(fixed="310"))],
        holdings=[
            Holding(date(2026, 1, 11), "a"),
            Holding(date(2026, 1, 16), None),
            Holding(date(2026, 1, 21), "b"),
        ],
    )
    assert parts_of(lines) == [
        ("a", date(2026, 1, 11), date(2026, 1, 16), 5000),
        ("b", date(2026, 1, 21), FEB, 11000),
    ]


def test_a_reduction_cuts_the_period_and_equal_ones_that_touch_are_one_line() -> None:
    half = Fraction(1, 2)
    lines = bill_lines(
        start=JAN,
        end=MAR,
        prices=[PriceStep(JAN, HUNDRED)],
        reductions=[Reduction(date(2026, 1, 16), FEB, half), Reduction(FEB, None, half)],
    )
    assert [(line.start, line.end, line.fen) for line in lines] == [
        (JAN, date(2026, 1, 16), 4839),
        (date(2026, 1, 16), MAR, 7581),
    ]


def test_overlapping_reductions_multiply_before_the_rounding() -> None:
    lines = bill_lines(
        start=JAN,
        end=FEB,
        prices=[PriceStep(JAN, EXAMPLE)],
        reductions=[
            Reduction(JAN, None, Fraction(7, 10)),
            Reduction(JAN, FEB, Fraction(8, 10)),
        ],
    )
    assert [line.fen for line in lines] == [8004]


def test_a_billed_day_without_a_price_is_refused() -> None:
    with pytest.raises(Refusal) as refusal:
        bill_lines(start=JAN, end=FEB, prices=[PriceStep(date(2026, 1, 2), HUNDRED)])
    assert refusal.value.code == "no_price"
    with pytest.raises(PeriodRefused):
        bill_lines(start=FEB, end=JAN, prices=[PriceStep(JAN, HUNDRED)])


def test_a_discount_is_a_negative_line_and_never_more_than_its_line() -> None:
    assert discount_line(line=14293, percent="5") == -715
    assert discount_line(line=10, percent="100") == -10
    assert discount_line(line=300, amount=500) == -300
    assert discount_line(line=-300, percent="5") == 0
    for wrong in ({}, {"percent": "5", "amount": 5}):
        with pytest.raises(Refusal):
            discount_line(line=100, **wrong)  # type: ignore[arg-type]


days = st.integers(0, 400).map(lambda n: JAN + timedelta(days=n))
money = st.integers(-(10**7), 10**7).map(lambda n: Fraction(n, 10**4))


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12), st.booleans())
def test_parts_sum_to_the_whole_and_never_change_sign(weights: list[int], minus: bool) -> None:
    sign = -1 if minus else 1
    exacts = [Fraction(sign * weight, 1000) for weight in weights]
    whole = round_half_up(sum(exacts, Fraction(0)))
    parts = split_whole(whole, exacts)
    assert sum(parts) == whole
    assert all(part * sign >= 0 for part in parts)
    rounded = [round_half_up(part) for part in exacts[:-1]]
    assert all(abs(part) <= abs(own) for part, own in zip(parts, rounded, strict=False))


@given(
    st.integers(1, 300),
    st.lists(st.tuples(days, money), min_size=0, max_size=3),
    st.lists(st.tuples(days, st.sampled_from([None, "a", "b", "c"])), min_size=1, max_size=5),
    st.lists(st.tuples(days, days, st.integers(0, 4)), max_size=3),
    st.integers(1, 31),
)
def test_lines_agree_with_a_day_by_day_account(
    length: int,
    tariffs: list[tuple[date, Fraction]],
    holders: list[tuple[date, str | None]],
    spans: list[tuple[date, date, int]],
    anchor: int,
) -> None:
    """Every billed day stands in one line with its own price and share, and nothing else does."""
    end = JAN + timedelta(days=length)
    prices = [PriceStep(JAN, HUNDRED), *(PriceStep(*tariff) for tariff in tariffs)]
    holdings = sorted((Holding(*holder) for holder in holders), key=lambda h: h.start)
    reductions = [Reduction(min(a, b), max(a, b), Fraction(n, 4)) for a, b, n in spans if a != b]
    lines = bill_lines(
        start=JAN,
        end=end,
        prices=prices,
        holdings=holdings,
        reductions=reductions,
        anchor_day=anchor,
    )
    seen: dict[date, tuple[str | None, Fraction, Fraction]] = {}
    for line in lines:
        assert sum(part.fen for part in line.parts) == line.fen
        months = months_between(line.start, line.end, anchor_day=anchor)
        exact = line_exact(monthly=line.monthly, months=months, share=line.share)
        assert line.fen == round_half_up(exact)
        for part in line.parts:
            for day in each_day(part.start, part.end):
                assert day not in seen
                seen[day] = (part.party, line.monthly, line.share)
    ordered = sorted(prices, key=lambda step: step.start)
    expected = {}
    for day in each_day(JAN, end):
        holder = [h.party for h in holdings if h.start <= day][-1:]
        if holder and holder[0] is not None:
            share = Fraction(1)
            for r in reductions:
                share *= r.share if r.start <= day and (r.end is None or day < r.end) else 1
            price = [step.monthly for step in ordered if step.start <= day][-1]
            expected[day] = (holder[0], price, share)
    assert seen == expected
    for before, after in zip(lines, lines[1:], strict=False):
        touching = before.end == after.start
        assert not (touching and (before.monthly, before.share) == (after.monthly, after.share))


@pytest.mark.covers("C53")
def test_the_formula_of_a_line_can_be_recomputed_by_hand() -> None:
    shown = {"area": "94.5600", "rate": "1.3000", "surcharge": "20.0000"}
    assert formula_text(start=JAN, end=FEB, **shown) == (
        "94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元"
    )
    assert formula_text(start=JAN, end=JUL, percents=["70"], **shown) == (
        "(94.56㎡ × 1.3000元/㎡·月 + 20元) × 6个月 × 70% = 600.2976 → 600.30元"
    )
    assert formula_text(start=date(2026, 1, 16), end=date(2026, 3, 11), fixed="100") == (
        "100元/月 × (16/31 + 1 + 10/31)个月 = 183.870967… → 183.87元"
    )
    assert formula_text(start=JAN, end=FEB, fixed="150", quantity=2) == (
        "150元/月 × 2 = 300 → 300.00元"
    )
    assert formula_text(start=JAN, end=FEB, fixed="100", yearly=True) == (
        "100元/年 × 1/12 = 8.333333… → 8.33元"
    )


def test_the_last_part_of_a_split_says_that_it_took_the_rest() -> None:
    text = formula_text(start=date(2026, 1, 16), end=FEB, fixed="100", charged_fen=5162)
    assert text == (
        "100元/月 × 16/31个月 = 51.612903… → 51.61元（整行拆分后尾差归最后一段，本段 51.62元）"
    )


def test_months_are_told_as_fractions_and_whole_numbers() -> None:
    assert months_text(JAN, JUL) == "6"
    assert months_text(date(2026, 1, 16), JUL) == "16/31 + 5"
    assert months_text(date(2026, 1, 15), date(2026, 4, 15), anchor_day=15) == "3"
