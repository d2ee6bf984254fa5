"""One bill through the real protocols: opened, paid at the platform, noticed, settled, booked.

The platform's own book is compared with the ledger; every refusal is checked to change nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlalchemy import text

from backend import clock
from backend.conduct.queries import permission
from backend.db import db, transaction
from backend.errors import Refusal
from backend.payments import operations
from backend.usecases.query_orders import CLOSE_GRACE, ask_order, close_order, query_orders
from backend.usecases.receive_notice import receive_notice
from backend.usecases.settle_payments import settle_payments
from backend.usecases.start_payment import Payer, start_payment
from tests.factories.estate import (
    BILL_FEN,
    Estate,
    make_bill,
    make_estate,
    set_business_now,
)
from tests.factories.estate import make_merchant as open_merchant

BASE = "http://127.0.0.1:9"  # callbacks go nowhere: each test hands them over itself


@pytest.fixture
def estate(ctx, sandbox) -> Estate:
    sandbox.reset()
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="loop-mini")
    return make_estate()


def make_merchant(estate: Estate, sandbox, channel: str = "wechatpay") -> str:
    """A merchant account tied to this file's app: the sandbox keeps accounts between tests."""
    tied = {"app": "loop-mini"} if channel == "wechatpay" else {}
    return open_merchant(estate, sandbox, channel=channel, **tied)


def person(sandbox) -> dict:
    return sandbox.post("/_sandbox/people", phone="13900009001", nickname="小王")


def payer_of(estate: Estate, sandbox, key: str = "account:1") -> Payer:
    appid = sandbox.post("/_sandbox/apps", kind="miniprogram", name="loop-mini")["appid"]
    return Payer(
        key=key,
        party_id=estate.homes[0].party_id,
        company_id=estate.company_id,
        openid=person(sandbox)["openids"][appid],
    )


def open_order(estate, sandbox, bill_ids, channel="wechatpay", method="jsapi", key="account:1"):
    answer = start_payment(
        payer=payer_of(estate, sandbox, key),
        bill_ids=bill_ids,
        channel=channel,
        method=method,
        public_base_url=BASE,
    )
    return answer["order"].out_trade_no, answer["params"]


def resend(sandbox, number: str) -> dict:
    """The genuine callback as the platform sends it (its own delivery fails: nobody listens)."""
    return sandbox.post("/_sandbox/notify/resend", out_trade_no=number)


def hand_over(sandbox, merchant: str, channel: str, number: str) -> int:
    call = resend(sandbox, number)
    status, _, _ = receive_notice(
        channel=channel,
        merchant_name=merchant,
        headers=call["headers"],
        raw=call["body"].encode(),
    )
    return status


def row(sql: str, **values):
    return db.session.execute(text(sql), values).mappings().one()


def total(sql: str) -> int:
    return db.session.scalar(text(sql))


@pytest.mark.covers("S10")
@pytest.mark.parametrize(
    ("channel", "method"), [("wechatpay", "jsapi"), ("alipay", "qr")], ids=["wechat", "alipay"]
)
def test_a_payment_is_booked_once_from_its_callback(estate, sandbox, channel, method):
    merchant = make_merchant(estate, sandbox, channel=channel)
    bill_id = make_bill(estate, estate.homes[0])
    number, params = open_order(estate, sandbox, [bill_id], channel, method)
    how = {"qr_code": params["qr_code"]} if method == "qr" else {"out_trade_no": number}
    sandbox.post("/_sandbox/pay", **how, person=person(sandbox)["id"])

    assert hand_over(sandbox, merchant, channel, number) == 200
    assert settle_payments() == 1
    assert hand_over(sandbox, merchant, channel, number) == 200  # again: acknowledged, no effect
    assert settle_payments() == 0

    (booked,) = sandbox.get("/_sandbox/book/payments", out_trade_no=number)
    order = row("SELECT * FROM check_v1.payment_orders WHERE out_trade_no = :n", n=number)
    assert (order["state"], order["amount_fen"]) == ("succeeded", BILL_FEN)
    assert order["channel_txn"] == booked["transaction_id"]
    bill = row("SELECT * FROM check_v1.bills WHERE id = :i", i=bill_id)
    assert (bill["state"], bill["paid_fen"], bill["open_fen"]) == ("paid", BILL_FEN, 0)
    postings = db.session.execute(
        text(
            "SELECT account, bill_id, amount FROM check_v1.postings p JOIN check_v1.journals j "
            "ON j.id = p.journal_id WHERE j.source_type = 'payment' AND j.source_key = :t "
            "ORDER BY line"
        ),
        {"t": booked["transaction_id"]},
    ).all()
    assert [tuple(p) for p in postings] == [
        (f"clearing:{channel}:{merchant}", None, BILL_FEN),
        ("receivable", bill_id, -BILL_FEN),
    ]
    assert total("SELECT sum(amount) FROM check_v1.postings") == 0
    assert total("SELECT count(*) FROM receipt") == 1
    steps = db.session.execute(
        text("SELECT actor, action FROM audit_event WHERE action LIKE 'payment%' ORDER BY id")
    ).all()
    assert [tuple(step) for step in steps] == [
        ("payer:account:1", "payment_started"), ("payer:account:1", "payment_settled"),
    ]  # fmt: skip


