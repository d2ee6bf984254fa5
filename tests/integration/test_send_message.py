"""One planned message, sent or not: the permit, the text, the channels, the doubts.

What went out is read from the sandbox's own book; every refusal leaves that book empty.
"""

from __future__ import annotations

import threading
from datetime import date, timedelta

import psycopg
import pytest
from flask import current_app
from sqlalchemy import text

from backend import clock, tasks
from backend.billing.models import HouseAccount
from backend.conduct import operations as conduct
from backend.db import db, transaction
from backend.reminders import operations
from backend.reminders.templates import addressee
from backend.usecases import send_message as sending
from backend.usecases.query_orders import ask_order
from backend.usecases.receive_notice import receive_notice
from backend.usecases.send_message import Claim, LeaseLost, send_message
from backend.usecases.settle_payments import settle_payments
from backend.usecases.start_payment import Payer, start_payment
from tests.factories.estate import (
    TODAY,
    Estate,
    Home,
    make_bill,
    make_estate,
    make_merchant,
    set_business_now,
)
from tests.factories.messages import (
    PHONE,
    SIGN,
    befriend,
    book,
    message_row,
    open_channels,
    pass_time,
    plan_reminder,
    send_due,
    task_row,
)
from tests.support.servers import Database
from tests.support.wait import wait_for

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def estate(ctx, sandbox) -> Estate:
    sandbox.post("/_sandbox/settings", time_factor=1000)  # no callback is tried twice
    set_business_now(TODAY, "10:00")
    return make_estate()


@pytest.fixture
def sms(estate, sandbox) -> dict:
    return open_channels(estate, sandbox, channels=("sms",))


@pytest.fixture
def everything(estate, sandbox) -> dict:
    return open_channels(estate, sandbox)


def home_of(estate: Estate) -> Home:
    return estate.homes[0]


def reminder(estate: Estate, **options) -> tuple[int, int]:
    """A bill of the first home and a reminder of it, due now."""
    bill_id = make_bill(estate, home_of(estate))
    return bill_id, plan_reminder(estate, home_of(estate), [bill_id], **options)


def open_order(estate: Estate, sandbox, bill_ids: list[int], key: str = "account:1") -> str:
    payer = Payer(key=key, party_id=home_of(estate).party_id, company_id=estate.company_id)
    answer = start_payment(
        payer=payer, bill_ids=bill_ids, channel="wechatpay", method="native",
        public_base_url=NOWHERE,
    )  # fmt: skip
    return answer["order"].out_trade_no


def pay(sandbox, number: str) -> None:
    sandbox.post("/_sandbox/people", phone="13900009001")
    sandbox.post("/_sandbox/pay", out_trade_no=number, person="13900009001")


def outcome(message_id: int) -> tuple[str, str | None]:
    row = message_row(message_id)
    return row["state"], row["reason_code"]


def scalar(sql: str):
    db.session.rollback()
    return db.session.scalar(text(sql))


def permits() -> list[tuple[str, str]]:
    db.session.rollback()
    rows = db.session.execute(text("SELECT decision, reason_code FROM permit ORDER BY id"))
    return [tuple(row) for row in rows]


# ---------------------------------------------------------------- what arrives
@pytest.mark.covers("S24")
def test_a_reminder_arrives_by_sms_with_the_right_text(estate, sandbox, sms):
    bill_id, message_id = reminder(estate)
    assert send_due() == 1

    (sent,) = book(sandbox)
    code = scalar("SELECT code FROM pay_code")
    base = current_app.config["SETTINGS"].public_base_url + "/pay/"
    assert sent["to"] == home_of(estate).phone
    assert sent["text"] == (
        f"【{SIGN}】温馨提示：尊敬的{addressee(home_of(estate).name)}，SUN花园1-1-101的2026年11月"
        f"物业服务费142.93元尚未缴纳，缴费截止日为2026年11月10日。可登录{base} 输入查询码{code}"
        f"缴费或提出疑问，如已缴费请忽略，咨询{PHONE}。"
    )
    row = message_row(message_id)
    assert (row["state"], row["channel"], row["vendor_id"]) == ("accepted", "sms", sent["biz_id"])
    assert row["out_id"] == sent["out_id"]
    assert row["begun_at"] <= row["ended_at"]
    assert task_row(message_id)["state"] == "done"
    assert permits() == [("allowed", "ok")]
    assert scalar("SELECT count(*) FROM contact_log WHERE class = 'reminder'") == 1
    assert scalar(f"SELECT live FROM message_bill WHERE bill_id = {bill_id}") is True


