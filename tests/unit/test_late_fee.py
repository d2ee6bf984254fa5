"""The late fee of a bill on any day, against worked figures and a naive day-by-day count (M7)."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.billing.late_fee import (
    Ceiling,
    Freeze,
    LateFeeTerms,
    PrincipalChange,
    corrected_principal,
    daily_rates,
    late_fee,
    late_fee_steps,
    late_fee_to_post,
    step_text,
)
from backend.errors import Refusal
from backend.money import AmountRefused

DUE = date(2026, 3, 15)
AS_OF = date(2026, 3, 25)
BARE = LateFeeTerms(
    daily_rate="0.003", ceilings=None, cap_percent=None, clause_proved=True, grace_days=0
)
TWELVE = replace(BARE, ceilings=(Ceiling(date(2025, 1, 1), "0.12"),))


def fee(**given: Any) -> int:
    bill = {"principal": 116085, "due": DUE, "as_of": AS_OF, "terms": BARE} | given
    return late_fee(**bill).fen


def on(day: int, kind: str, amount: int) -> PrincipalChange:
    return PrincipalChange(date(2026, 3, day), kind, amount)


@pytest.mark.covers("C10")
def test_ten_days_at_three_per_mille() -> None:
    assert fee() == 3483


def test_a_ceiling_of_twelve_percent_a_year_binds() -> None:
    assert fee(terms=TWELVE) == 382


def test_a_year_has_365_days_also_when_it_is_a_leap_year() -> None:
    days = {"due": date(2028, 1, 1), "as_of": date(2028, 12, 31), "terms": TWELVE}
    assert fee(principal=365000, **days) == 365000 * 365 * 12 // 36500


@pytest.mark.covers("C10")
def test_the_first_charged_day_follows_due_date_and_grace() -> None:
    terms = replace(BARE, grace_days=9)
    assert fee(terms=terms, as_of=date(2026, 3, 24)) == 0
    assert fee(terms=terms) == 348
    assert fee(as_of=DUE) == 0


@pytest.mark.covers("C8")
def test_without_a_proved_clause_nothing_is_charged() -> None:
    assert fee(terms=replace(BARE, clause_proved=False)) == 0
    assert fee(terms=replace(BARE, daily_rate=None)) == 0
    assert fee(terms=replace(BARE, daily_rate=0)) == 0


def test_a_clause_charges_from_its_start_date() -> None:
    assert fee(terms=replace(BARE, clause_from=date(2026, 3, 21))) == 1741
    late = replace(TWELVE, clause_from=date(2026, 3, 21))
    assert fee(terms=late) == 191


def test_before_the_first_row_of_the_ceiling_table_nothing_may_be_charged() -> None:
    assert fee(terms=replace(BARE, ceilings=())) == 0
    assert fee(terms=replace(BARE, ceilings=(Ceiling(date(2026, 3, 21), "5"),))) == 1741


def test_each_row_of_the_table_is_in_force_until_the_next() -> None:
    rows = (Ceiling(date(2026, 3, 21), "0.06"), Ceiling(date(2025, 1, 1), Fraction(12, 100)))
    result = late_fee(principal=116085, due=DUE, as_of=AS_OF, terms=replace(BARE, ceilings=rows))
    assert [(s.days, s.rate) for s in result.steps] == [
        (5, Fraction(12, 36500)),
        (5, Fraction(6, 36500)),
    ]
    assert result.fen == 286


def test_multiples_of_a_reference_rate_stay_exact() -> None:
    annual = Fraction("3.45") * Fraction("1.3") / 100
    terms = replace(BARE, ceilings=(Ceiling(date(2025, 1, 1), annual),))
    assert daily_rates(terms)[-1] == (date(2025, 1, 1), Fraction("0.04485") / 365, annual)


def test_a_payment_lowers_the_base_from_the_next_day() -> None:
    assert fee(changes=[on(20, "payment", 16085)]) == 3241
    assert fee(changes=[on(25, "payment", 116085)]) == 3483
    assert fee(changes=[on(15, "payment", 116085)]) == 0


def test_a_refund_raises_the_base_from_the_next_day_and_never_backwards() -> None:
    changes = [on(15, "payment", 116085), on(20, "refund", -116085)]
    assert fee(changes=changes) == 1741


def test_goodwill_works_like_a_payment_and_leaves_the_cap() -> None:
    terms = replace(BARE, cap_percent="2")
    assert fee(changes=[on(20, "waiver", 16085)]) == 3241
    result = late_fee(
        principal=116085,
        due=DUE,
        as_of=AS_OF,
        terms=terms,
        changes=[on(20, "waiver", 16085)],
    )
    assert (result.fen, result.cap_fen, result.capped) == (2322, 2322, True)


def test_a_correction_counts_for_every_day_and_for_the_cap() -> None:
    changes = [on(24, "correction", 16085)]
    assert fee(changes=changes) == 3000
    assert fee(changes=changes, terms=replace(BARE, cap_percent="2")) == 2000
    assert corrected_principal(principal=100, changes=[on(24, "correction", 150)]) == 0


def test_a_payment_beyond_the_corrected_principal_is_no_negative_base() -> None:
    changes = [on(16, "payment", 116085), on(24, "correction", 16085), on(24, "refund", -16085)]
    assert fee(changes=changes) == 300


@pytest.mark.covers("C10")
def test_the_cap_holds_for_the_life_of_the_bill() -> None:
    terms = replace(BARE, cap_percent="30")
    years = fee(terms=terms, as_of=date(2031, 3, 25))
    assert years == 34826
    reopened = [on(20, "payment", 116085), PrincipalChange(date(2030, 1, 1), "refund", -116085)]
    assert fee(terms=terms, as_of=date(2036, 1, 1), changes=reopened) == 34826


def test_a_disputed_part_is_frozen_and_the_rest_stays_late() -> None:
    part = Freeze(date(2026, 3, 16), None, 16085)
    assert fee(freezes=[part]) == 3000
    assert fee(freezes=[part, Freeze(date(2026, 3, 16), None, 200000)]) == 0


def test_a_whole_freeze_stops_its_days_only_and_counts_once() -> None:
    whole = Freeze(date(2026, 3, 18), date(2026, 3, 22))
    assert fee(freezes=[whole]) == 2090
    assert fee(freezes=[whole, Freeze(date(2026, 3, 20), date(2026, 3, 22))]) == 2090
    assert fee(freezes=[Freeze(date(2026, 3, 18))]) == 697
    assert fee(freezes=[Freeze(date(2026, 3, 18), date(2026, 3, 18))]) == 3483


def test_a_freeze_never_lengthens_grace() -> None:
    terms = replace(BARE, grace_days=5)
    assert fee(terms=terms, freezes=[Freeze(DUE, date(2026, 3, 20))]) == fee(terms=terms) == 1741


def test_a_bill_of_nothing_or_less_costs_nothing() -> None:
    assert fee(principal=0) == 0
    assert fee(principal=-500, terms=replace(BARE, cap_percent="30")) == 0


def test_what_is_posted_is_the_difference_and_may_be_negative() -> None:
    assert late_fee_to_post(accrued=3483, posted=3000) == 483
    assert late_fee_to_post(accrued=2090, posted=3000) == -910


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"terms": replace(BARE, grace_days=-1)}, "negative_grace"),
        ({"terms": replace(BARE, daily_rate="-0.003")}, "negative_rate"),
        ({"terms": replace(BARE, cap_percent="-1")}, "negative_rate"),
        ({"terms": replace(BARE, daily_rate="0.00300000001")}, "too_many_decimals"),
        ({"terms": replace(BARE, daily_rate=0.003)}, "not_exact"),
        ({"changes": [on(20, "correction", -1)]}, "bad_change"),
        ({"changes": [on(20, "refund", 1)]}, "bad_change"),
        ({"changes": [on(20, "payment", -1)]}, "bad_change"),
        ({"changes": [on(20, "gift", 1)]}, "bad_change"),
        ({"freezes": [Freeze(AS_OF, DUE)]}, "bad_freeze"),
        ({"freezes": [Freeze(DUE, AS_OF, -1)]}, "bad_freeze"),
    ],
)
def test_what_the_rule_cannot_mean_is_refused(given: dict[str, Any], code: str) -> None:
    with pytest.raises((Refusal, AmountRefused)) as refusal:
        fee(**given)
    assert refusal.value.code == code


@pytest.mark.covers("C10")
def test_every_run_of_days_is_told_with_base_rate_and_amount() -> None:
    (step,) = late_fee_steps(principal=116085, due=DUE, as_of=AS_OF, terms=BARE)
    assert (step.days, step.base, step.rate, step.exact_fen) == (
        10, 116085, Fraction(3, 1000), Fraction("3482.55"),
    )  # fmt: skip
    assert step_text(step) == (
        "2026-03-16 至 2026-03-25 共10天：1160.85元 × 0.3%/天 × 10天 = 34.8255元"
    )
    (step,) = late_fee_steps(principal=116085, due=DUE, as_of=AS_OF, terms=TWELVE)
    assert step_text(step) == (
        "2026-03-16 至 2026-03-25 共10天：1160.85元 × 年12%÷365/天 × 10天 = 3.816493…元"
    )


def test_years_without_a_change_are_one_run() -> None:
    steps = late_fee_steps(principal=116085, due=DUE, as_of=date(2056, 3, 15), terms=TWELVE)
    assert [step.days for step in steps] == [10958]


ZERO_DAY = date(2026, 1, 1)
days = st.integers(0, 120).map(lambda n: ZERO_DAY + timedelta(days=n))
amounts = st.integers(1, 60_000)
changes = st.lists(
    st.one_of(
        st.builds(
            PrincipalChange,
            days,
            st.sampled_from(["payment", "credit", "waiver", "correction"]),
            amounts,
        ),
        st.builds(PrincipalChange, days, st.just("refund"), amounts.map(lambda n: -n)),
    ),
    max_size=5,
)
freezes = st.lists(
    st.builds(
        lambda a, length, amount: Freeze(
            a, None if length is None else a + timedelta(days=length), amount
        ),
        days,
        st.none() | st.integers(0, 60),
        st.none() | amounts,
    ),
    max_size=3,
)
terms = st.builds(
    LateFeeTerms,
    daily_rate=st.sampled_from(["0.003", "0.0005", "0.0001234567", 0, None]),
    ceilings=st.none()
    | st.lists(
        st.builds(Ceiling, days, st.sampled_from(["0.12", "0.04485", "1.2", "0"])),
        max_size=3,
        unique_by=lambda row: row.start,
    ).map(tuple),
    cap_percent=st.none() | st.sampled_from(["0", "1.5", "30", "100"]),
    clause_proved=st.sampled_from([True, True, True, False]),
    grace_days=st.integers(0, 20),
    clause_from=st.none() | days,
)
bills = st.fixed_dictionaries(
    {
        "principal": st.integers(0, 120_000),
        "due": days,
        "terms": terms,
        "changes": changes,
        "freezes": freezes,
    }
)


def naive_rate(day: date, terms: LateFeeTerms) -> Fraction:
    if not terms.clause_proved or terms.daily_rate is None:
        return Fraction(0)
    if terms.clause_from is not None and day < terms.clause_from:
        return Fraction(0)
    contract = Fraction(terms.daily_rate)
    if terms.ceilings is None:
        return contract
    in_force = [row for row in terms.ceilings if row.start <= day]
    if not in_force:
        return Fraction(0)
    row = max(in_force, key=lambda row: row.start)
    return min(contract, Fraction(row.annual) / 365)


def naive_base(day: date, bill: dict[str, Any]) -> int:
    unpaid = bill["principal"]
    unpaid -= sum(c.amount for c in bill["changes"] if c.kind == "correction")
    unpaid = max(unpaid, 0)
    unpaid -= sum(c.amount for c in bill["changes"] if c.kind != "correction" and c.day < day)
    today = [f for f in bill["freezes"] if f.start <= day and (f.end is None or day < f.end)]
    if any(f.amount is None for f in today):
        return 0
    return max(0, unpaid - sum(f.amount for f in today))


def naive_fee(bill: dict[str, Any], as_of: date) -> int:
    terms, total = bill["terms"], Fraction(0)
    day = bill["due"]
    while day < as_of:
        day += timedelta(days=1)
        if (day - bill["due"]).days > terms.grace_days:
            total += naive_base(day, bill) * naive_rate(day, terms)
    fen = int(total + Fraction(1, 2))
    if terms.cap_percent is None:
        return fen
    corrections = sum(c.amount for c in bill["changes"] if c.kind == "correction")
    original = max(0, bill["principal"] - corrections)
    return min(fen, int(original * Fraction(terms.cap_percent) / 100 + Fraction(1, 2)))


@settings(max_examples=400)
@given(bills, days)
def test_runs_of_days_agree_with_counting_every_day(bill: dict[str, Any], as_of: date) -> None:
    assert late_fee(as_of=as_of, **bill).fen == naive_fee(bill, as_of)


@given(bills, days, st.integers(0, 40))
def test_the_fee_never_falls_with_time_and_never_passes_its_cap(
    bill: dict[str, Any], as_of: date, later: int
) -> None:
    before = late_fee(as_of=as_of, **bill)
    after = late_fee(as_of=as_of + timedelta(days=later), **bill)
    assert 0 <= before.fen <= after.fen
    assert after.cap_fen is None or after.fen <= after.cap_fen
    assert sum((s.exact_fen for s in after.steps), Fraction(0)) == after.exact_fen


@given(bills, days, days, amounts)
def test_paying_more_or_freezing_more_never_costs_more(
    bill: dict[str, Any], as_of: date, day: date, amount: int
) -> None:
    before = late_fee(as_of=as_of, **bill).fen
    paid = bill | {"changes": [*bill["changes"], PrincipalChange(day, "payment", amount)]}
    frozen = bill | {"freezes": [*bill["freezes"], Freeze(day, None, amount)]}
    assert late_fee(as_of=as_of, **paid).fen <= before
    assert late_fee(as_of=as_of, **frozen).fen <= before


@given(bills, days)
def test_what_happens_after_the_day_does_not_change_it(bill: dict[str, Any], as_of: date) -> None:
    known = bill | {
        "changes": [c for c in bill["changes"] if c.kind == "correction" or c.day < as_of]
    }
    assert late_fee(as_of=as_of, **bill).fen == late_fee(as_of=as_of, **known).fen
