"""Where a payment goes and how a refund comes back: no fen is made or lost (M8, M9)."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.billing.rules import Appropriation, OpenBill, appropriate, reverse
from backend.errors import Refusal
from backend.money import AmountRefused

B1 = OpenBill(id="B1", due=date(2026, 3, 15), principal=14293, late_fee=463)
B2 = OpenBill(id="B2", due=date(2026, 4, 15), principal=14293, late_fee=120)


def bill(number: int | str, **given: Any) -> OpenBill:
    return OpenBill(**({"id": number, "due": date(2026, 3, 15), "principal": 100} | given))


@pytest.mark.covers("C11")
def test_without_a_choice_principal_comes_first_and_the_oldest_first() -> None:
    assert appropriate(bills=[B2, B1], amount=28886) == Appropriation(
        {"B1": 14293, "B2": 14293}, {"B1": 300}, 0
    )
    assert appropriate(bills=[B2, B1], amount=20000) == Appropriation(
        {"B1": 14293, "B2": 5707}, {}, 0
    )
    assert appropriate(bills=[B2, B1], amount=30000) == Appropriation(
        {"B1": 14293, "B2": 14293}, {"B1": 463, "B2": 120}, 831
    )


@pytest.mark.covers("C11")
def test_the_payers_choice_rules_and_the_rest_is_credit() -> None:
    assert appropriate(bills=[B2, B1], amount=14293, choice=["B2"]) == Appropriation(
        {"B2": 14293}, {}, 0
    )
    assert appropriate(bills=[B2, B1], amount=20000, choice={"B2"}) == Appropriation(
        {"B2": 14293}, {"B2": 120}, 5587
    )
    assert appropriate(bills=[B2, B1], amount=500, choice=[]) == Appropriation({}, {}, 500)


def test_bills_of_one_day_are_paid_by_id_as_bytes_or_as_numbers() -> None:
    text = appropriate(bills=[bill("9"), bill("10"), bill("乙"), bill("B")], amount=350)
    assert list(text.principal.items()) == [("10", 100), ("9", 100), ("B", 100), ("乙", 50)]
    numbers = appropriate(bills=[bill(10), bill(9)], amount=150)
    assert list(numbers.principal.items()) == [(9, 100), (10, 50)]


@pytest.mark.covers("C12")
def test_money_without_a_choice_stays_off_what_may_not_be_demanded() -> None:
    bills = [
        bill("a", liable=False),
        bill("b", time_barred=True),
        bill("c", disputed=True, late_fee=7),
        bill("d", disputed=True, disputed_fen=30, late_fee=7),
        bill("e", late_fee=7),
    ]
    assert appropriate(bills=bills, amount=1000) == Appropriation(
        {"d": 70, "e": 100}, {"e": 7}, 823
    )
    chosen = appropriate(bills=bills, amount=1000, choice=[b.id for b in bills])
    assert chosen == Appropriation(dict.fromkeys("abcde", 100), {"c": 7, "d": 7, "e": 7}, 479)


def test_wrong_choices_ids_and_amounts_are_refused() -> None:
    for given_bills, amount, choice, code in (
        ([B1], 1, ["B9"], "bill_not_open"),
        ([B1, B1], 1, None, "mixed_ids"),
        ([B1, bill(1)], 1, None, "mixed_ids"),
        ([B1], -1, None, "too_small"),
        ([B1], 1.0, None, "not_whole"),
    ):
        with pytest.raises((Refusal, AmountRefused)) as refusal:
            appropriate(bills=given_bills, amount=amount, choice=choice)  # type: ignore[arg-type]
        assert refusal.value.code == code


def test_a_refund_takes_credit_then_late_fees_then_principal_last_paid_first() -> None:
    paid = appropriate(bills=[B1, B2], amount=30000)
    part = reverse(applied=paid, amount=1014)
    assert part.taken == Appropriation({}, {"B2": 120, "B1": 63}, 831)
    assert part.after == Appropriation({"B1": 14293, "B2": 14293}, {"B1": 400}, 0)
    rest = reverse(applied=part.after, amount=28986)
    assert rest.after == Appropriation({}, {}, 0)


def test_more_than_was_paid_cannot_be_refunded() -> None:
    paid = appropriate(bills=[B1, B2], amount=30000)
    with pytest.raises(Refusal) as refusal:
        reverse(applied=paid, amount=30001)
    assert refusal.value.code == "refund_too_large"


numbered = st.lists(
    st.builds(
        OpenBill,
        id=st.integers(1, 50),
        due=st.integers(0, 3).map(lambda n: date(2026, 3, 15) + timedelta(days=n)),
        principal=st.integers(0, 500),
        late_fee=st.integers(0, 50),
        liable=st.booleans(),
        disputed=st.booleans(),
        disputed_fen=st.none() | st.integers(0, 600),
        time_barred=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda b: b.id,
)


def total(moved: Appropriation) -> int:
    return sum(moved.principal.values()) + sum(moved.late_fee.values()) + moved.credit


@given(numbered, st.integers(0, 3000), st.none() | st.sets(st.integers(0, 5)))
def test_every_fen_is_placed_once_and_no_bill_gets_more_than_it_owes(
    bills: list[OpenBill], amount: int, picks: set[int] | None
) -> None:
    choice = None if picks is None else {b.id for i, b in enumerate(bills) if i in picks}
    moved = appropriate(bills=bills, amount=amount, choice=choice)
    assert total(moved) == amount
    by_id = {b.id: b for b in bills}
    for bill_id, fen in moved.principal.items():
        assert 0 < fen <= by_id[bill_id].principal
    for bill_id, fen in moved.late_fee.items():
        assert 0 < fen <= by_id[bill_id].late_fee
    touched = moved.principal.keys() | moved.late_fee.keys()
    if choice is not None:
        assert touched <= choice
    else:
        assert all(by_id[i].liable and not by_id[i].time_barred for i in touched)
        assert not any(by_id[i].disputed for i in moved.late_fee)


@given(numbered, st.integers(0, 3000), st.lists(st.integers(0, 1000), max_size=4))
def test_what_remains_after_refunds_is_what_a_smaller_payment_would_have_done(
    bills: list[OpenBill], amount: int, refunds: list[int]
) -> None:
    rest, paid = appropriate(bills=bills, amount=amount), amount
    for refund in refunds:
        if refund > paid:
            break
        step = reverse(applied=rest, amount=refund)
        assert total(step.taken) == refund
        rest, paid = step.after, paid - refund
    assert rest == appropriate(bills=bills, amount=paid)