@pytest.mark.covers("S24", "C19")
def test_a_follower_gets_the_service_account_template_first(estate, sandbox, everything):
    befriend(estate, sandbox, home_of(estate), everything, follows=True, grants=1)
    _, message_id = reminder(estate)
    assert send_due() == 1

    (sent,) = book(sandbox)
    fields = everything["official"]["templates"]["overdue_3"]["fields"]
    assert sent["channel"] == "wechat_template"
    values = {key: value["value"] for key, value in sent["data"].items()}
    assert set(values) == set(fields)
    assert values["amount3"] == "142.93元"
    assert values["thing1"] == "SUN花园1-1-101"
    assert sent["url"].endswith("/pay/")
    assert outcome(message_id) == ("accepted", "ok")
    assert message_row(message_id)["vendor_id"] == str(sent["msgid"])


@pytest.mark.covers("C19")
def test_a_granted_subscription_is_used_once(estate, sandbox, everything):
    befriend(estate, sandbox, home_of(estate), everything, grants=1)
    _, message_id = reminder(estate)
    assert send_due() == 1
    assert [m["channel"] for m in book(sandbox)] == ["wechat_subscribe"]
    assert outcome(message_id) == ("accepted", "ok")
    assert scalar("SELECT granted - used FROM subscribe_grant") == 0


def test_two_bills_make_one_message_and_the_paid_one_drops_out(estate, sandbox, sms):
    home = home_of(estate)
    first = make_bill(estate, home)
    second = make_bill(estate, home, due_date=TODAY - timedelta(days=3), fen=20000)
    plan_reminder(estate, home, [first, second])
    settle_by_hand(first)
    assert send_due() == 1
    (sent,) = book(sandbox)
    assert "2026年12月物业服务费200.00元" in sent["text"]


def settle_by_hand(bill_id: int) -> None:
    db.session.execute(text("UPDATE bill SET paid_fen = due_fen WHERE id = :i"), {"i": bill_id})
    db.session.commit()


# ---------------------------------------------------------------- paid, or perhaps paid
@pytest.mark.covers("S15")
def test_a_paid_bill_is_not_dunned(estate, sandbox, sms):
    bill_id, message_id = reminder(estate)
    settle_by_hand(bill_id)
    send_due()
    assert outcome(message_id) == ("suppressed", "paid")
    assert book(sandbox) == []
    assert permits() == [("refused", "paid")]
    assert scalar("SELECT bool_or(live) FROM message_bill") is False


def test_a_reversed_bill_is_not_dunned(estate, sandbox, sms):
    bill_id, message_id = reminder(estate)
    db.session.execute(text("UPDATE bill SET reversed = true WHERE id = :i"), {"i": bill_id})
    db.session.commit()
    send_due()
    assert outcome(message_id) == ("suppressed", "paid")
    assert book(sandbox) == []


