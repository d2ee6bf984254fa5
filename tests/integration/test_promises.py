"""Promises: what they silence, when they are reminded of, how they are kept and broken."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from backend.db import db
from backend.dunning import operations as dunning
from backend.errors import NotFound, Refusal
from backend.usecases.query_orders import ask_order, close_order
from backend.usecases.record_promise import record_promise
from backend.usecases.review_promises import review_promises
from backend.usecases.settle_payments import settle_payments
from tests.factories import estate as make
from tests.factories.estate import BILL_FEN, TODAY
from tests.integration.test_payment_loop import make_merchant, open_order

DAY = timedelta(days=1)


@pytest.fixture
def place(ctx):
    make.set_business_now(TODAY, "10:00")
    estate = make.make_estate(houses=2)
    bill = make.make_bill(estate, estate.homes[0])
    return estate, estate.homes[0], bill


def promise(place, *, amount=BILL_FEN, day=TODAY + 5 * DAY, pay_by="wechatpay"):
    estate, home, _ = place
    return record_promise(
        house_id=home.house_id,
        party_id=home.party_id,
        amount_fen=amount,
        day=day,
        pay_by=pay_by,
        made_by="account:7",
        company_id=estate.company_id,
    )


def rows(db_owner, sql, *values):
    return db_owner.execute(sql, values).fetchall()


@pytest.mark.covers("S34", "C71")
def test_a_promise_holds_until_its_day_and_is_reminded_of_the_day_before(place, db_owner):
    _, home, bill = place
    made = promise(place)
    assert (made.state, made.amount_fen, made.open_at_start_fen) == ("open", BILL_FEN, BILL_FEN)
    assert rows(db_owner, "SELECT kind, from_day, until_day, lifted_at FROM hold") == [
        ("promise", TODAY, TODAY + 6 * DAY, None)
    ]
    message = rows(
        db_owner,
        "SELECT kind, event, stage, window_key, state, due_at AT TIME ZONE 'Asia/Shanghai', data "
        "FROM message",
    )
    assert message == [
        (
            "promise",
            "promise_tomorrow",
            "promise",
            f"promise:{made.id}",
            "planned",
            datetime(2026, 12, 14, 9),
            {"amount_fen": BILL_FEN, "on_date": "2026-12-15"},
        )
    ]
    assert rows(db_owner, "SELECT bill_id, live FROM message_bill") == [(bill, True)]
    assert rows(db_owner, "SELECT actor, action, detail FROM audit_event") == [
        (
            "account:7",
            "promise_made",
            {"house_id": home.house_id, "amount_fen": BILL_FEN, "day": "2026-12-15"},
        )
    ]


@pytest.mark.covers("S34", "C71")
def test_no_call_is_planned_before_the_promised_day_has_passed(ctx, db_owner):
    from backend.dunning import operations as dunning
    from backend.reminders.operations import start_of_day

    make.set_business_now(TODAY, "10:00")
    estate = make.make_estate(houses=2)
    for home in estate.homes:
        make.make_bill(estate, home, due_date=TODAY - 16 * DAY)
    promise((estate, estate.homes[0], None))
    planned = [
        dunning.plan_call_tasks(
            community_id=estate.community_id,
            today=TODAY + offset * DAY,
            now=start_of_day(TODAY + offset * DAY),
        )
        for offset in (0, 5, 6)
    ]
    db.session.commit()
    assert planned == [1, 0, 1]  # the neighbour at once, the promised one after its day
    assert rows(db_owner, "SELECT house_id, due_day FROM steward_task ORDER BY due_day") == [
        (estate.homes[1].house_id, TODAY),
        (estate.homes[0].house_id, TODAY + 6 * DAY),
    ]


def test_a_promise_for_today_plans_no_reminder(place, db_owner):
    promise(place, day=TODAY)
    assert rows(db_owner, "SELECT count(*) FROM message") == [(0,)]
    assert rows(db_owner, "SELECT until_day FROM hold") == [(TODAY + DAY,)]


@pytest.mark.parametrize(
    "change, field",
    [
        ({"amount": BILL_FEN + 1}, "amount_fen"),
        ({"amount": 0}, "amount_fen"),
        ({"amount": -5}, "amount_fen"),
        ({"day": TODAY - DAY}, "day"),
        ({"day": TODAY + 61 * DAY}, "day"),
        ({"pay_by": "staff_qr"}, "pay_by"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_changes_nothing(place, db_owner, change, field):
    with pytest.raises(Refusal) as refused:
        promise(place, **change)
    assert (refused.value.code, refused.value.http) == ("promise_invalid", 422)
    assert list(refused.value.fields) == [field]
    counted = rows(
        db_owner,
        "SELECT (SELECT count(*) FROM promise), (SELECT count(*) FROM hold), "
        "(SELECT count(*) FROM message), (SELECT count(*) FROM audit_event)",
    )
    assert counted == [(0, 0, 0, 0)]


def test_nothing_open_needs_no_promise(place, ctx):
    estate, _, _ = place
    with pytest.raises(Refusal) as refused:
        promise((estate, estate.homes[1], None), amount=1)
    assert refused.value.code == "nothing_to_pay"


def test_a_house_of_another_company_does_not_exist(place, ctx):
    other = make.make_estate(code="MOON", houses=1)
    make.make_bill(other, other.homes[0])
    with pytest.raises(NotFound):
        promise((place[0], other.homes[0], None))


@pytest.mark.covers("C71")
def test_late_fee_may_be_promised_too(ctx):
    make.set_business_now(TODAY, "10:00")
    estate = make.make_estate(houses=1, late_fee=True)
    make.make_bill(estate, estate.homes[0], due_date=TODAY - 25 * DAY)
    # 10 days after 15 days of grace at 12 % a year: 14293 × 10 × 0.12 ÷ 365 = 46.99 fen
    fee = 47
    with pytest.raises(Refusal):
        promise((estate, estate.homes[0], None), amount=BILL_FEN + fee + 1)
    assert promise((estate, estate.homes[0], None), amount=BILL_FEN + fee).state == "open"


@pytest.mark.covers("C71")
def test_a_new_promise_replaces_the_open_one(place, db_owner):
    first = promise(place)
    second = promise(place, amount=5000, day=TODAY + 9 * DAY)
    assert rows(db_owner, "SELECT id, state FROM promise ORDER BY id") == [
        (first.id, "cancelled"),
        (second.id, "open"),
    ]
    assert rows(db_owner, "SELECT until_day FROM hold WHERE lifted_at IS NULL") == [
        (TODAY + 10 * DAY,)
    ]
    assert rows(db_owner, "SELECT window_key, state, reason_code FROM message ORDER BY id") == [
        (f"promise:{first.id}", "suppressed", "promise_replaced"),
        (f"promise:{second.id}", "planned", None),
    ]


@pytest.mark.covers("C71")
def test_a_broken_promise_puts_the_household_back_on_the_list_once(place, db_owner):
    _, home, _ = place
    made = promise(place)
    assert review_promises(made.day) == 0
    next_day = made.day + DAY
    make.set_business_now(next_day, "06:30")
    assert review_promises(next_day) == 1
    assert review_promises(next_day) == 0
    assert rows(db_owner, "SELECT state FROM promise") == [("broken",)]
    assert rows(db_owner, "SELECT lifted_by FROM hold") == [("promise broken",)]
    assert rows(db_owner, "SELECT house_id, party_id, kind, due_day, state FROM steward_task") == [
        (home.house_id, home.party_id, "promise_broken", next_day, "open")
    ]


@pytest.mark.covers("C71")
def test_the_promised_sum_keeps_the_promise_whatever_else_is_open(place, db_owner):
    estate, home, bill = place
    made = promise(place, amount=10000)
    pay(estate, home, bill, 9999)
    assert review_promises(made.day) == 0
    assert rows(db_owner, "SELECT state FROM promise") == [("open",)]
    pay(estate, home, bill, 1)
    make.set_business_now(made.day + DAY, "06:30")
    assert review_promises(made.day + DAY) == 0
    assert rows(db_owner, "SELECT state FROM promise") == [("kept",)]
    assert rows(db_owner, "SELECT lifted_by FROM hold") == [("promise kept",)]
    assert rows(db_owner, "SELECT count(*) FROM steward_task") == [(0,)]


def test_money_that_came_before_the_promise_does_not_keep_it(place, db_owner):
    estate, home, bill = place
    pay(estate, home, bill, 4293)
    made = promise(place, amount=4000)
    make.set_business_now(made.day + DAY, "06:30")
    assert review_promises(made.day + DAY) == 1


@pytest.fixture
def checkout(place, sandbox):
    """An order of the promising household, opened and not yet paid."""
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="loop-mini")
    estate, _, bill = place
    make_merchant(estate, sandbox)
    number, _ = open_order(estate, sandbox, [bill])
    return number


@pytest.mark.covers("C71")
def test_money_on_its_way_keeps_a_promise_open_until_the_platform_has_spoken(
    place, checkout, sandbox, db_owner
):
    made = promise(place)
    sandbox.post("/_sandbox/pay", out_trade_no=checkout)  # its callback is lost
    morning = made.day + DAY
    make.set_business_now(morning, "06:30")
    assert review_promises(morning) == 0
    assert rows(db_owner, "SELECT state FROM promise") == [("open",)]
    assert rows(db_owner, "SELECT count(*) FROM steward_task") == [(0,)]
    again = rows(
        db_owner,
        "SELECT to_char(due_at AT TIME ZONE 'Asia/Shanghai', 'MM-DD HH24:MI') FROM task "
        "WHERE kind = 'review_promises' AND state = 'ready'",
    )
    assert again == [("12-16 07:00",)]

    assert ask_order(checkout) == "paid"
    assert review_promises(morning) == 0  # the notice waits to be judged: still money on its way
    assert settle_payments() == 1
    assert review_promises(morning) == 0
    assert rows(db_owner, "SELECT state FROM promise") == [("kept",)]
    assert rows(db_owner, "SELECT lifted_by FROM hold") == [("promise kept",)]
    assert rows(db_owner, "SELECT count(*) FROM steward_task") == [(0,)]


@pytest.mark.covers("C71")
def test_an_abandoned_checkout_does_not_keep_a_promise_open(place, checkout, db_owner):
    made = promise(place)
    morning = made.day + DAY
    make.set_business_now(morning, "06:30")
    assert review_promises(morning) == 0
    assert close_order(checkout) == "closed"
    assert review_promises(morning) == 1
    assert rows(db_owner, "SELECT state FROM promise") == [("broken",)]


@pytest.mark.covers("C71")
@pytest.mark.parametrize(
    "days_late, state, task", [(0, "kept", "cancelled"), (1, "broken", "open")]
)
def test_money_dated_by_the_promised_day_mends_a_promise_called_broken(
    place, db_owner, days_late, state, task
):
    estate, home, bill = place
    make.make_bill(estate, home, due_date=TODAY - DAY)  # overdue whatever the promise covers
    made = promise(place, amount=10000)
    make.set_business_now(made.day + DAY, "06:30")
    assert review_promises(made.day + DAY) == 1
    pay(estate, home, bill, 10000, day=made.day + days_late * DAY)
    dunning.after_payment(
        house_ids=[home.house_id], day=made.day + DAY, now=make.set_business_now(made.day + DAY)
    )
    db.session.commit()
    assert rows(db_owner, "SELECT state FROM promise") == [(state,)]
    assert rows(db_owner, "SELECT kind, state FROM steward_task") == [("promise_broken", task)]


def pay(estate, home, bill_id, fen, day=None):
    """Book money on a bill as settling does, without a platform."""
    from backend import clock
    from backend.billing import operations as billing
    from backend.billing.rules import Appropriation
    from backend.ledger import operations as ledger

    split = Appropriation({bill_id: fen}, {}, 0)
    journal = ledger.post(
        company_id=estate.company_id,
        source_type="payment",
        source_key=f"test-{bill_id}-{clock.monotonic()}",
        entries=billing.entries_for(
            source="bank:test", appropriation=split, waived_late_fee={}, credit_account="credit"
        ),
        at=clock.wire_now(),
    )
    billing.apply_to_bills(
        appropriation=split,
        waived_late_fee={},
        day=day or clock.business_today(),
        journal_id=journal,
    )
    db.session.commit()


def test_dates_of_this_file_are_what_they_say():
    assert TODAY == date(2026, 12, 10)