def test_a_lost_callback_is_found_by_asking(estate, sandbox):
    make_merchant(estate, sandbox)
    bill_id = make_bill(estate, estate.homes[0])
    number, _ = open_order(estate, sandbox, [bill_id])
    sandbox.post("/_sandbox/pay", out_trade_no=number)
    db.session.execute(text("UPDATE payment_order SET next_query_at = now()"))
    db.session.commit()

    assert query_orders() == 1
    assert settle_payments() == 1

    assert row("SELECT state FROM check_v1.bills WHERE id = :i", i=bill_id)["state"] == "paid"
    assert row("SELECT event_key FROM inbox")["event_key"].startswith(f"query:{number}:")


def test_an_alipay_code_closed_unseen_can_still_be_paid_and_is_asked_about(estate, sandbox):
    """The platform does not know a code before it is scanned, so nothing can be closed there."""
    make_merchant(estate, sandbox, channel="alipay")
    bill_id = make_bill(estate, estate.homes[0])
    number, params = open_order(estate, sandbox, [bill_id], "alipay", "qr")
    assert close_order(number) == "closed"
    look = row(
        "SELECT state, next_query_at - time_expire AS after FROM payment_order "
        "WHERE out_trade_no = :n", n=number,
    )  # fmt: skip
    assert (look["state"], look["after"]) == ("closed", CLOSE_GRACE)
    home = estate.homes[0]
    call = permission(
        house_id=home.house_id, party_id=home.party_id, kind="call", at=clock.business_now()
    )
    assert (call.allowed, call.code) == (False, "payment_in_progress")
    db.session.rollback()

    sandbox.post("/_sandbox/pay", qr_code=params["qr_code"], person=person(sandbox)["id"])
    db.session.execute(text("UPDATE payment_order SET next_query_at = now()"))  # callback lost
    db.session.commit()
    assert query_orders() == 1
    assert settle_payments() == 1
    assert row("SELECT state FROM payment_order")["state"] == "succeeded_late"
    assert row("SELECT state FROM check_v1.bills WHERE id = :i", i=bill_id)["state"] == "paid"


def test_an_order_closed_while_the_platform_was_opening_it_is_closed_there_too(
    app, estate, sandbox, wait_for
):
    """Two taps of one payer: the first one's request is under way when the second closes it."""
    make_merchant(estate, sandbox)
    bills = [make_bill(estate, home) for home in estate.homes[:2]]
    sandbox.post("/_sandbox/faults", where="wechatpay.prepay", kind="delay", ms=2000, count=1)

    def first_tap() -> str:
        with app.app_context():
            try:
                return open_order(estate, sandbox, bills)[0]
            except Refusal as refusal:
                return refusal.code
            finally:
                db.session.remove()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(first_tap)
        wait_for(lambda: total("SELECT count(*) FROM payment_order") == 1, 10)
        db.session.rollback()
        second, _ = open_order(estate, sandbox, bills[:1])
        assert first.result(20) == "payment_in_doubt"
    booked = {o["out_trade_no"]: o["state"] for o in sandbox.get("/_sandbox/book/payments")}
    assert len(booked) == 2 and booked.pop(second) == "NOTPAY"
    assert set(booked.values()) == {"CLOSED"}
    states = db.session.execute(text("SELECT state FROM payment_order ORDER BY 1")).scalars()
    assert list(states) == ["closed", "pending"]


def test_a_given_up_order_the_platform_opened_late_is_closed_by_the_janitor(estate, sandbox):
    make_merchant(estate, sandbox)
    number, _ = open_order(estate, sandbox, [make_bill(estate, estate.homes[0])])
    db.session.execute(text("UPDATE payment_order SET state = 'closing'"))
    db.session.execute(
        text("UPDATE payment_order SET state = 'closed', closed_at = now(), next_query_at = now()")
    )
    db.session.commit()
    assert sandbox.get("/_sandbox/book/payments")[0]["state"] == "NOTPAY"
    assert query_orders() == 1
    assert sandbox.get("/_sandbox/book/payments", out_trade_no=number)[0]["state"] == "CLOSED"