@pytest.mark.covers("S15")
def test_paid_at_the_platform_but_the_callback_lost(estate, sandbox, sms):
    """The question before the permit finds the payment; nothing is sent, the money is booked."""
    make_merchant(estate, sandbox)
    bill_id, message_id = reminder(estate)
    pay(sandbox, open_order(estate, sandbox, [bill_id]))

    assert send_due() == 1
    assert outcome(message_id) == ("planned", "notice_pending")
    assert book(sandbox) == []
    assert settle_payments() == 1
    assert outcome(message_id) == ("suppressed", "paid")
    pass_time(10)
    send_due()
    assert task_row(message_id)["state"] == "done"
    assert [m["event"] for m in book(sandbox)] == ["receipt"]
    assert scalar(f"SELECT state FROM check_v1.bills WHERE id = {bill_id}") == "paid"


def test_an_unpaid_checkout_asked_just_now_does_not_silence(estate, sandbox, sms):
    make_merchant(estate, sandbox)
    bill_id, message_id = reminder(estate)
    number = open_order(estate, sandbox, [bill_id])
    assert send_due() == 1
    assert outcome(message_id) == ("accepted", "ok")
    assert scalar("SELECT asked_state FROM payment_order") == "unpaid"
    assert [r["key"] for r in sandbox.get("/_sandbox/book/requests", point="wechatpay.query")] == [
        number
    ]


@pytest.mark.parametrize("kind", ["http_500", "drop", "delay"])
def test_a_silent_platform_means_do_not_send(estate, sandbox, sms, kind):
    make_merchant(estate, sandbox)
    bill_id, message_id = reminder(estate)
    open_order(estate, sandbox, [bill_id])
    sandbox.post("/_sandbox/faults", where="wechatpay.query", kind=kind, ms=2500)
    send_due()
    assert outcome(message_id) == ("planned", "order_in_doubt")
    assert book(sandbox) == []
    sandbox.delete("/_sandbox/faults")
    pass_time(6)
    send_due()
    assert outcome(message_id) == ("accepted", "ok")


def test_an_answer_older_than_a_second_is_a_doubt(estate, sandbox, sms):
    make_merchant(estate, sandbox)
    bill_id, _ = reminder(estate)
    number = open_order(estate, sandbox, [bill_id])
    assert (
        conduct.payment_doubt([bill_id], house_id=home_of(estate).house_id) == "order_in_doubt"
    )  # never asked
    assert ask_order(number) == "unpaid"
    assert conduct.payment_doubt([bill_id], house_id=home_of(estate).house_id) is None
    db.session.execute(text("UPDATE payment_order SET asked_at = now() - interval '1.01 s'"))
    assert conduct.payment_doubt([bill_id], house_id=home_of(estate).house_id) == "order_in_doubt"


def test_a_freshly_closed_order_is_asked_too(estate, sandbox, sms):
    """Closed by us, paid at the platform all the same: no reminder, no lost money."""
    make_merchant(estate, sandbox)
    bill_id, message_id = reminder(estate)
    number = open_order(estate, sandbox, [bill_id])
    pay(sandbox, number)
    with transaction():
        db.session.execute(text("UPDATE payment_order SET state = 'closing'"))
        db.session.execute(text("UPDATE payment_order SET state = 'closed', closed_at = now()"))
    send_due()
    assert outcome(message_id) == ("planned", "notice_pending")
    assert book(sandbox) == []
    assert settle_payments() == 1
    assert scalar("SELECT state FROM payment_order") == "succeeded_late"


def test_a_notice_not_yet_judged_postpones(estate, sandbox, sms):
    merchant = make_merchant(estate, sandbox)
    bill_id, message_id = reminder(estate)
    number = open_order(estate, sandbox, [bill_id])
    pay(sandbox, number)
    call = sandbox.post("/_sandbox/notify/resend", out_trade_no=number)
    status, _, _ = receive_notice(
        channel="wechatpay", merchant_name=merchant, headers=call["headers"],
        raw=call["body"].encode(),
    )  # fmt: skip
    assert status == 200
    before = clock.business_now()
    send_due()
    assert outcome(message_id) == ("planned", "notice_pending")
    task = task_row(message_id)
    assert (task["state"], task["tries"]) == ("ready", 0)
    assert before < task["due_at"] < before + timedelta(seconds=10)
    assert book(sandbox) == []


