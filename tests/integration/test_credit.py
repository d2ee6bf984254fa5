"""Credit pays newly issued bills, but never what the owner disputes (A42, A45)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import text

from backend.conduct.operations import place_hold
from backend.db import db, transaction
from backend.usecases.apply_credit import apply_credit
from backend.usecases.open_dispute import open_dispute
from tests.factories.estate import (
    BILL_FEN,
    TODAY,
    Estate,
    give_credit,
    make_bill,
    make_estate,
    set_business_now,
)
from tests.integration.test_promises import pay

MONTH = timedelta(days=31)


@pytest.fixture
def estate(ctx) -> Estate:
    set_business_now(TODAY)
    return make_estate(houses=2, late_fee=True)


def waiting(*homes) -> None:
    """As a bill run leaves the houses whose credit is still to be used."""
    db.session.execute(
        text("UPDATE house_account SET credit_pending = true WHERE house_id = ANY(:h)"),
        {"h": [home.house_id for home in homes]},
    )
    db.session.commit()


def dispute(bill_id: int, fen: int | None, estate: Estate) -> int:
    return open_dispute(
        bill_id=bill_id, amount_fen=fen, reason_code="wrong_amount", text="多收了", by="account:1",
        company_id=estate.company_id,
    ).hold_id  # fmt: skip


def credited(*bill_ids: int) -> list[tuple[int, int]]:
    """(principal by credit, late fee paid) of each bill."""
    return [
        tuple(row)
        for row in db.session.execute(
            text("SELECT credited_fen, late_fee_paid_fen FROM bill WHERE id = ANY(:i) ORDER BY id"),
            {"i": list(bill_ids)},
        )
    ]


def left(home) -> int:
    return db.session.scalar(
        text("SELECT balance FROM account WHERE code = :c"),
        {"c": f"credit:{home.house_id}:{home.party_id}"},
    )


@pytest.mark.parametrize(
    "disputed, paid", [(None, 0), (BILL_FEN, 0), (10_000, BILL_FEN - 10_000)],
    ids=["whole", "whole by amount", "part"],
)  # fmt: skip
def test_credit_never_flows_onto_a_disputed_amount_or_its_late_fee(estate, disputed, paid):
    home = estate.homes[0]
    old = make_bill(estate, home, due_date=date(2026, 9, 15))
    new = make_bill(estate, home, due_date=TODAY + timedelta(days=5))
    dispute(old, disputed, estate)
    give_credit(estate, home, 40_000)
    waiting(home)

    assert apply_credit() == 1

    assert credited(old, new) == [(paid, 0), (BILL_FEN, 0)]
    assert left(home) == 40_000 - BILL_FEN - paid
    assert db.session.scalar(text("SELECT sum(amount) FROM posting")) == 0


@pytest.mark.parametrize("everybody", [True, False])
def test_a_dispute_of_the_household_keeps_credit_off_all_its_bills(estate, everybody):
    home = estate.homes[0]
    bill = make_bill(estate, home, due_date=date(2026, 9, 15))
    with transaction():
        place_hold(
            kind="dispute", house_id=home.house_id, party_id=None if everybody else home.party_id,
            from_day=TODAY, until_day=None, reason="服务争议", source="steward:1",
            now=db.session.scalar(text("SELECT now()")),
        )  # fmt: skip
    give_credit(estate, home, 40_000)
    waiting(home)
    apply_credit()
    assert (credited(bill), left(home)) == ([(0, 0)], 40_000)


def test_an_answered_dispute_or_somebody_elses_keeps_nothing_back(estate):
    home, other = estate.homes
    bill = make_bill(estate, home, due_date=date(2026, 11, 15))
    hold_id = dispute(bill, None, estate)
    dispute(make_bill(estate, other), None, estate)
    db.session.execute(text("UPDATE hold SET lifted_at = now() WHERE id = :h"), {"h": hold_id})
    give_credit(estate, home, BILL_FEN)
    waiting(home)
    apply_credit()
    assert (credited(bill), left(home)) == ([(BILL_FEN, 0)], 0)


def test_a_house_that_cannot_be_worked_stops_no_other(estate, db_owner, capsys):
    broken, sound = estate.homes
    for home in (broken, sound):
        make_bill(estate, home, due_date=date(2026, 12, 20))
        give_credit(estate, home, BILL_FEN)
    waiting(broken, sound)
    # its account says more than the ledger will give: the books refuse whatever is booked there
    db_owner.execute(
        "UPDATE account SET min_balance = balance WHERE code = %s",
        [f"credit:{broken.house_id}:{broken.party_id}"],
    )

    assert apply_credit() == 1

    assert (left(broken), left(sound)) == (BILL_FEN, 0)
    pending = db.session.scalars(text("SELECT house_id FROM house_account WHERE credit_pending"))
    assert list(pending) == [broken.house_id]  # no permit there until somebody has looked
    logged = [line for line in capsys.readouterr().err.splitlines() if "credit_failed" in line]
    assert len(logged) == 1 and f'"house_id": {broken.house_id}' in logged[0]
    db_owner.execute("UPDATE account SET min_balance = 0 WHERE code LIKE 'credit:%'")
    assert apply_credit() == 1
    assert left(broken) == 0


def paid_late(estate, home) -> int:
    """A bill whose principal came in late, by bank, without its late fee of 193 fen."""
    bill = make_bill(estate, home, due_date=date(2026, 10, 15))
    pay(estate, home, bill, BILL_FEN, day=TODAY)
    return bill


def test_late_fee_left_on_a_paid_bill_is_met_by_credit_after_all_principal(estate):
    home = estate.homes[0]
    late = paid_late(estate, home)
    on_time = make_bill(estate, home, due_date=date(2026, 12, 8), fen=500)
    pay(estate, home, on_time, 500, day=date(2026, 12, 8))
    new = make_bill(estate, home, due_date=TODAY + MONTH)
    give_credit(estate, home, BILL_FEN + 200)
    waiting(home)
    apply_credit()
    assert credited(late, on_time, new) == [(0, 193), (0, 0), (BILL_FEN, 0)]
    assert left(home) == 7
    give_credit(estate, home, 100)
    waiting(home)
    apply_credit()  # the fee is paid: nothing more is taken for it
    assert left(home) == 107


def test_late_fee_left_on_a_paid_bill_stands_on_the_quick_pay_page(estate, client):
    from backend import clock
    from backend.h5.views import bill_list, household_of
    from backend.identity.pay_codes import pay_code

    home = estate.homes[0]
    late = paid_late(estate, home)
    with transaction():
        code = pay_code(house_id=home.house_id, party_id=home.party_id, at=clock.wire_now())
    shown = bill_list(household_of(code))
    assert [(bill["id"], bill["payable_fen"]) for bill in shown["bills"]] == [(late, 193)]
    assert shown["totals"]["payable_fen"] == 193
