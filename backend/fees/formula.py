"""The sentence under a bill line that lets an owner recompute it by hand (C53, C35).

Built from the stored columns of the line, never from the amount: if the two disagree the reader
sees it. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction

from backend.fees.rules import charged_share, line_exact, monthly_price
from backend.money import (
    AMOUNT_PLACES,
    AREA_PLACES,
    PERCENT_PLACES,
    RATE_PLACES,
    Fen,
    Number,
    decimal_text,
    exact,
    round_half_up,
    yuan_text,
)
from backend.periods import month_pieces


def months_text(start: date, end: date, *, anchor_day: int = 1) -> str:
    """Return the months of a period as an owner counts them: "16/31 + 1 + 10/31" or "6" (M2).

    Raises PeriodRefused for an empty period.
    """
    terms: list[str] = []
    whole = 0
    for piece in month_pieces(start, end, anchor_day=anchor_day):
        if piece.days == piece.length:
            whole += 1
            continue
        if whole:
            terms.append(str(whole))
            whole = 0
        terms.append(f"{piece.days}/{piece.length}")
    if whole:
        terms.append(str(whole))
    return " + ".join(terms)


def formula_text(
    *,
    start: date,
    end: date,
    anchor_day: int = 1,
    area: Number | None = None,
    rate: Number | None = None,
    surcharge: Number | None = None,
    fixed: Number | None = None,
    quantity: int = 1,
    yearly: bool = False,
    percents: Sequence[Number] = (),
    charged_fen: Fen | None = None,
) -> str:
    """Return the Chinese formula of a line.

    "94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元". charged_fen: what this party is charged
    when the line was split; a last part that differs from its own rounding says so (M3).
    Raises as `monthly_price`, `charged_share` and `month_pieces` do.
    """
    price = _price_text(area=area, rate=rate, surcharge=surcharge, fixed=fixed, yearly=yearly)
    months = months_text(start, end, anchor_day=anchor_day)
    factors = [] if months == "1" else [f"({months})个月" if " " in months else f"{months}个月"]
    if quantity != 1:
        factors.insert(0, str(quantity))
    factors += [f"{_plain(percent, PERCENT_PLACES)}%" for percent in percents]
    if yearly:
        factors.insert(0, "1/12")
    if factors and (" + " in price or " − " in price):
        price = f"({price})"
    pieces = month_pieces(start, end, anchor_day=anchor_day)
    fen = line_exact(
        monthly=monthly_price(
            area=area,
            rate=rate,
            surcharge=surcharge,
            fixed=fixed,
            quantity=quantity,
            yearly=yearly,
        ),
        months=sum((Fraction(piece.days, piece.length) for piece in pieces), Fraction(0)),
        share=charged_share(percents),
    )
    rounded = round_half_up(fen)
    text = " × ".join([price, *factors]) + f" = {decimal_text(fen / 100)} → {yuan_text(rounded)}元"
    if charged_fen is None or charged_fen == rounded:
        return text
    return f"{text}（整行拆分后尾差归最后一段，本段 {yuan_text(charged_fen)}元）"


def _price_text(
    *,
    area: Number | None,
    rate: Number | None,
    surcharge: Number | None,
    fixed: Number | None,
    yearly: bool,
) -> str:
    unit = "年" if yearly else "月"
    if fixed is not None:
        return f"{_plain(fixed, AMOUNT_PLACES)}元/{unit}"
    unit_price = decimal_text(exact(rate or 0, places=RATE_PLACES, what="单价"), keep=RATE_PLACES)
    text = f"{_plain(area or 0, AREA_PLACES)}㎡ × {unit_price}元/㎡·{unit}"
    extra = exact(surcharge or 0, places=AMOUNT_PLACES, what="附加费")
    if not extra:
        return text
    return f"{text} {'+' if extra > 0 else '−'} {decimal_text(abs(extra))}元"


def _plain(value: Number, places: int) -> str:
    return decimal_text(exact(value, places=places))