def test_credit_waiting_to_be_used_postpones(estate, sandbox, sms):
    _, message_id = reminder(estate)
    account = db.session.get(HouseAccount, home_of(estate).house_id)
    account.credit_pending = True
    db.session.commit()
    send_due()
    assert outcome(message_id) == ("planned", "credit_pending")
    assert book(sandbox) == []


# ---------------------------------------------------------------- holds and contact rules
@pytest.mark.covers("C17", "S34")
@pytest.mark.parametrize("kind", ["promise", "dispute", "stop_contact", "hardship", "manual"])
def test_a_hold_suppresses(estate, sandbox, sms, kind):
    _, message_id = reminder(estate)
    home = home_of(estate)
    place_hold(kind, house_id=home.house_id, party_id=home.party_id)
    send_due()
    assert outcome(message_id) == ("suppressed", f"hold_{kind}")
    assert book(sandbox) == []


def place_hold(kind: str, **scope) -> None:
    values = {"house_id": None, "party_id": None, "bill_id": None} | scope
    conduct.place_hold(
        kind=kind, **values, from_day=TODAY, until_day=TODAY + timedelta(days=5),
        reason="test", source="test", now=clock.wire_now(),
    )  # fmt: skip
    db.session.commit()


def test_a_hold_on_the_bill_or_the_person_suppresses_another_ones_does_not(estate, sandbox, sms):
    other = estate.homes[1]
    bill_id, message_id = reminder(estate)
    place_hold("dispute", house_id=other.house_id)
    place_hold("stop_contact", party_id=other.party_id)
    send_due()
    assert outcome(message_id) == ("accepted", "ok")

    other_bill = make_bill(estate, other)
    second = plan_reminder(estate, other, [other_bill])
    send_due()
    assert outcome(second)[0] == "suppressed"


def test_the_promise_hold_lets_its_own_reminder_through(estate, sandbox, sms):
    bill_id = make_bill(estate, home_of(estate))
    place_hold("promise", house_id=home_of(estate).house_id, party_id=home_of(estate).party_id)
    message_id = plan_reminder(
        estate, home_of(estate), [bill_id], event="promise_tomorrow", stage="S34", kind="promise",
        data={"amount_fen": 10000, "on_date": "2026-12-11"},
    )  # fmt: skip
    send_due()
    assert outcome(message_id) == ("accepted", "ok")
    (sent,) = book(sandbox)
    assert "您约定于2026年12月11日缴纳SUN花园1-1-101的物业服务费100.00元" in sent["text"]


@pytest.mark.covers("C15")
@pytest.mark.parametrize(
    ("at", "opens"),
    [("07:59", date(2026, 12, 10)), ("21:10", date(2026, 12, 11))],
    ids=["morning", "evening"],
)
def test_quiet_hours_postpone_to_the_next_window(estate, sandbox, sms, at, opens):
    set_business_now(TODAY, at)
    _, message_id = reminder(estate)
    send_due()
    assert outcome(message_id) == ("planned", "E-C15")
    due = task_row(message_id)["due_at"].astimezone(clock.SHANGHAI)
    assert (due.date(), due.hour, due.minute) == (opens, 9, 0)
    assert book(sandbox) == []
    set_business_now(opens, "09:00")
    send_due()
    assert outcome(message_id) == ("accepted", "ok")


@pytest.mark.covers("C15")
def test_a_window_that_opens_after_the_last_day_suppresses(estate, sandbox, sms):
    set_business_now(TODAY, "21:10")
    until = clock.business_now() + timedelta(hours=2)
    _, message_id = reminder(estate, valid_until=until)
    send_due()
    assert outcome(message_id) == ("suppressed", "E-C15")
    assert book(sandbox) == []


