"""Money is a whole number of fen, and a decimal is exact or refused.

Three ideas the rest of the product leans on:

* an amount at rest, in the ledger or in JSON is an `int` of fen (1 元 = 100 fen), never a float;
* everything on the way to an amount (area, rate, percentage, share of a month) is a `Fraction`,
  so nothing is lost before the one rounding that ends a line (`round_half_up`);
* an input with more decimals than its kind allows is refused, never cut off (A63): a cut digit
  is a fen that two people compute differently.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

Fen: TypeAlias = int
Number: TypeAlias = int | str | Decimal

# Decimals an input may carry (M preamble, A25, A63).
AREA_PLACES = 4
RATE_PLACES = 4
AMOUNT_PLACES = 4
PERCENT_PLACES = 4
UNIT_PRICE_PLACES = 6
READING_PLACES = 3
DAILY_RATE_PLACES = 10

_PLAIN = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)


class AmountRefused(ValueError):
    """A number that cannot be taken exactly; `code` is stable, `message_zh` is for people."""

    def __init__(self, code: str, message_zh: str) -> None:
        super().__init__(message_zh)
        self.code = code
        self.message_zh = message_zh


def round_half_up(value: Fraction) -> Fen:
    """Round to a whole number, halves away from zero (M preamble: 0.5 → 1, −0.5 → −1).

    The only rounding in the product; call it once, at the end of a line.
    """
    whole = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return whole if value >= 0 else -whole


def exact(value: Number, *, places: int, what: str = "数值") -> Fraction:
    """Return the number as a `Fraction`, checked to have at most `places` decimals.

    value: int, Decimal or decimal text ("1.3", "-20"); trailing zeros do not count as decimals.
    what: the Chinese name of the field, used in the refusal.
    Raises AmountRefused `not_exact` for a float or a bool, `not_a_number` for anything that is no
    plain decimal, `too_many_decimals` beyond `places` (A63).
    """
    if isinstance(value, bool | float) or not isinstance(value, int | str | Decimal):
        raise AmountRefused("not_exact", f"{what}须为整数或十进制文本，不能是浮点数。")
    if isinstance(value, int):
        return Fraction(value)
    text = str(value).strip() if isinstance(value, str) else format(value, "f")
    if not _PLAIN.fullmatch(text):
        raise AmountRefused("not_a_number", f"{what}「{text}」不是数字。")
    number = Fraction(text)
    if (number * 10**places).denominator != 1:
        raise AmountRefused("too_many_decimals", f"{what}「{text}」的小数超过 {places} 位。")
    return number


def percent_share(percent: Number, *, what: str = "比例") -> Fraction:
    """Return a percentage as a share: "70" → 7/10 (A12).

    Raises AmountRefused `percent_out_of_range` outside 0–100, and those of `exact` (4 decimals).
    """
    share = exact(percent, places=PERCENT_PLACES, what=what) / 100
    if not 0 <= share <= 1:
        raise AmountRefused("percent_out_of_range", f"{what}须在 0 到 100 之间。")
    return share


def require_whole(
    value: object, *, what: str = "数量", minimum: int | None = None, unit: str = ""
) -> int:
    """Return `value` if it is a whole number, at least `minimum` where one is given.

    Raises AmountRefused `not_whole` for anything but an int, `too_small` below the minimum.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise AmountRefused("not_whole", f"{what}须为整数{unit}。")
    if minimum is not None and value < minimum:
        raise AmountRefused("too_small", f"{what}不能小于 {minimum}{unit}。")
    return value


def require_fen(value: object, *, what: str = "金额", minimum: Fen | None = None) -> Fen:
    """Return `value` if it is whole fen, at least `minimum`; raises as `require_whole`."""
    return require_whole(value, what=what, minimum=minimum, unit="分")


def yuan_to_fen(text: Number) -> Fen:
    """Return the fen of an amount in yuan: "1234.05" or "1,234.05" → 123405.

    Raises AmountRefused as `exact` does; three decimals are refused, not rounded.
    """
    if isinstance(text, str) and _GROUPED.fullmatch(text.strip()):
        text = text.replace(",", "")
    return int(exact(text, places=2, what="金额") * 100)


def yuan_text(fen: Fen, *, grouped: bool = False) -> str:
    """Return fen as yuan with two decimals: 123405 → "1234.05", grouped "1,234.05"."""
    require_fen(fen)
    yuan, rest = divmod(abs(fen), 100)
    sign = "-" if fen < 0 else ""
    return f"{sign}{yuan:,}.{rest:02d}" if grouped else f"{sign}{yuan}.{rest:02d}"


def decimal_text(value: Fraction, *, places: int = 6, keep: int = 0) -> str:
    """Return an exact number for people; "…" marks one that does not end within `places`.

    keep: decimals shown even when zero. 1.3 with keep=4 → "1.3000"; 1/3 → "0.333333…".
    """
    scaled = abs(value) * 10**places
    digits = f"{int(scaled):0{places + 1}d}"
    whole, fraction = digits[: len(digits) - places], digits[len(digits) - places :]
    tail = "" if scaled.denominator == 1 else "…"
    if not tail:
        fraction = fraction[:keep] + fraction[keep:].rstrip("0")
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{fraction}{tail}" if fraction else f"{sign}{whole}"
