"""Points are floored per bill and settlement, and never buy more than there is (M10)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import Refusal
from backend.money import AmountRefused
from backend.points.rules import (
    Deduction,
    Taken,
    deduct_points,
    points_earned,
    points_to_claw_back,
    settle_shortage,
    take_back,
)


def test_points_are_earned_on_cleared_principal_and_floored_after_all_factors() -> None:
    assert points_earned(principal_paid=14293, points_per_yuan="1") == 142
    assert points_earned(principal_paid=14293, points_per_yuan="1", factors=["1.5", "2"]) == 428
    assert points_earned(principal_paid=14293, points_per_yuan="0.5") == 71
    assert points_earned(principal_paid=14293, points_per_yuan="1", not_cleared=500) == 137
    assert points_earned(principal_paid=99, points_per_yuan="1") == 0


def test_a_point_may_be_worth_more_or_less_than_a_fen() -> None:
    def buy(points: int, exchange: tuple[int, int], left: int = 14293, **more: Any) -> Deduction:
        return deduct_points(
            points=points,
            exchange_points=exchange[0],
            exchange_fen=exchange[1],
            principal_left=left,
            **more,
        )

    assert buy(500, (1, 1)) == Deduction(500, 500)
    assert buy(10, (3, 1)) == Deduction(3, 9)
    assert buy(5, (1, 3), left=10) == Deduction(10, 4)
    assert buy(20000, (1, 1)) == Deduction(14293, 14293)
    assert buy(20000, (1, 1), max_percent="50") == Deduction(7146, 7146)
    assert buy(0, (1, 1)) == Deduction(0, 0)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"exchange_points": 0}, "bad_exchange"),
        ({"exchange_fen": -1}, "bad_exchange"),
        ({"points": -1}, "too_small"),
        ({"points": 1.5}, "not_whole"),
        ({"principal_left": -1}, "too_small"),
        ({"max_percent": "101"}, "percent_out_of_range"),
    ],
)
def test_an_exchange_that_means_nothing_is_refused(given: dict[str, Any], code: str) -> None:
    usual = {"points": 5, "exchange_points": 1, "exchange_fen": 1, "principal_left": 5}
    with pytest.raises((Refusal, AmountRefused)) as refusal:
        deduct_points(**(usual | given))
    assert refusal.value.code == code


def test_a_claw_back_never_takes_the_balance_below_zero() -> None:
    assert take_back(balance=100, points=142) == Taken(points=100, short=42)
    assert settle_shortage(shortage=42, earned=30) == Taken(points=0, short=12)
    assert settle_shortage(shortage=12, earned=30) == Taken(points=18, short=0)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**5), max_size=5))
def test_several_refunds_take_exactly_what_one_takes(paid: int, refunds: list[int]) -> None:
    def earned(fen: int) -> int:
        return points_earned(principal_paid=fen, points_per_yuan="1.25", factors=["1.1"])

    left, held, taken = paid, earned(paid), 0
    for refund in (r for r in refunds if r <= left):
        if refund > left:
            break
        left -= refund
        clawed = points_to_claw_back(earned_before=held, earned_on_rest=earned(left))
        held, taken = held - clawed, taken + clawed
    assert taken == earned(paid) - earned(left)


@given(
    st.integers(0, 10**5),
    st.integers(1, 1000),
    st.integers(1, 1000),
    st.integers(0, 10**5),
    st.none() | st.integers(0, 100),
)
def test_points_used_are_the_fewest_that_buy_the_fen(
    points: int, per: int, fen: int, left: int, percent: int | None
) -> None:
    bought = deduct_points(
        points=points,
        exchange_points=per,
        exchange_fen=fen,
        principal_left=left,
        max_percent=percent,
    )
    assert 0 <= bought.fen <= left
    assert bought.points_used <= points
    assert bought.points_used * fen // per >= bought.fen
    if bought.points_used:
        assert (bought.points_used - 1) * fen // per < bought.fen