@pytest.mark.covers("C16")
def test_one_a_day_and_two_a_week_per_person_over_all_houses(estate, sandbox, sms):
    home, other = estate.homes
    bills = [make_bill(estate, home), make_bill(estate, other, party_id=home.party_id)]
    first = plan_reminder(estate, home, bills[:1], window_key="w1")
    same = Home(other.house_id, other.house_code, other.building_id, home.party_id, home.name,
                home.phone, home.contact_point_id)  # fmt: skip
    second = plan_reminder(estate, same, bills[1:], window_key="w1")
    send_due()
    assert [outcome(first), outcome(second)] == [("accepted", "ok"), ("planned", "E-C16")]
    assert task_row(second)["due_at"].astimezone(clock.SHANGHAI).date() == date(2026, 12, 11)

    set_business_now(date(2026, 12, 11), "10:00")
    third = plan_reminder(estate, home, bills[:1], window_key="w2")
    send_due()
    assert outcome(second) == ("accepted", "ok")
    set_business_now(date(2026, 12, 13), "10:00")
    send_due()
    assert outcome(third) == ("planned", "E-C16")  # two in seven days
    due = task_row(third)["due_at"].astimezone(clock.SHANGHAI)
    assert due.date() == date(2026, 12, 17)
    assert len(book(sandbox)) == 2


def test_somebody_no_longer_liable_is_not_written_to(estate, sandbox, sms):
    home, other = estate.homes
    bill_id = make_bill(estate, home, party_id=other.party_id)
    message_id = plan_reminder(estate, home, [bill_id])
    send_due()
    assert outcome(message_id) == ("suppressed", "paid")
    assert book(sandbox) == []


# ---------------------------------------------------------------- channels
@pytest.mark.covers("C19")
def test_43004_falls_to_the_next_channel_and_is_learnt(estate, sandbox, everything):
    befriend(estate, sandbox, home_of(estate), everything, follows=True, really_follows=False)
    _, message_id = reminder(estate)
    send_due()
    assert outcome(message_id)[0] == "failed"
    assert scalar("SELECT bool_or(following) FROM owner_openid") is False
    assert [m["channel"] for m in book(sandbox)] == ["sms"]
    states = scalar("SELECT string_agg(state || ':' || channel, ' ' ORDER BY id) FROM message")
    assert states == "failed:wechat_template accepted:sms"


@pytest.mark.covers("C19")
def test_43101_empties_the_grants_and_falls_to_sms(estate, sandbox, everything):
    befriend(estate, sandbox, home_of(estate), everything, grants=2, real_grants=0)
    reminder(estate)
    send_due()
    assert scalar("SELECT granted - used FROM subscribe_grant") == 0
    assert [m["channel"] for m in book(sandbox)] == ["sms"]


def test_no_channel_fails_and_is_left_to_people(estate, sandbox, ctx):
    bill_id, message_id = reminder(estate)  # the company has registered nothing
    send_due()
    assert outcome(message_id) == ("failed", "no_channel")
    assert scalar(f"SELECT live FROM message_bill WHERE bill_id = {bill_id}") is False


def test_a_refusal_that_may_pass_is_tried_again(estate, sandbox, sms):
    _, message_id = reminder(estate)
    sandbox.post("/_sandbox/faults", where="sms.send", kind="code", code="Throttling", count=1)
    send_due()
    assert outcome(message_id) == ("planned", "Throttling")
    task = task_row(message_id)
    assert task["not_before"] > clock.wire_now() + timedelta(seconds=3)
    make_due()
    send_due()
    assert outcome(message_id) == ("accepted", "ok")
    assert len(book(sandbox)) == 1


