"""Settling takes the houses of a batch in id order, before anything is judged (design 4.4)."""

from __future__ import annotations

import threading
from datetime import date

import psycopg
import pytest
from sqlalchemy import text

from backend.db import db
from backend.usecases.query_orders import ask_order
from backend.usecases.settle_payments import settle_payments
from tests.factories.estate import BILL_FEN, Estate, give_credit, make_bill, make_estate
from tests.integration.test_payment_loop import make_merchant, person
from tests.support.wait import wait_for

MONTHS = [date(2026, 7, 1), date(2026, 8, 1), date(2026, 9, 1)]


@pytest.fixture
def estate(ctx, sandbox) -> Estate:
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="loop-mini")
    made = make_estate(houses=2)
    make_merchant(made, sandbox)
    return made


def paid(estate: Estate, sandbox, home, month: date) -> None:
    """A bill of the home, paid at the platform; its notice waits in the inbox."""
    from backend.usecases.start_payment import Payer, start_payment

    payer = Payer(key=f"account:{month}", party_id=home.party_id, company_id=estate.company_id)
    bill = make_bill(estate, home, due_date=date(2026, 12, 20), period_from=month)
    number = start_payment(
        payer=payer, bill_ids=[bill], channel="wechatpay", method="native",
        public_base_url="http://127.0.0.1:9",
    )["order"].out_trade_no  # fmt: skip
    sandbox.post("/_sandbox/pay", out_trade_no=number, person=person(sandbox)["id"])
    assert ask_order(number) == "paid"


@pytest.fixture
def other_session(test_database):
    """Somebody else's transaction: a checkout, a sender, an office clerk."""
    with psycopg.connect(test_database.app_url) as connection:
        connection.execute("SET lock_timeout = '100ms'")
        connection.commit()
        yield connection
        connection.rollback()


def hold(connection, *homes) -> None:
    connection.execute(
        "SELECT 1 FROM house_account WHERE house_id = ANY(%s) ORDER BY house_id FOR UPDATE",
        [[home.house_id for home in homes]],
    )


def settling(app, done: list[int], **options) -> threading.Thread:
    def run() -> None:
        with app.app_context():
            done.append(settle_payments(**options))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until_blocked(db_owner, times: int) -> None:
    waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
    wait_for(lambda: db_owner.execute(waiting).fetchone()[0] == times, 5)


def outcomes(db_owner) -> list[tuple]:
    return db_owner.execute(
        "SELECT (SELECT count(*) FROM inbox_pending), (SELECT count(*) FROM inbox_outcome "
        "WHERE state = 'settled'), (SELECT sum(paid_fen) FROM bill)"
    ).fetchall()


def test_a_settler_never_waits_for_a_house_while_it_holds_a_later_one(
    app, estate, sandbox, db_owner, other_session
):
    low, high = estate.homes
    paid(estate, sandbox, high, MONTHS[0])
    paid(estate, sandbox, low, MONTHS[0])
    hold(other_session, low)
    done: list[int] = []
    settler = settling(app, done)
    wait_until_blocked(db_owner, 1)
    hold(other_session, high)  # as a checkout of both houses goes on; else: LockNotAvailable
    other_session.rollback()
    settler.join()
    assert (done, outcomes(db_owner)) == ([2], [(0, 2, 2 * BILL_FEN)])


def test_two_settlers_with_the_same_houses_both_settle_everything(
    app, estate, sandbox, db_owner, other_session, capfd
):
    low, high = estate.homes
    for home, month in ((high, 0), (low, 0), (low, 1), (high, 1)):
        paid(estate, sandbox, home, MONTHS[month])
    hold(other_session, low, high)
    done: list[int] = []
    first = settling(app, done, limit=2)
    wait_until_blocked(db_owner, 1)
    second = settling(app, done, limit=2)
    wait_until_blocked(db_owner, 2)
    other_session.rollback()
    first.join()
    second.join()
    assert (done, outcomes(db_owner)) == ([2, 2], [(0, 4, 4 * BILL_FEN)])
    assert "settle_failed" not in capfd.readouterr().err


def test_a_house_that_stays_locked_delays_only_its_own_notices(
    app, estate, sandbox, db_owner, other_session
):
    low, high = estate.homes
    for home in (low, high):
        paid(estate, sandbox, home, MONTHS[0])
    hold(other_session, low)
    assert settle_payments() == 2
    assert outcomes(db_owner) == [(1, 1, BILL_FEN)]
    assert db_owner.execute("SELECT tries FROM inbox_pending").fetchall() == [(1,)]
    other_session.rollback()
    db_owner.execute("UPDATE inbox_pending SET not_before = now()")
    assert settle_payments() == 1
    assert outcomes(db_owner) == [(0, 2, 2 * BILL_FEN)]


def test_a_bill_run_takes_the_houses_with_credit_in_id_order(app, estate, db_owner, other_session):
    from backend.usecases.issue_bills import continue_bill_run, start_bill_run

    low, high = estate.homes
    for home in (low, high):
        give_credit(estate, home, 100)
    db.session.execute(text("DELETE FROM house_account WHERE house_id = :h"), {"h": low.house_id})
    db.session.execute(  # written last: an unordered UPDATE meets it last
        text("INSERT INTO house_account (house_id, community_id) VALUES (:h, :c)"),
        {"h": low.house_id, "c": estate.community_id},
    )
    db.session.commit()
    run_id = start_bill_run(
        community_id=estate.community_id, period_from=date(2026, 12, 1),
        period_to=date(2027, 1, 1), by="test", company_id=estate.company_id,
    )  # fmt: skip
    hold(other_session, low)

    def run() -> None:
        with app.app_context():
            continue_bill_run(run_id)

    issuing = threading.Thread(target=run)
    issuing.start()
    wait_until_blocked(db_owner, 1)
    hold(other_session, high)
    other_session.rollback()
    issuing.join()
    assert db_owner.execute("SELECT sum(credited_fen) FROM bill").fetchone() == (200,)
