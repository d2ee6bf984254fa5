"""What a late bill costs (M7): one pure function of the principal, what moved it, and the terms.

Late fee is never stored day by day; it is derived for any date. Days are grouped into runs between
the dates on which the base or the rate can change, so ten years cost as little as ten days.
Fractions of a fen live until one rounding at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache

from backend.errors import Refusal
from backend.money import (
    DAILY_RATE_PLACES,
    PERCENT_PLACES,
    Fen,
    Number,
    decimal_text,
    exact,
    round_half_up,
    yuan_text,
)

DAY = timedelta(days=1)
ZERO = Fraction(0)
# The sign an amount of each kind must have: a refund raises the principal, the others lower it.
CHANGE_KINDS = {"payment": 1, "credit": 1, "waiver": 1, "correction": 1, "refund": -1}


@dataclass(frozen=True, slots=True)
class PrincipalChange:
    """A change of open principal; amount in fen, positive lowers it (as the stored events do).

    kind payment | credit | waiver | refund: felt from the day after `day`, a refund is negative and
    never backdated (M7, A36, A37). correction: our own error, as if the bill had been issued so,
    for every day and for the cap (A36).
    """

    day: date
    kind: str
    amount: Fen


@dataclass(frozen=True, slots=True)
class Freeze:
    """Days `[start, end)` without late fee; end None is open; amount None is the whole bill."""

    start: date
    end: date | None = None
    amount: Fen | None = None


@dataclass(frozen=True, slots=True)
class Ceiling:
    """From `start` until the next row, at most `annual` a year (0.12 is 12 %), ÷ 365 a day."""

    start: date
    annual: Number | Fraction


@dataclass(frozen=True, slots=True)
class LateFeeTerms:
    """The clause and its limits. ceilings None: ceiling switched off; (): nothing may be charged.

    daily_rate: per day (0.003 is 3‰), None without a clause; cap_percent: of the original
    principal, None without a cap; clause_proved False: rate 0 (C8, `E-C08`).
    """

    daily_rate: Number | None
    ceilings: tuple[Ceiling, ...] | None
    cap_percent: Number | None
    clause_proved: bool
    grace_days: int = 15
    clause_from: date | None = None


@dataclass(frozen=True, slots=True)
class LateFeeStep:
    """Days `[start, end)` of one base and one rate; annual is set where a ceiling binds."""

    start: date
    end: date
    base: Fen
    rate: Fraction
    annual: Fraction | None = None

    @property
    def days(self) -> int:
        """Return the number of charged days."""
        return (self.end - self.start).days

    @property
    def exact_fen(self) -> Fraction:
        """Return the unrounded fen of the run."""
        return self.base * self.days * self.rate


@dataclass(frozen=True, slots=True)
class LateFee:
    """The accrued fee in fen; exact_fen before rounding and cap; cap_fen None without a cap."""

    fen: Fen
    exact_fen: Fraction
    cap_fen: Fen | None
    steps: tuple[LateFeeStep, ...]

    @property
    def capped(self) -> bool:
        """Return whether the cap took something off."""
        return self.cap_fen is not None and round_half_up(self.exact_fen) > self.cap_fen


@lru_cache(maxsize=512)
def daily_rates(terms: LateFeeTerms) -> tuple[tuple[date, Fraction, Fraction | None], ...]:
    """Return (from date, rate per day, annual ceiling if it binds) rows in date order (A30).

    Each row is in force until the next; the first starts at `date.min`.
    Raises Refusal `negative_rate`, AmountRefused beyond ten decimals.
    """
    zero = (date.min, ZERO, None)
    if terms.daily_rate is None or not terms.clause_proved:
        return (zero,)
    contract = _rate(terms.daily_rate, "违约金日费率")
    rows: list[tuple[date, Fraction, Fraction | None]] = [(date.min, contract, None)]
    if terms.ceilings is not None:
        by_date = {row.start: _rate(row.annual, "年费率上限") for row in terms.ceilings}
        capped = [(day, min(contract, a / 365), a) for day, a in sorted(by_date.items())]
        rows = [zero, *((d, r, a if a / 365 < contract else None) for d, r, a in capped)]
    if terms.clause_from is None:
        return tuple(rows)
    at_start = [row for row in rows if row[0] <= terms.clause_from][-1]
    later = [row for row in rows if row[0] > terms.clause_from]
    return (zero, (terms.clause_from, *at_start[1:]), *later)


def _rate(value: Number | Fraction, what: str) -> Fraction:
    number = value
    if not isinstance(number, Fraction):
        number = exact(number, places=DAILY_RATE_PLACES, what=what)
    if number < 0:
        raise Refusal("negative_rate", message_zh=f"{what}不能为负。", http=422)
    return number


def late_fee_steps(
    *,
    principal: Fen,
    due: date,
    as_of: date,
    terms: LateFeeTerms,
    changes: Sequence[PrincipalChange] = (),
    freezes: Sequence[Freeze] = (),
) -> list[LateFeeStep]:
    """Return the charged runs of days up to and including `as_of`, in date order (M7).

    principal: as issued, fen; a payment on day d lowers the base from d + 1. Overlapping whole
    freezes freeze once, amounts add up (A33). Raises Refusal `negative_grace`, `bad_change`,
    `bad_freeze`.
    """
    _check(terms=terms, changes=changes, freezes=freezes)
    first, stop = due + (terms.grace_days + 1) * DAY, as_of + DAY
    if stop <= first:
        return []
    rates = daily_rates(terms)
    issued = corrected_principal(principal=principal, changes=changes)
    moves = [change for change in changes if change.kind != "correction"]
    days = {move.day + DAY for move in moves} | {row[0] for row in rates}
    for freeze in freezes:
        days |= {freeze.start, freeze.end or stop}
    bounds = [first, *sorted(day for day in days if first < day < stop), stop]
    steps: list[LateFeeStep] = []
    for start, end in zip(bounds, bounds[1:], strict=False):
        paid = sum(move.amount for move in moves if move.day < start)
        base = _unfrozen(issued - paid, start, freezes)
        _, rate, annual = [row for row in rates if row[0] <= start][-1]
        if base <= 0 or rate == 0:
            continue
        last = steps[-1] if steps else None
        if last and (last.end, last.base, last.rate) == (start, base, rate):
            steps[-1] = LateFeeStep(last.start, end, base, rate, annual)
        else:
            steps.append(LateFeeStep(start, end, base, rate, annual))
    return steps


def corrected_principal(*, principal: Fen, changes: Sequence[PrincipalChange] = ()) -> Fen:
    """Return the principal as if the bill had been issued correctly, never below zero (A36)."""
    corrections = sum(change.amount for change in changes if change.kind == "correction")
    return max(0, principal - corrections)


def _check(
    *, terms: LateFeeTerms, changes: Sequence[PrincipalChange], freezes: Sequence[Freeze]
) -> None:
    if terms.grace_days < 0:
        raise Refusal("negative_grace", message_zh="宽限天数不能为负。", http=422)
    for change in changes:
        if change.kind not in CHANGE_KINDS or change.amount * CHANGE_KINDS[change.kind] < 0:
            raise Refusal(
                "bad_change",
                message_zh="本金变动的种类或方向有误；调增金额不能追溯。",
                what_to_do="调增请另开一张账单。",
                http=422,
            )
    for freeze in freezes:
        reversed_span = freeze.end is not None and freeze.end < freeze.start
        if reversed_span or (freeze.amount is not None and freeze.amount < 0):
            raise Refusal("bad_freeze", message_zh="暂停计收的期间或金额有误。", http=422)


def _unfrozen(unpaid: Fen, day: date, freezes: Sequence[Freeze]) -> Fen:
    for freeze in freezes:
        if freeze.start <= day and (freeze.end is None or day < freeze.end):
            if freeze.amount is None:
                return 0
            unpaid -= freeze.amount
    return unpaid


def late_fee(
    *,
    principal: Fen,
    due: date,
    as_of: date,
    terms: LateFeeTerms,
    changes: Sequence[PrincipalChange] = (),
    freezes: Sequence[Freeze] = (),
) -> LateFee:
    """Return the late fee a bill has accrued up to and including `as_of` (M7, A28–A41, A46).

    Everything ever accrued, paid and waived late fee included; simple, on principal only; rounded
    once; never above cap % × the corrected principal. Arguments and refusals as `late_fee_steps`.
    116085 fen due 2026-03-15, grace 0, 3‰, as of 2026-03-25: 10 days, 3482.55 → 3483.
    """
    steps = late_fee_steps(
        principal=principal,
        due=due,
        as_of=as_of,
        terms=terms,
        changes=changes,
        freezes=freezes,
    )
    total = sum((step.exact_fen for step in steps), ZERO)
    fen, cap = round_half_up(total), None
    if terms.cap_percent is not None:
        cap_share = exact(terms.cap_percent, places=PERCENT_PLACES, what="违约金封顶比例") / 100
        if cap_share < 0:
            raise Refusal("negative_rate", message_zh="违约金封顶比例不能为负。", http=422)
        cap = round_half_up(corrected_principal(principal=principal, changes=changes) * cap_share)
        fen = min(fen, cap)
    return LateFee(fen=fen, exact_fen=total, cap_fen=cap, steps=tuple(steps))


def late_fee_to_post(*, accrued: Fen, posted: Fen) -> Fen:
    """Return what is still to be posted; negative after a backdated freeze or correction (A39)."""
    return accrued - posted


def step_text(step: LateFeeStep) -> str:
    """Return one run in words, for letters and statements (M12, C10, C35).

    "2026-03-16 至 2026-03-25 共10天：1160.85元 × 0.3%/天 = 34.8255元".
    """
    rate = (
        f"{decimal_text(step.rate * 100)}%/天"
        if step.annual is None
        else f"年{decimal_text(step.annual * 100)}%÷365/天"
    )
    amount = decimal_text(step.exact_fen / 100)
    return (
        f"{step.start} 至 {step.end - DAY} 共{step.days}天："
        f"{yuan_text(step.base)}元 × {rate} × {step.days}天 = {amount}元"
    )