def test_a_refusal_that_does_not_pass_goes_another_way(estate, sandbox, everything):
    """The day's quota of template messages is used up: after five tries the SMS goes out."""
    befriend(estate, sandbox, home_of(estate), everything, follows=True)
    bill_id, message_id = reminder(estate)
    sandbox.post("/_sandbox/faults", where="wechat.template", kind="code", code="45009")
    for _ in range(tasks.MAX_TRIES):
        assert outcome(message_id)[0] == "planned"
        make_due()
        send_due()
    assert outcome(message_id) == ("failed", "45009")
    assert [(m["channel"], m["accepted"]) for m in book(sandbox) if m["accepted"]] == [
        ("sms", True)
    ]
    assert (
        scalar(
            "SELECT count(*) FROM message_bill mb JOIN message m ON m.id = mb.message_id "
            f"WHERE mb.bill_id = {bill_id} AND mb.live AND m.state = 'accepted'"
        )
        == 1
    )
    assert scalar("SELECT count(*) FROM task WHERE state = 'dead'") == 0


def test_a_message_that_cannot_be_made_ends_before_a_person(estate, sandbox, sms):
    """A fault of ours in the text: five tries, then the task is dead, not a loop for ever."""
    home = home_of(estate)
    with transaction():
        message = operations.plan_message(
            community_id=estate.community_id, house_id=home.house_id, party_id=home.party_id,
            kind="receipt", event="receipt", stage="receipt", window_key="order:broken",
            bill_ids=[make_bill(estate, home)], due_at=clock.business_now(),
            data={"amount_fen": "a hundred"},
        )  # fmt: skip
    assert message is not None
    rounds = 0
    while scalar("SELECT state FROM task WHERE kind = 'send_message'") != "dead":
        rounds += 1
        assert rounds <= 2 * tasks.MAX_TRIES
        db.session.execute(text("UPDATE message SET calling_at = now() - interval '1 min'"))
        db.session.execute(text("UPDATE task SET due_at = due_at - interval '1 hour'"))
        make_due()
        send_due()
    assert scalar("SELECT last_error FROM task WHERE kind = 'send_message'") == "ValueError"
    assert book(sandbox) == []


def make_due() -> None:
    """What the real clock would do: back-offs and leases end."""
    db.session.execute(
        text("UPDATE task SET not_before = now(), lease_until = lease_until - interval '1 min'")
    )
    db.session.commit()


# ---------------------------------------------------------------- doubts
def test_a_vendor_time_out_is_a_doubt_that_asking_resolves(estate, sandbox, sms):
    _, message_id = reminder(estate)
    sandbox.post("/_sandbox/faults", where="sms.send", kind="slow", ms=3000, count=1)
    send_due()
    assert outcome(message_id) == ("in_doubt", "timeout")
    assert scalar("SELECT count(*) FROM contact_log") == 1  # it may have arrived: it counts
    send_due()
    assert len(book(sandbox)) == 1  # not asked yet, and never sent blindly
    pass_time(25)
    send_due()
    assert outcome(message_id)[0] == "delivered"
    assert task_row(message_id, "ask_message")["state"] == "done"
    assert len(book(sandbox)) == 1


def test_a_doubt_nobody_can_resolve_stays_visible(estate, sandbox, sms):
    _, message_id = reminder(estate)
    sandbox.post("/_sandbox/faults", where="sms.send", kind="drop", count=1)
    send_due()
    assert outcome(message_id)[0] == "in_doubt"
    pass_time(25)
    send_due()
    assert outcome(message_id)[0] == "in_doubt"
    assert task_row(message_id, "ask_message")["state"] == "ready"  # asked again later
    assert book(sandbox) == []


@pytest.mark.parametrize(
    "kind", ["slow", "drop", "http_500"], ids=["arrived", "not-arrived", "gateway-error"]
)
def test_a_doubtful_template_goes_out_again_under_its_own_id(estate, sandbox, everything, kind):
    """client_msg_id: the platform drops the second one if it had the first."""
    befriend(estate, sandbox, home_of(estate), everything, follows=True)
    _, message_id = reminder(estate)
    sandbox.post("/_sandbox/faults", where="wechat.template", kind=kind, ms=3000, count=1)
    send_due()
    assert outcome(message_id)[0] == "in_doubt"
    pass_time(25)
    send_due()
    assert outcome(message_id) == ("accepted", "ok")
    (sent,) = book(sandbox)
    assert sent["out_id"] == message_row(message_id)["out_id"]
    assert scalar("SELECT count(*) FROM contact_log") == 1


