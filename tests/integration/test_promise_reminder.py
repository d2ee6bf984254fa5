"""The reminder of a promise asks for what is left of it, and nothing when it is kept (S34, C71)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backend import clock
from backend.db import db
from backend.dunning import operations as dunning
from backend.usecases.record_promise import record_promise
from tests.factories.estate import BILL_FEN, TODAY, make_bill, make_estate, set_business_now
from tests.factories.messages import book, open_channels, send_due
from tests.integration.test_promises import pay

DAY = timedelta(days=1)


@pytest.fixture
def estate(ctx, sandbox):
    set_business_now(TODAY, "10:00")
    made = make_estate(late_fee=True)
    open_channels(made, sandbox, channels=("sms",))
    return made


def promise(estate, amount: int) -> None:
    home = estate.homes[0]
    record_promise(
        house_id=home.house_id, party_id=home.party_id, amount_fen=amount, day=TODAY + 5 * DAY,
        pay_by="wechatpay", made_by="account:7", company_id=estate.company_id,
    )  # fmt: skip


def money_comes(estate, bill_id: int, fen: int) -> None:
    home = estate.homes[0]
    pay(estate, home, bill_id, fen)
    dunning.after_payment(house_ids=[home.house_id], day=TODAY, now=clock.business_now())
    db.session.commit()


def texts_of_the_day_before(sandbox) -> list[str]:
    set_business_now(TODAY + 4 * DAY, "09:01")
    send_due()
    return [message["text"] for message in book(sandbox)]


@pytest.mark.parametrize(
    ("promised", "paid", "asked"),
    [(BILL_FEN, 0, "142.93"), (BILL_FEN, 4293, "100.00"), (5000, 4999, "0.01")],
)
def test_a_part_payment_lowers_what_is_asked(estate, sandbox, promised, paid, asked):
    bill = make_bill(estate, estate.homes[0], due_date=TODAY + 20 * DAY)
    promise(estate, promised)
    if paid:
        money_comes(estate, bill, paid)
    (text,) = texts_of_the_day_before(sandbox)
    assert f"物业服务费{asked}元" in text


def test_money_before_the_promise_does_not_lower_it(estate, sandbox):
    bill = make_bill(estate, estate.homes[0], due_date=TODAY + 20 * DAY)
    money_comes(estate, bill, 4293)
    promise(estate, 9000)
    (text,) = texts_of_the_day_before(sandbox)
    assert "物业服务费90.00元" in text


def test_never_more_than_what_is_open_is_asked(estate, sandbox, db_owner):
    bill = make_bill(estate, estate.homes[0], due_date=TODAY + 20 * DAY)
    promise(estate, BILL_FEN)
    db_owner.execute("UPDATE bill SET waived_fen = 4293 WHERE id = %s", [bill])
    (text,) = texts_of_the_day_before(sandbox)
    assert "物业服务费100.00元" in text


def test_a_kept_promise_is_not_reminded_of_though_more_is_open(estate, sandbox, db_owner):
    bill = make_bill(estate, estate.homes[0], due_date=TODAY + 20 * DAY)
    promise(estate, 5000)
    money_comes(estate, bill, 5000)
    assert texts_of_the_day_before(sandbox) == []
    assert db_owner.execute("SELECT state, reason_code FROM message").fetchall() == [
        ("suppressed", "promise_kept")
    ]
