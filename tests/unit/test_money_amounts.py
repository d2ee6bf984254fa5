"""Amounts are whole fen, decimals are exact or refused, and there is one rounding."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.money import (
    AmountRefused,
    decimal_text,
    exact,
    percent_share,
    require_fen,
    round_half_up,
    yuan_text,
    yuan_to_fen,
)


@pytest.mark.parametrize(
    ("value", "fen"),
    [
        (Fraction(1, 2), 1),
        (Fraction(-1, 2), -1),
        (Fraction(5, 2), 3),
        (Fraction(-5, 2), -3),
        (Fraction(49, 100), 0),
        (Fraction(-49, 100), 0),
        (Fraction(0), 0),
        (Fraction(142928, 10), 14293),
    ],
)
def test_a_half_is_rounded_away_from_zero(value: Fraction, fen: int) -> None:
    assert round_half_up(value) == fen


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=6))
def test_rounding_agrees_with_decimal_half_up(value: Decimal) -> None:
    assert round_half_up(Fraction(value)) == int(value.quantize(Decimal(1), ROUND_HALF_UP))


@given(st.integers(-(10**12), 10**12), st.booleans())
def test_yuan_text_reads_back_as_the_same_fen(fen: int, grouped: bool) -> None:
    assert yuan_to_fen(yuan_text(fen, grouped=grouped)) == fen


def test_yuan_text_has_two_decimals_and_groups_on_request() -> None:
    assert yuan_text(123405) == "1234.05"
    assert yuan_text(123405, grouped=True) == "1,234.05"
    assert yuan_text(-5) == "-0.05"
    assert yuan_text(0) == "0.00"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.5, "not_exact"),
        (True, "not_exact"),
        (None, "not_exact"),
        ("1.234", "too_many_decimals"),
        (Decimal("0.001"), "too_many_decimals"),
        ("12,34.00", "not_a_number"),
        ("1e3", "not_a_number"),
        ("", "not_a_number"),
        ("１２", "not_a_number"),
        (Decimal("NaN"), "not_a_number"),
        ("一百", "not_a_number"),
    ],
)
def test_what_is_not_exact_money_is_refused(value: object, code: str) -> None:
    with pytest.raises(AmountRefused) as refusal:
        yuan_to_fen(value)  # type: ignore[arg-type]
    assert refusal.value.code == code


@pytest.mark.covers("C53")
def test_more_decimals_than_allowed_are_refused_and_never_cut_off() -> None:
    assert exact("1.3000", places=4) == Fraction(13, 10)
    assert exact("1.30000", places=4) == Fraction(13, 10)
    with pytest.raises(AmountRefused, match="单价「1.30001」的小数超过 4 位"):
        exact("1.30001", places=4, what="单价")


@pytest.mark.parametrize("percent", ["-0.0001", "100.0001", "150"])
def test_a_share_lies_between_nothing_and_everything(percent: str) -> None:
    with pytest.raises(AmountRefused) as refusal:
        percent_share(percent)
    assert refusal.value.code == "percent_out_of_range"


def test_an_amount_in_fen_is_a_whole_number_not_below_its_minimum() -> None:
    assert require_fen(0, minimum=0) == 0
    for value, code in ((1.0, "not_whole"), (True, "not_whole"), (-1, "too_small")):
        with pytest.raises(AmountRefused) as refusal:
            require_fen(value, minimum=0)
        assert refusal.value.code == code


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(142928, 1000), "142.928"),
        (Fraction(20), "20"),
        (Fraction(1, 3), "0.333333…"),
        (Fraction(-1, 8), "-0.125"),
    ],
)
def test_exact_numbers_are_shown_whole_or_marked_as_cut(value: Fraction, text: str) -> None:
    assert decimal_text(value) == text


def test_kept_decimals_are_shown_even_when_zero() -> None:
    assert decimal_text(Fraction(13, 10), keep=4) == "1.3000"