def test_a_doubtful_template_is_not_repeated_to_somebody_who_has_paid(estate, sandbox, everything):
    befriend(estate, sandbox, home_of(estate), everything, follows=True)
    bill_id, message_id = reminder(estate)
    sandbox.post("/_sandbox/faults", where="wechat.template", kind="drop", count=1)
    send_due()
    settle_by_hand(bill_id)
    pass_time(25)
    send_due()
    assert outcome(message_id)[0] == "in_doubt"
    assert book(sandbox) == []


# ---------------------------------------------------------------- leases
def claimed() -> list[Claim]:
    with transaction():
        rows = tasks.claim(queue="messages", limit=10, lease_seconds=45)
    return [Claim(row.id, row.lease_no) for row in rows]


def test_a_stale_attempt_cannot_send(estate, sandbox, sms):
    _, message_id = reminder(estate)
    (old,) = claimed()
    make_due()
    (new,) = claimed()
    assert new.lease_no == old.lease_no + 1

    assert send_message(message_id=message_id, claim=old) == "lease_lost"
    assert (outcome(message_id)[0], book(sandbox)) == ("planned", [])
    assert send_message(message_id=message_id, claim=new) == "accepted"
    assert send_message(message_id=message_id, claim=old) == "accepted"  # reads, does nothing
    assert len(book(sandbox)) == 1


def test_an_orphan_that_wakes_up_late_cannot_send(estate, sandbox, sms, app, db_app):
    """It stands before the lock while its task is taken over; when it wakes, it must stop."""
    _, message_id = reminder(estate)
    (old,) = claimed()
    ended = []

    def orphan() -> None:
        with app.app_context():
            ended.append(send_message(message_id=message_id, claim=old))
            db.session.remove()

    with db_app.transaction():
        db_app.execute("UPDATE task SET lease_no = lease_no + 1 WHERE id = %s", [old.task_id])
        thread = threading.Thread(target=orphan)
        thread.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_for(lambda: scalar(waits) == 1, 5)
    thread.join(10)
    assert ended == ["lease_lost"]
    assert (outcome(message_id)[0], book(sandbox)) == ("planned", [])


def test_a_call_whose_lease_went_meanwhile_is_not_made(estate, sandbox, sms):
    """Between the trace and the lock the task was taken over: the new attempt looks, this stops."""
    bill_id, message_id = reminder(estate)
    (old,) = claimed()
    assert sending._begin_calling(message_id, old) == "calling"
    make_due()
    (new,) = claimed()
    with pytest.raises(LeaseLost), transaction():
        sending._call_under_lock(message_id, [bill_id], old)
    assert (outcome(message_id)[0], book(sandbox)) == ("calling", [])
    db.session.execute(text("UPDATE message SET calling_at = now() - interval '1 min'"))
    db.session.commit()
    assert send_message(message_id=message_id, claim=new) == "planned"  # the vendor knows nothing
    send_due()
    assert outcome(message_id) == ("accepted", "ok")
    assert len(book(sandbox)) == 1


def test_no_answer_to_the_question_is_not_no_record(estate, sandbox, sms, clean_database):
    """The outcome of a call was lost and the vendor is silent: nothing goes out again."""
    _, message_id = reminder(estate)
    send_due()
    crash_before_commit(clean_database, message_id)
    sandbox.post("/_sandbox/faults", where="sms.query", kind="http_500")
    send_due()
    assert outcome(message_id)[0] == "in_doubt"
    sandbox.delete("/_sandbox/faults")
    pass_time(20)
    send_due()
    assert outcome(message_id)[0] in ("accepted", "delivered")
    assert len(book(sandbox)) == 1