def test_a_closed_code_is_left_alone_after_its_last_moment(estate, sandbox):
    make_merchant(estate, sandbox, channel="alipay")
    number, _ = open_order(estate, sandbox, [make_bill(estate, estate.homes[0])], "alipay", "qr")
    assert close_order(number) == "closed"
    past = "now() - interval '1 hour'"
    db.session.execute(
        text(f"UPDATE payment_order SET time_expire = {past}, next_query_at = now()")
    )
    db.session.commit()
    assert query_orders() == 1
    assert row("SELECT state, next_query_at FROM payment_order") == {
        "state": "closed", "next_query_at": None,
    }  # fmt: skip


def test_callback_and_query_together_settle_once(estate, sandbox):
    merchant = make_merchant(estate, sandbox)
    bill_id = make_bill(estate, estate.homes[0])
    number, _ = open_order(estate, sandbox, [bill_id])
    sandbox.post("/_sandbox/pay", out_trade_no=number)

    assert ask_order(number) == "paid"
    assert hand_over(sandbox, merchant, "wechatpay", number) == 200
    assert settle_payments() == 2

    states = db.session.execute(text("SELECT state FROM check_v1.inbox ORDER BY 1")).scalars()
    assert list(states) == ["duplicate", "settled"]
    assert total("SELECT count(*) FROM journal WHERE source_type = 'payment'") == 1
    assert row("SELECT paid_fen FROM bill WHERE id = :i", i=bill_id)["paid_fen"] == BILL_FEN


def test_paying_twice_on_two_channels_becomes_credit_and_the_owner_is_told(estate, sandbox):
    make_merchant(estate, sandbox)
    make_merchant(estate, sandbox, channel="alipay")
    bill_id = make_bill(estate, estate.homes[0])
    first, _ = open_order(estate, sandbox, [bill_id], key="account:1")
    second, params = open_order(estate, sandbox, [bill_id], "alipay", "qr", key="account:2")
    sandbox.post("/_sandbox/pay", out_trade_no=first)
    sandbox.post("/_sandbox/pay", qr_code=params["qr_code"], person=person(sandbox)["id"])
    assert (ask_order(first), ask_order(second)) == ("paid", "paid")
    assert settle_payments() == 2

    home = estate.homes[0]
    credit = row("SELECT balance FROM account WHERE code LIKE 'credit:%'")["balance"]
    assert credit == BILL_FEN
    assert row("SELECT paid_fen, open_fen FROM bill WHERE id = :i", i=bill_id) == {
        "paid_fen": BILL_FEN,
        "open_fen": 0,
    }
    events = db.session.execute(
        text("SELECT event FROM message WHERE party_id = :p ORDER BY id"), {"p": home.party_id}
    ).scalars()
    assert list(events) == ["receipt", "paid_twice"]


def test_the_same_checkout_is_reopened_under_its_number(estate, sandbox):
    make_merchant(estate, sandbox)
    bill_id = make_bill(estate, estate.homes[0])
    first, params = open_order(estate, sandbox, [bill_id])
    again, same = open_order(estate, sandbox, [bill_id])
    assert (again, same["package"]) == (first, params["package"])
    assert total("SELECT count(*) FROM payment_order") == 1


def test_another_choice_closes_the_older_order_first(estate, sandbox):
    make_merchant(estate, sandbox)
    bills = [make_bill(estate, estate.homes[0]), make_bill(estate, estate.homes[0], fen=500,
             period_from=date(2026, 7, 1))]  # fmt: skip
    first, _ = open_order(estate, sandbox, bills[:1])
    second, _ = open_order(estate, sandbox, bills)
    states = {
        r.out_trade_no: r.state
        for r in db.session.execute(text("SELECT out_trade_no, state FROM payment_order"))
    }
    assert states == {first: "closed", second: "pending"}
    (closed,) = sandbox.get("/_sandbox/book/payments", out_trade_no=first)
    assert closed["state"] == "CLOSED"


def test_a_new_checkout_is_refused_while_the_older_one_was_just_paid(estate, sandbox):
    make_merchant(estate, sandbox)
    bills = [make_bill(estate, estate.homes[0]), make_bill(estate, estate.homes[0], fen=500,
             period_from=date(2026, 7, 1))]  # fmt: skip
    first, _ = open_order(estate, sandbox, bills[:1])
    sandbox.post("/_sandbox/pay", out_trade_no=first)
    with pytest.raises(Refusal) as refusal:
        open_order(estate, sandbox, bills)
    assert refusal.value.code == "already_paid"
    assert total("SELECT count(*) FROM payment_order") == 1


