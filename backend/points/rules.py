"""Points are whole numbers, earned on cleared principal and spent as whole fen (M10).

Each bill of each settlement is floored on its own, so a refund can take back exactly what that
bill earned: earned − floor(points of what remains paid) (M9, A48). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from backend.errors import Refusal
from backend.money import (
    PERCENT_PLACES,
    RATE_PLACES,
    Fen,
    Number,
    exact,
    percent_share,
    require_fen,
    require_whole,
)


class Deduction(NamedTuple):
    """What points buy: `fen` off the principal for `points_used` points."""

    fen: Fen
    points_used: int


class Taken(NamedTuple):
    """A claw-back or a repayment: `points` moved, `short` what is still owed (A49)."""

    points: int
    short: int


def points_earned(
    *,
    principal_paid: Fen,
    points_per_yuan: Number,
    factors: Iterable[Number] = (),
    not_cleared: Fen = 0,
) -> int:
    """Return the points of one bill in one settlement, floored once (M10, A50).

    principal_paid: fen applied to the bill's principal, without late fees; not_cleared: the part of
    it that points or discounts paid, which earns nothing; factors multiply before the floor.
    Raises AmountRefused, Refusal `negative_points`.
    """
    require_fen(principal_paid, what="本金", minimum=0)
    per_fen = exact(points_per_yuan, places=RATE_PLACES, what="积分比例") / 100
    for factor in factors:
        per_fen *= exact(factor, places=PERCENT_PLACES, what="积分倍数")
    if per_fen < 0:
        raise Refusal("negative_points", message_zh="积分比例和倍数不能为负。", http=422)
    return int(max(0, principal_paid - not_cleared) * per_fen)


def deduct_points(
    *,
    points: int,
    exchange_points: int,
    exchange_fen: Fen,
    principal_left: Fen,
    max_percent: Number | None = None,
) -> Deduction:
    """Return what `points` pay of a bill (M10, A51).

    exchange_points buy exchange_fen. fen = floor(points × exchange), at most the principal left and
    floor(max % × principal left); points_used = the fewest whole points that buy it.
    500 points at 1:1 on 14293 fen → 500 fen for 500 points.
    Raises Refusal `bad_exchange`, AmountRefused for negative or fractional inputs.
    """
    require_whole(points, what="积分", minimum=0)
    require_fen(principal_left, what="未付本金", minimum=0)
    rate = _exchange(exchange_points, exchange_fen)
    limit = principal_left
    if max_percent is not None:
        limit = min(limit, int(principal_left * percent_share(max_percent, what="抵扣上限")))
    fen = min(int(points * rate), limit)
    return Deduction(fen=fen, points_used=ceil(fen / rate))


def _exchange(points: int, fen: Fen) -> Fraction:
    if min(require_whole(points, what="积分"), require_fen(fen, what="抵扣金额")) < 1:
        raise Refusal("bad_exchange", message_zh="积分兑换比例须为正整数。", http=422)
    return Fraction(fen, points)


def points_to_claw_back(*, earned_before: int, earned_on_rest: int) -> int:
    """Return what a refund takes back of one bill and settlement (M9, A48).

    earned_before: points still held from it; earned_on_rest: `points_earned` on what remains paid.
    Several refunds take exactly what one takes.
    """
    return earned_before - earned_on_rest


def take_back(*, balance: int, points: int) -> Taken:
    """Return how much of a claw-back the balance can bear; it never goes below zero (A49)."""
    taken = min(balance, points)
    return Taken(points=taken, short=points - taken)


def settle_shortage(*, shortage: int, earned: int) -> Taken:
    """Return what new points reach the balance after an old shortage is met, and what is left."""
    used = min(shortage, earned)
    return Taken(points=earned - used, short=shortage - used)