def test_a_subscribe_message_whose_outcome_was_lost_stays_in_doubt(
    estate, sandbox, everything, clean_database
):
    """Nobody can be asked about it and a second one would be a second message."""
    befriend(estate, sandbox, home_of(estate), everything, grants=2)
    bill_id, message_id = reminder(estate)
    send_due()
    crash_before_commit(clean_database, message_id)
    send_due()
    row = message_row(message_id)
    assert (row["state"], row["channel"]) == ("in_doubt", "wechat_subscribe")
    assert row["begun_at"] == row["calling_at"]
    assert scalar("SELECT count(*) FROM contact_log") == 1  # it may have arrived (C16)
    assert scalar(f"SELECT live FROM message_bill WHERE bill_id = {bill_id}") is True
    pass_time(3600)
    send_due()
    assert len(book(sandbox)) == 1


@pytest.mark.parametrize("left", [True, False], ids=["arrived", "not-arrived"])
def test_a_template_whose_caller_died_goes_out_again_the_same_way(
    estate, sandbox, everything, clean_database, left
):
    """Under its own id, which the platform drops if it had it, and never by SMS beside it."""
    befriend(estate, sandbox, home_of(estate), everything, follows=True)
    _, message_id = reminder(estate)
    if not left:
        sandbox.post("/_sandbox/faults", where="wechat.template", kind="drop", count=1)
    send_due()
    crash_before_commit(clean_database, message_id)
    send_due()
    row = message_row(message_id)
    assert (row["state"], row["channel"]) == ("accepted", "wechat_template")
    assert row["begun_at"] == row["calling_at"]
    (sent,) = book(sandbox)
    assert (sent["channel"], sent["out_id"]) == ("wechat_template", row["out_id"])
    assert scalar("SELECT count(*) FROM contact_log") == 1


def test_a_template_whose_caller_died_is_not_repeated_after_the_evening(
    estate, sandbox, everything, clean_database
):
    """It may have arrived: planned anew for the morning it could arrive twice."""
    befriend(estate, sandbox, home_of(estate), everything, follows=True)
    _, message_id = reminder(estate)
    sandbox.post("/_sandbox/faults", where="wechat.template", kind="drop", count=1)
    send_due()
    crash_before_commit(clean_database, message_id)
    set_business_now(TODAY, "21:30")
    send_due()
    assert outcome(message_id) == ("in_doubt", "E-C15")
    assert book(sandbox) == []
    assert scalar("SELECT count(*) FROM permit WHERE decision = 'refused'") == 1
    assert scalar("SELECT count(*) FROM task WHERE state IN ('ready', 'leased')") == 0


def crash_before_commit(clean_database: Database, message_id: int) -> None:
    """Put the database back to the trace of the call, a minute ago, as a dead worker leaves it."""
    with psycopg.connect(clean_database.admin_url) as admin:
        admin.execute("SET LOCAL session_replication_role = replica")
        admin.execute(
            "UPDATE message SET state = 'calling', channel = 'auto', begun_at = NULL, "
            "ended_at = NULL, vendor_id = NULL, calling_at = now() - interval '1 min' "
            "WHERE id = %s",
            [message_id],
        )
        admin.execute("UPDATE task SET state = 'ready' WHERE dedupe_key = %s", [str(message_id)])
        admin.execute("DELETE FROM task WHERE kind = 'ask_message'")
        admin.execute("DELETE FROM contact_log")


def test_two_workers_at_once_send_one_message(estate, sandbox, sms, app):
    bills = [make_bill(estate, home) for home in estate.homes]
    for home, bill in zip(estate.homes, bills, strict=True):
        plan_reminder(estate, home, [bill])
    barrier = threading.Barrier(4)

    def worker() -> None:
        with app.app_context():
            barrier.wait()
            send_due()
            db.session.remove()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(m["to"] for m in book(sandbox)) == sorted(h.phone for h in estate.homes)