def test_a_genuine_notice_of_another_amount_is_quarantined_and_not_acknowledged(
    estate, sandbox, db_owner
):
    merchant = make_merchant(estate, sandbox)
    bill_id = make_bill(estate, estate.homes[0])
    number, _ = open_order(estate, sandbox, [bill_id])
    sandbox.post("/_sandbox/pay", out_trade_no=number)
    db.session.rollback()
    with db_owner.transaction():  # what the platform was paid is not what we asked for
        db_owner.execute("ALTER TABLE payment_order DISABLE TRIGGER payment_order_guard")
        db_owner.execute("UPDATE payment_order SET amount_fen = amount_fen + 1")
        db_owner.execute("ALTER TABLE payment_order ENABLE TRIGGER payment_order_guard")

    assert hand_over(sandbox, merchant, "wechatpay", number) == 500
    assert settle_payments() == 0

    seen = row("SELECT state, reason FROM check_v1.inbox")
    assert seen == {"state": "quarantined", "reason": "amount_mismatch"}
    assert row("SELECT state FROM payment_order")["state"] == "pending"
    assert row("SELECT paid_fen FROM bill WHERE id = :i", i=bill_id)["paid_fen"] == 0
    assert total("SELECT count(*) FROM journal WHERE source_type = 'payment'") == 0


def test_a_changed_body_is_refused_and_nothing_is_stored(estate, sandbox):
    merchant = make_merchant(estate, sandbox)
    number, _ = open_order(estate, sandbox, [make_bill(estate, estate.homes[0])])
    sandbox.post("/_sandbox/pay", out_trade_no=number)
    call = resend(sandbox, number)
    status, _, _ = receive_notice(
        channel="wechatpay",
        merchant_name=merchant,
        headers=call["headers"],
        raw=call["body"].encode() + b" ",
    )
    assert status == 401
    assert total("SELECT count(*) FROM inbox") == 0


@pytest.mark.covers("C10")
def test_the_quoted_late_fee_is_final_and_the_difference_is_waived(ctx, sandbox):
    sandbox.reset()
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="loop-mini")
    estate = make_estate(late_fee=True)
    merchant = make_merchant(estate, sandbox)
    set_business_now(date(2026, 12, 10), "10:00")
    bill_id = make_bill(estate, estate.homes[0], due_date=date(2026, 10, 15))
    number, _ = open_order(estate, sandbox, [bill_id])
    order = row("SELECT amount_fen FROM payment_order")
    # 10-31 … 12-10 are 41 days: 14293 × 41 × 12 % ÷ 365 = 192.66 (4 × LPR 3 % under 0.5‰ a day)
    assert order["amount_fen"] == BILL_FEN + 193

    set_business_now(date(2026, 12, 11), "00:05")  # midnight passes before the money arrives
    sandbox.post("/_sandbox/pay", out_trade_no=number)
    assert hand_over(sandbox, merchant, "wechatpay", number) == 200
    assert settle_payments() == 1

    bill = row("SELECT * FROM check_v1.bills WHERE id = :i", i=bill_id)
    assert bill["state"] == "paid"
    # 42 days: 197.36 → 197; the 4 fen of the extra day are waived, nobody owes them
    assert (bill["late_fee_posted_fen"], bill["late_fee_paid_fen"]) == (197, 193)
    assert bill["late_fee_waived_fen"] == 4
    assert total("SELECT sum(amount) FROM check_v1.postings") == 0
    assert total("SELECT sum(amount) FROM check_v1.postings WHERE account = 'receivable'") == 0


def test_money_for_a_closed_order_is_late_but_never_refused(estate, sandbox):
    make_merchant(estate, sandbox)
    bill_id = make_bill(estate, estate.homes[0])
    number, _ = open_order(estate, sandbox, [bill_id])
    sandbox.post("/_sandbox/pay", out_trade_no=number)
    with transaction():  # we closed by mistake what the platform had sold
        order = operations.lock_order(number)
        order.state = "closing"
        db.session.flush()
        order.state, order.closed_at = "closed", clock.wire_now()
    assert ask_order(number) == "paid"
    assert settle_payments() == 1
    assert row("SELECT state FROM payment_order")["state"] == "succeeded_late"
    assert row("SELECT state FROM check_v1.bills WHERE id = :i", i=bill_id)["state"] == "paid"
