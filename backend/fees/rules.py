"""A bill line: one monthly price, one charged share, one period, one rounding (M1–M4).

Everything that makes the price of a month (area × rate + surcharge, or a fixed amount) is one
number; a change of any of it, or of the share that is charged, ends the line (A04, A14). So a
period is first cut into its longest runs of one price and one share, each run is rounded once, and
only then is a run split over the parties that held the house (A15). The parts of a run always add
up to the run (M3). Pure: plain values in, fen out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import groupby

from backend.errors import Refusal
from backend.money import (
    AMOUNT_PLACES,
    AREA_PLACES,
    RATE_PLACES,
    Fen,
    Number,
    exact,
    percent_share,
    require_fen,
    require_whole,
    round_half_up,
)
from backend.periods import cut, months_between, require_period

WHOLE = Fraction(1)


@dataclass(frozen=True, slots=True)
class PriceStep:
    """From `start` on, a month costs `monthly` yuan (exact) under the published `version`."""

    start: date
    monthly: Fraction
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """From `start` on `party` is liable and is charged `share`; party None: billed to nobody."""

    start: date
    party: str | None
    share: Fraction = WHOLE


@dataclass(frozen=True, slots=True)
class Reduction:
    """Within `[start, end)` only `share` is charged (vacancy, agreement); end None is open."""

    start: date
    end: date | None
    share: Fraction


@dataclass(frozen=True, slots=True)
class Part:
    """What one party owes of a line."""

    party: str | None
    start: date
    end: date
    months: Fraction
    fen: Fen


@dataclass(frozen=True, slots=True)
class Line:
    """One rounded line; `exact_fen` is the number before its rounding, parts sum to `fen`."""

    start: date
    end: date
    monthly: Fraction
    share: Fraction
    months: Fraction
    exact_fen: Fraction
    fen: Fen
    versions: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class _Segment:
    start: date
    end: date
    price: PriceStep
    holder: int
    party: str | None
    share: Fraction


def monthly_price(
    *,
    area: Number | None = None,
    rate: Number | None = None,
    surcharge: Number | None = None,
    fixed: Number | None = None,
    quantity: int = 1,
    yearly: bool = False,
) -> Fraction:
    """Return the exact price of one month in yuan (M1).

    area ㎡ × rate 元/㎡ + surcharge 元, or fixed 元, times quantity (parking spaces); a price by
    the year counts 1/12 a month (A04). Raises Refusal `price_incomplete`, `price_ambiguous` (fixed
    and rate together), `negative_area`; AmountRefused beyond four decimals.
    """
    extra = exact(surcharge or 0, places=AMOUNT_PLACES, what="附加费")
    if fixed is not None:
        if rate is not None or extra:
            raise Refusal("price_ambiguous", message_zh="固定金额与单价不能同时使用。", http=422)
        price = exact(fixed, places=AMOUNT_PLACES, what="固定金额")
    elif area is None or rate is None:
        raise Refusal("price_incomplete", message_zh="缺少面积、单价或固定金额。", http=422)
    else:
        square = exact(area, places=AREA_PLACES, what="面积")
        if square < 0:
            raise Refusal("negative_area", message_zh="面积不能为负。", http=422)
        price = square * exact(rate, places=RATE_PLACES, what="单价") + extra
    price *= require_whole(quantity, minimum=1)
    return price / 12 if yearly else price


def charged_share(percents: Iterable[Number] = (), *, lowest_only: bool = False) -> Fraction:
    """Return the share that is charged under several percentages (A12, A13).

    They multiply; `lowest_only` is the local rule under which only the best one counts.
    Raises AmountRefused outside 0–100.
    """
    shares = [percent_share(percent) for percent in percents]
    if lowest_only:
        return min(shares, default=WHOLE)
    product = WHOLE
    for share in shares:
        product *= share
    return product


def line_exact(*, monthly: Fraction, months: Fraction, share: Fraction = WHOLE) -> Fraction:
    """Return the exact fen of a line before its rounding: price × months × share (M1, M4)."""
    return monthly * months * share * 100


def line_fen(
    *,
    monthly: Fraction,
    start: date,
    end: date,
    anchor_day: int = 1,
    share: Fraction = WHOLE,
) -> Fen:
    """Return the fen of one line over `[start, end)`, rounded once (M1, M2, M4).

    94.56 ㎡ × 1.3 元 + 20 元 over six months → 85757. Raises PeriodRefused for an empty period.
    """
    months = months_between(start, end, anchor_day=anchor_day)
    return round_half_up(line_exact(monthly=monthly, months=months, share=share))


def split_whole(whole: Fen, exact_parts: Sequence[Fraction]) -> list[Fen]:
    """Return rounded parts, in order, that sum to `whole` (M3, A09).

    exact_parts: the exact fen of each part, all of the sign of `whole`. Every part but the last is
    rounded and never more than what is left; the last takes the rest. A negative whole is the
    mirror of its positive. Raises Refusal `nothing_to_split` without parts.
    """
    if not exact_parts:
        raise Refusal("nothing_to_split", message_zh="没有可分摊的部分。", http=422)
    sign, left = (-1, -whole) if whole < 0 else (1, whole)
    parts = []
    for part in exact_parts[:-1]:
        fen = max(0, min(round_half_up(sign * part), left))
        parts.append(sign * fen)
        left -= fen
    return [*parts, sign * left]


def bill_lines(
    *,
    start: date,
    end: date,
    prices: Sequence[PriceStep],
    holdings: Sequence[Holding] = (),
    reductions: Sequence[Reduction] = (),
    share: Fraction = WHOLE,
    anchor_day: int = 1,
) -> list[Line]:
    """Return the lines of `[start, end)` in date order, each with its parts (M3, A10–A16).

    holdings: none means one nameless party; of several on one day the last listed has the day
    (A11); days before the first, or of party None, are billed to nobody and end a line (A16).
    share: charged throughout. Raises PeriodRefused `empty_period`, Refusal `no_price` if a billed
    day has no price.
    """
    holders = sorted(holdings, key=lambda h: h.start) or [Holding(start, None)]
    segments = _segments(
        start=start, end=end, prices=prices, holders=holders, reductions=reductions, share=share
    )
    if holdings:
        segments = [segment for segment in segments if segment.party is not None]
    return [_line(run, anchor_day) for run in _runs(segments)]


def _segments(
    *,
    start: date,
    end: date,
    prices: Sequence[PriceStep],
    holders: Sequence[Holding],
    reductions: Sequence[Reduction],
    share: Fraction,
) -> list[_Segment]:
    spans = [r for r in reductions if r.end is None or require_period(r.start, r.end)]
    steps = sorted(prices, key=lambda step: step.start)
    days = [x.start for x in (*steps, *holders, *spans)] + [r.end for r in spans if r.end]
    segments = []
    for first, last in cut(start, end, days):
        holder = max((i for i, h in enumerate(holders) if h.start <= first), default=None)
        if holder is None:
            continue
        price = next((step for step in reversed(steps) if step.start <= first), None)
        if price is None:
            raise Refusal("no_price", message_zh=f"{first} 起没有适用的收费标准。", http=422)
        charged = share * holders[holder].share
        for r in spans:
            if r.start <= first and (r.end is None or first < r.end):
                charged *= r.share
        segments.append(_Segment(first, last, price, holder, holders[holder].party, charged))
    return segments


def _runs(segments: Sequence[_Segment]) -> list[list[_Segment]]:
    runs: list[list[_Segment]] = []
    for segment in segments:
        before = runs[-1][-1] if runs else None
        if (
            before is not None
            and before.end == segment.start
            and before.price.monthly == segment.price.monthly
            and before.share == segment.share
        ):
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return runs


def _line(run: Sequence[_Segment], anchor_day: int) -> Line:
    start, end = run[0].start, run[-1].end
    monthly, share = run[0].price.monthly, run[0].share
    spans = []
    for _, group in groupby(run, key=lambda segment: segment.holder):
        held = list(group)
        months = months_between(held[0].start, held[-1].end, anchor_day=anchor_day)
        spans.append((held[0].party, held[0].start, held[-1].end, months))
    months = sum((span[3] for span in spans), Fraction(0))
    whole = line_exact(monthly=monthly, months=months, share=share)
    exacts = [line_exact(monthly=monthly, months=span[3], share=share) for span in spans]
    fens = split_whole(round_half_up(whole), exacts)
    versions = dict.fromkeys(s.price.version for s in run if s.price.version is not None)
    return Line(
        start=start,
        end=end,
        monthly=monthly,
        share=share,
        months=months,
        exact_fen=whole,
        fen=round_half_up(whole),
        versions=tuple(versions),
        parts=tuple(Part(*span, fen) for span, fen in zip(spans, fens, strict=True)),
    )


def discount_line(*, line: Fen, percent: Number | None = None, amount: Fen | None = None) -> Fen:
    """Return the early-payment discount of one rounded line, zero or negative (M4, A17).

    percent: the share taken *off*; amount: a fixed sum of fen. Never more than the line; none on a
    line that is not positive. Raises Refusal `discount_ambiguous` unless exactly one is given.
    """
    if (percent is None) == (amount is None):
        raise Refusal("discount_ambiguous", message_zh="优惠须为比例或金额之一。", http=422)
    if line <= 0:
        return 0
    if amount is not None:
        return -min(line, require_fen(amount, what="优惠金额", minimum=0))
    return -min(line, round_half_up(line * percent_share(percent, what="优惠比例")))
