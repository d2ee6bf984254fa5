"""Bill runs, waivers, refunds, payments and exceptions, over HTTP and the real sandbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from backend import clock
from backend.db import db, transaction
from backend.payments import operations
from backend.payments.models import Merchant, Refund
from backend.usecases.settle_payments import settle_payments
from backend.usecases.settle_refunds import note_refund_state
from tests.factories import estate as make
from tests.factories.estate import BILL_FEN, TODAY
from tests.integration.test_notice_rotation import change_config
from tests.support.staff import StaffClient

DAY = timedelta(days=1)


@pytest.fixture
def estate(ctx):
    make.set_business_now(TODAY, "10:00")
    return make.make_estate(houses=2, late_fee=True)


def member(client, estate, role, login=None):
    staff = make.make_steward(estate.company_id, login or f"{role}1", role=role)
    return StaffClient(client, staff)


def rows(db_owner, sql, *values):
    return db_owner.execute(sql, values).fetchall()


def money(db_owner):
    """Everything that moves with money; equal before and after a refusal."""
    return rows(
        db_owner,
        "SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM posting), "
        "(SELECT count(*) FROM refund), (SELECT count(*) FROM principal_event), "
        "(SELECT sum(waived_fen + late_fee_waived_fen) FROM bill), "
        "(SELECT count(*) FROM audit_event WHERE action <> 'login'), "
        "(SELECT count(*) FROM idempotency_key)",
    )


# ------------------------------------------------------------------ bill runs
def test_a_preview_writes_nothing_and_the_run_does_the_same(client, estate, db_owner):
    from backend.usecases.issue_bills import continue_bill_run

    finance = member(client, estate, "finance")
    body = {
        "community_id": str(estate.community_id),
        "period_from": "2026-12-01",
        "period_to": "2027-01-01",
    }
    seen = finance.ok_post("/bill-runs/preview", body)
    assert {k: seen[k] for k in ("houses", "bills", "total_fen", "total_text", "skipped")} == {
        "houses": 2, "bills": 2, "total_fen": 2 * BILL_FEN, "total_text": "285.86", "skipped": [],
    }  # fmt: skip
    assert sorted(s["house_code"] for s in seen["sample"]) == ["1-1-101", "1-1-201"]
    assert {(s["fen"], s["text"]) for s in seen["sample"]} == {(BILL_FEN, "142.93")}
    formula = "94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元"
    assert {s["formula"] for s in seen["sample"]} == {formula}
    assert rows(db_owner, "SELECT count(*) FROM bill") == [(0,)]
    assert rows(db_owner, "SELECT count(*) FROM bill_run") == [(0,)]
    status, started = finance.post("/bill-runs", body, key="bill-run-0001")
    assert (status, started["state"]) == (202, "running")
    assert finance.post("/bill-runs", body, key="bill-run-0001") == (202, started)
    run_id = int(started["id"])
    assert rows(db_owner, "SELECT queue, kind, payload FROM task WHERE kind = 'bill_run'") == [
        ("bulk", "bill_run", {"bill_run_id": run_id})
    ]
    assert continue_bill_run(run_id).bills == 2
    shown = finance.ok_get(f"/bill-runs/{run_id}")
    progress = ("state", "houses_done", "houses_total", "bills", "total_fen")
    assert [shown[name] for name in progress] == ["done", 2, 2, 2, 28586]
    assert finance.ok_get("/bill-runs")["items"] == [shown]
    again = finance.ok_post("/bill-runs/preview", body)
    assert (again["bills"], again["total_fen"], again["sample"]) == (0, 0, [])


def test_a_run_whose_task_gave_up_is_called_failed_and_starts_again(client, estate, db_owner):
    from backend.usecases.issue_bills import continue_bill_run

    finance = member(client, estate, "finance")
    body = {
        "community_id": str(estate.community_id),
        "period_from": "2026-12-01",
        "period_to": "2027-01-01",
    }
    run_id = finance.ok_post("/bill-runs", body)["id"]

    def state():
        shown = finance.ok_get(f"/bill-runs/{run_id}")["state"]
        assert [run["state"] for run in finance.ok_get("/bill-runs")["items"]] == [shown]
        return shown

    assert state() == "running"
    db_owner.execute("UPDATE task SET state = 'dead', tries = 5 WHERE kind = 'bill_run'")
    assert state() == "failed"
    make.set_business_now(TODAY + 3 * DAY, "10:00")
    assert finance.ok_post("/bill-runs", body) == {"id": run_id, "state": "running"}
    assert state() == "running"  # the dead task stays for a person, a live one goes on
    assert rows(db_owner, "SELECT state, count(*) FROM task WHERE kind = 'bill_run' GROUP BY 1 "
                "ORDER BY 1") == [("dead", 1), ("ready", 1)]  # fmt: skip
    assert continue_bill_run(int(run_id)).bills == 2
    assert state() == "done"
    assert rows(db_owner, "SELECT DISTINCT issued_on FROM bill") == [(TODAY + 3 * DAY,)]


@pytest.mark.parametrize(
    "change, code",
    [
        ({"period_to": "2026-12-01"}, "empty_period"),
        ({"period_from": "2025-01-01", "period_to": "2025-02-01"}, "E-C43"),
        ({"period_to": "2026-12-31"}, "period_not_whole_months"),
        ({"period_to": "2027-01-31"}, "period_not_whole_months"),
        ({"fee_codes": ["WY"]}, "fee_codes_unsupported"),
        ({"community_id": "99"}, "not_found"),
        ({"community_id": "x"}, "validation_failed"),
        ({"period_from": "1.12.2026"}, "validation_failed"),
    ],
)
@pytest.mark.covers("C43")
def test_an_impossible_run_is_refused(client, estate, db_owner, change, code):
    finance = member(client, estate, "finance")
    body = {
        "community_id": str(estate.community_id),
        "period_from": "2026-12-01",
        "period_to": "2027-01-01",
        **change,
    }
    for path in ("/bill-runs/preview", "/bill-runs"):
        assert finance.post(path, body)[1]["code"] == code
    assert rows(db_owner, "SELECT count(*) FROM bill_run") == [(0,)]
    assert rows(db_owner, "SELECT count(*) FROM task") == [(0,)]


def test_the_overview_shows_what_was_collected_this_year(client, estate, db_owner):
    first = make.make_bill(estate, estate.homes[0], fen=10000)
    make.make_bill(estate, estate.homes[1], fen=20000, due_date=TODAY + 10 * DAY)
    old = make.make_bill(estate, estate.homes[1], fen=7000, due_date=TODAY - 400 * DAY)
    db_owner.execute("UPDATE bill SET paid_fen = 9999 WHERE id = %s", [first])
    db_owner.execute("UPDATE bill SET paid_fen = 1000 WHERE id = %s", [old])
    finance = member(client, estate, "finance")
    assert finance.ok_get("/communities")["items"] == [
        {
            "id": str(estate.community_id), "code": "SUN", "name": "SUN花园", "houses": 2,
            "open_fen": 26001, "overdue_fen": 6001, "collected_fen": 9999,
            "collection_rate_text": "33.3%",
        }
    ]  # fmt: skip


# ------------------------------------------------------------------ waivers
def test_a_waiver_is_charged_waived_and_seen_in_the_ledger(client, estate, db_owner):
    bill = make.make_bill(estate, estate.homes[0], due_date=TODAY - 25 * DAY)  # late fee 47 fen
    finance = member(client, estate, "finance")
    reason = "漏水影响服务"
    body = {"bill_id": str(bill), "principal_fen": 293, "late_fee_fen": 40, "reason": reason}
    answer = finance.ok_post("/waivers", body, key="waiver-key-1")["bill"]
    assert (answer["open_fen"], answer["waived_fen"], answer["late_fee_fen"]) == (14000, 293, 7)
    assert finance.ok_post("/waivers", body, key="waiver-key-1")["bill"] == answer
    posted = rows(
        db_owner,
        "SELECT p.account, p.bill_id, p.amount FROM check_v1.postings p JOIN check_v1.journals j "
        "ON j.id = p.journal_id WHERE j.source_type = 'waiver' ORDER BY p.line",
    )
    assert posted == [
        ("late_fee", None, -40),
        ("receivable", bill, 40),
        ("receivable", bill, -333),
        ("waiver", bill, 333),
    ]
    assert rows(db_owner, "SELECT day, kind, amount_fen FROM principal_event") == [
        (TODAY, "waiver", 293)
    ]
    detail = rows(db_owner, "SELECT detail FROM audit_event WHERE action = 'waived'")
    assert detail == [({"principal_fen": 293, "late_fee_fen": 40, "reason": reason},)]


def test_roles_have_limits_and_a_refusal_changes_nothing(client, estate, db_owner):
    bill = make.make_bill(estate, estate.homes[0], fen=60_000_000, due_date=TODAY - 200 * DAY)
    lead, finance = member(client, estate, "lead"), member(client, estate, "finance")
    manager, steward = member(client, estate, "manager"), member(client, estate, "steward")
    before = money(db_owner)
    for who, principal, late, status, code in (
        (steward, 0, 1, 403, "forbidden_role"),
        (lead, 0, 20001, 403, "waiver_limit"),
        (lead, 1, 0, 403, "waiver_limit"),
        (finance, 50001, 0, 403, "waiver_limit"),
        (finance, 0, 200001, 403, "waiver_limit"),
        (manager, 500001, 0, 403, "waiver_limit"),
        (manager, 0, 0, 422, "waiver_invalid"),
        (manager, -1, 5, 422, "validation_failed"),
    ):
        body = {"bill_id": str(bill), "principal_fen": principal, "late_fee_fen": late,
                "reason": "协商减免"}  # fmt: skip
        got = who.post("/waivers", body)
        assert (got[0], got[1]["code"]) == (status, code), (principal, late)
    assert money(db_owner) == before
    body = {"bill_id": str(bill), "late_fee_fen": 20000, "reason": "协商减免"}
    assert lead.ok_post("/waivers", body)["bill"]["open_fen"] == 60_000_000


def test_no_more_than_is_open_can_be_waived(client, estate, db_owner):
    bill = make.make_bill(estate, estate.homes[0], due_date=TODAY - 25 * DAY)
    admin = member(client, estate, "admin")
    before = money(db_owner)
    for change in ({"principal_fen": BILL_FEN + 1}, {"late_fee_fen": 48}):
        status, body = admin.post(
            "/waivers", {"bill_id": str(bill), "reason": "协商减免", **change}
        )
        assert (status, body["code"], list(body["fields"])) == (422, "waiver_exceeds", [*change])
    short = {"bill_id": str(bill), "principal_fen": 1, "reason": "a"}
    assert admin.post("/waivers", short)[1]["code"] == "reason_required"
    assert money(db_owner) == before
    full = {**short, "principal_fen": BILL_FEN, "late_fee_fen": 47, "reason": "全免处理"}
    answer = admin.ok_post("/waivers", full)["bill"]
    assert (answer["state"], answer["payable_fen"]) == ("paid", 0)


# ------------------------------------------------------------------ refunds
def pay_twice(estate, sandbox, fen):
    """Two payers pay the same bill; the second payment becomes credit. Return both numbers."""
    from backend.usecases.query_orders import ask_order
    from backend.usecases.start_payment import Payer, start_payment

    make.make_merchant(estate, sandbox, channel="wechatpay", appid="wx0123456789abcdef")
    home = estate.homes[0]
    bill = make.make_bill(estate, home, fen=fen, due_date=TODAY + DAY)
    numbers = []
    for payer in ("account:1", "code:ABCD2345"):
        order = start_payment(
            payer=Payer(key=payer, party_id=home.party_id, company_id=estate.company_id),
            bill_ids=[bill], channel="wechatpay", method="native",
            public_base_url="http://127.0.0.1:9",
        )["order"]  # fmt: skip
        numbers.append(order.out_trade_no)
    person = sandbox.post("/_sandbox/people", phone="13900009999")
    for number in numbers:
        sandbox.post("/_sandbox/pay", out_trade_no=number, person=person["id"])
        assert ask_order(number) == "paid"
        settle_payments()
    return numbers


def credit(estate, db_owner):
    home = estate.homes[0]
    return rows(
        db_owner, "SELECT balance FROM account WHERE code = %s",
        f"credit:{home.house_id}:{home.party_id}",
    )[0][0]  # fmt: skip


def test_credit_goes_back_the_way_it_came(client, estate, sandbox, db_owner, wait_for):
    first, second = pay_twice(estate, sandbox, BILL_FEN)
    finance = member(client, estate, "finance")
    assert credit(estate, db_owner) == BILL_FEN
    body = {"out_trade_no": second, "amount_fen": 4293, "reason": "重复支付退款"}
    status, answer = finance.post("/refunds", body, key="refund-key-1")
    assert status == 201
    assert answer == {
        "out_refund_no": f"{second}R1", "state": "processing", "state_text": "处理中",
        "amount_fen": 4293, "needs_approval": False,
    }  # fmt: skip
    assert credit(estate, db_owner) == BILL_FEN - 4293
    again = finance.ok_post("/refunds", body, key="refund-key-1")
    assert again["out_refund_no"] == f"{second}R1"
    assert rows(db_owner, "SELECT count(*) FROM refund") == [(1,)]
    wait_for(lambda: refunded(db_owner), 20)
    book = sandbox.get("/_sandbox/book/refunds")
    assert [(r["out_refund_no"], r["amount_fen"], r["state"]) for r in book] == [
        (f"{second}R1", 4293, "SUCCESS")
    ]
    shown = {p["out_trade_no"]: p for p in finance.ok_get("/payments")["items"]}
    assert (shown[first]["refunded_fen"], shown[second]["refunded_fen"]) == (0, 4293)
    assert rows(db_owner, "SELECT sum(amount) FROM posting") == [(0,)]


def refunded(db_owner):
    """Ask about all refunds now; tell whether all have succeeded."""
    ask_refunds(db_owner)
    return rows(db_owner, "SELECT bool_and(state = 'succeeded') FROM refund") == [(True,)]


def ask_refunds(db_owner):
    from backend.usecases.query_refunds import query_refunds

    db.session.rollback()
    db_owner.execute("UPDATE refund SET next_query_at = now() WHERE next_query_at IS NOT NULL")
    query_refunds()


def seen(item):
    """An exception without its id and time."""
    return {name: value for name, value in item.items() if name not in ("id", "at")}


def test_a_large_refund_waits_for_a_second_person(client, estate, sandbox, db_owner, wait_for):
    _, second = pay_twice(estate, sandbox, 150_000)
    finance = member(client, estate, "finance")
    manager = member(client, estate, "manager")
    body = {"out_trade_no": second, "amount_fen": 100_001, "reason": "重复支付退款"}
    asked = finance.ok_post("/refunds", body)
    assert (asked["state"], asked["needs_approval"]) == ("requested", True)
    assert credit(estate, db_owner) == 49_999
    assert sandbox.get("/_sandbox/book/refunds") == []
    waiting = {
        "kind": "waiting_refund", "kind_text": "退款待复核", "reason": "重复支付退款",
        "refund": {"out_refund_no": asked["out_refund_no"], "amount_fen": 100_001,
                   "amount_text": "1000.01", "requested_by": "管家finance1", "mine": False},
    }  # fmt: skip
    assert [seen(item) for item in manager.ok_get("/exceptions")["items"]] == [waiting]
    waiting["refund"]["mine"] = True
    assert [seen(item) for item in finance.ok_get("/exceptions")["items"]] == [waiting]
    path = f"/refunds/{asked['out_refund_no']}/approve"
    status, refused = finance.post(path)
    assert (status, refused["code"]) == (403, "approval_needs_second")
    ask_refunds(db_owner)
    assert sandbox.get("/_sandbox/book/refunds") == []
    assert len(finance.ok_get("/exceptions")["items"]) == 1
    approved = manager.ok_post(path, key="approve-key-1")
    assert manager.ok_get("/exceptions")["items"] == []
    assert (approved["state"], approved["needs_approval"]) == ("processing", False)
    assert manager.ok_post(path, key="approve-key-1")["out_refund_no"] == asked["out_refund_no"]
    assert manager.post(path)[1]["code"] == "refund_not_waiting"
    wait_for(lambda: refunded(db_owner), 20)
    assert rows(db_owner, "SELECT state, requested_by, approved_by FROM refund") == [
        ("succeeded", f"steward:{finance.staff.id}", f"steward:{manager.staff.id}")
    ]  # fmt: skip


def test_a_rejected_refund_gives_the_credit_back(client, estate, sandbox, db_owner):
    _, second = pay_twice(estate, sandbox, 150_000)
    finance = member(client, estate, "finance")
    manager = member(client, estate, "manager")
    asked = finance.ok_post(
        "/refunds", {"out_trade_no": second, "amount_fen": 150_000, "reason": "重复支付退款"}
    )
    path = f"/refunds/{asked['out_refund_no']}/reject"
    assert finance.post(path, {"reason": "业主改为抵扣"})[0] == 403
    assert manager.ok_post(path, {"reason": "业主改为抵扣"})["state"] == "rejected"
    assert manager.ok_get("/exceptions")["items"] == []
    assert credit(estate, db_owner) == 150_000
    assert manager.post(f"/refunds/{asked['out_refund_no']}/approve")[0] == 409


def test_only_unspent_credit_of_a_paid_order_is_refunded(client, estate, sandbox, db_owner):
    first, second = pay_twice(estate, sandbox, BILL_FEN)
    finance = member(client, estate, "finance")
    finance.ok_post("/refunds", {"out_trade_no": second, "amount_fen": 14000, "reason": "退款"})
    before = money(db_owner)
    for change, code in (
        ({"amount_fen": 294}, "refund_exceeds"),
        ({"out_trade_no": first, "amount_fen": 1}, "refund_exceeds"),  # it paid the bill (A47)
        ({"amount_fen": 0}, "validation_failed"),
        ({"out_trade_no": "JQ0000"}, "not_found"),
    ):
        body = {"out_trade_no": second, "amount_fen": 1, "reason": "退款", **change}
        assert finance.post("/refunds", body)[1]["code"] == code
    assert money(db_owner) == before
    finance.ok_post("/refunds", {"out_trade_no": second, "amount_fen": 293, "reason": "退款"})
    assert credit(estate, db_owner) == 0


def test_credit_spent_on_a_bill_is_not_refunded_out_of_another_payments(
    client, estate, sandbox, db_owner
):
    from backend.usecases.apply_credit import apply_credit

    home = estate.homes[0]
    _, second = pay_twice(estate, sandbox, BILL_FEN)
    make.give_credit(estate, home, 5000)  # came in later, by another way
    make.make_bill(estate, home, fen=10_000, due_date=TODAY + 9 * DAY, period_from=TODAY + 30 * DAY)
    db_owner.execute("UPDATE house_account SET credit_pending = true")
    apply_credit()  # the oldest credit is spent first: 4293 of the second payment are left
    finance = member(client, estate, "finance")
    assert credit(estate, db_owner) == 9293
    before = money(db_owner)
    status, refused = finance.post(
        "/refunds", {"out_trade_no": second, "amount_fen": 4294, "reason": "退款"}
    )
    assert (status, refused["code"]) == (409, "refund_exceeds")
    assert "42.93" in refused["message_zh"]
    assert money(db_owner) == before
    finance.ok_post("/refunds", {"out_trade_no": second, "amount_fen": 4293, "reason": "退款"})
    assert credit(estate, db_owner) == 5000


def test_many_small_refunds_do_not_get_round_the_second_person(client, estate, sandbox, db_owner):
    _, second = pay_twice(estate, sandbox, 150_000)
    finance, manager = member(client, estate, "finance"), member(client, estate, "manager")

    def ask(fen):
        return finance.ok_post(
            "/refunds", {"out_trade_no": second, "amount_fen": fen, "reason": "重复支付"}
        )

    assert ask(60_000)["needs_approval"] is False
    assert ask(40_000)["needs_approval"] is False  # the limit itself needs nobody
    third = ask(1)
    assert (third["state"], third["needs_approval"]) == ("requested", True)
    path = f"/refunds/{third['out_refund_no']}/reject"
    assert manager.ok_post(path, {"reason": "无需退款"})["state"] == "rejected"
    assert credit(estate, db_owner) == 50_000
    assert ask(1)["needs_approval"] is True  # what was sent back still counts


def test_a_lost_answer_is_asked_for_under_the_same_number(
    client, estate, sandbox, db_owner, wait_for
):
    _, second = pay_twice(estate, sandbox, BILL_FEN)
    finance = member(client, estate, "finance")
    sandbox.post("/_sandbox/faults", where="wechatpay.refund", kind="lose_reply")
    asked = finance.ok_post(
        "/refunds", {"out_trade_no": second, "amount_fen": 100, "reason": "退款"}
    )
    assert asked["state"] == "unknown"
    sandbox.delete("/_sandbox/faults")
    wait_for(lambda: refunded(db_owner), 20)
    assert len(sandbox.get("/_sandbox/book/refunds")) == 1


def test_a_question_the_platform_refuses_closes_no_refund(
    client, estate, sandbox, db_owner, wait_for
):
    """Our key was changed by mistake: 401 to a query says nothing about the money on its way."""
    _, second = pay_twice(estate, sandbox, BILL_FEN)
    finance = member(client, estate, "finance")
    finance.ok_post("/refunds", {"out_trade_no": second, "amount_fen": 4293, "reason": "退款"})
    merchant = rows(db_owner, "SELECT name FROM merchant")[0][0]
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    kept = change_config(merchant, private_key_pem=pem)
    assert refunded(db_owner) is False
    assert rows(db_owner, "SELECT state FROM refund") == [("unknown",)]
    assert credit(estate, db_owner) == BILL_FEN - 4293
    change_config(merchant, **kept)
    wait_for(lambda: refunded(db_owner), 20)
    assert credit(estate, db_owner) == BILL_FEN - 4293
    assert rows(db_owner, "SELECT sum(amount) FROM posting") == [(0,)]


def test_a_refund_that_arrives_after_it_was_called_closed_is_shown_to_a_person(
    client, estate, sandbox, db_owner
):
    _, second = pay_twice(estate, sandbox, BILL_FEN)
    finance = member(client, estate, "finance")
    finance.ok_post("/refunds", {"out_trade_no": second, "amount_fen": 4293, "reason": "退款"})
    close_in_our_books(second)
    assert credit(estate, db_owner) == BILL_FEN
    with transaction():
        merchant_id = db.session.scalar(db.select(Merchant.id))
        operations.store_notice(
            channel="wechatpay", merchant_id=merchant_id, event_key="EV-late-refund",
            kind="refund", out_trade_no=second, raw=b"{}", headers={}, at=clock.wire_now(),
            parsed={
                "out_refund_no": f"{second}R1", "amount_fen": 4293, "refund_state": "succeeded"
            },
        )  # fmt: skip
    assert settle_payments() == 1
    assert rows(
        db_owner, "SELECT state, reason FROM check_v1.inbox WHERE event_key = 'EV-late-refund'"
    ) == [("quarantined", "refund_after_close")]
    assert rows(db_owner, "SELECT count(*) FROM inbox_pending") == [(0,)]
    assert rows(db_owner, "SELECT state FROM refund") == [("closed",)]
    assert credit(estate, db_owner) == BILL_FEN


def close_in_our_books(out_trade_no):
    """What a wrong word of the platform did: the refund closed, the credit given back."""
    with transaction():
        order = operations.lock_order(out_trade_no)
        refund = db.session.scalar(db.select(Refund).with_for_update())
        note_refund_state(refund, order, "closed", clock.wire_now())


# ------------------------------------------------------------------ exceptions
def test_exceptions_of_the_company_only_newest_first(client, estate, db_owner):
    other = make.make_estate(code="MOON", houses=1)
    for place, kind in ((estate, "one"), (estate, "two"), (other, "three")):
        db_owner.execute(
            "INSERT INTO task (queue, kind, dedupe_key, community_id, payload, state, due_at, "
            "last_error, created_at) VALUES ('bulk', %s, %s, %s, '{}', 'dead', now(), 'boom', "
            "clock_timestamp())",
            [kind, kind, place.community_id],
        )
    finance = member(client, estate, "finance")
    items = finance.ok_get("/exceptions")["items"]
    assert [(i["kind"], i["kind_text"], i["reason"]) for i in items] == [
        ("dead_task", "任务失败", "two · boom"),
        ("dead_task", "任务失败", "one · boom"),
    ]


def test_a_notice_that_cannot_be_settled_is_an_exception_and_stays_pending(
    client, estate, sandbox, db_owner
):
    """A fault of ours must not lose money: tried again and again, and shown to a person."""
    number, _ = pay_twice(estate, sandbox, BILL_FEN)
    with transaction():
        operations.store_notice(
            channel="wechatpay", merchant_id=db.session.scalar(db.select(Merchant.id)),
            event_key="EV-broken", kind="payment", out_trade_no=number, raw=b"{}", headers={},
            parsed={}, at=clock.wire_now(),
        )  # fmt: skip
    finance = member(client, estate, "finance")
    for _ in range(5):
        assert finance.ok_get("/exceptions")["items"] == []
        db_owner.execute("UPDATE inbox_pending SET not_before = now()")
        settle_payments()
    (item,) = finance.ok_get("/exceptions")["items"]
    assert (item["kind"], item["kind_text"], item["reason"]) == (
        "unsettled_notice", "支付通知多次未能入账", number
    )  # fmt: skip
    assert rows(db_owner, "SELECT tries FROM inbox_pending") == [(5,)]


def test_an_order_nobody_asks_about_any_more_is_an_exception(client, estate, sandbox, db_owner):
    from backend.usecases.query_orders import ask_order
    from backend.usecases.start_payment import Payer, start_payment

    make.make_merchant(estate, sandbox, channel="wechatpay", appid="wx0123456789abcdef")
    home = estate.homes[0]
    payer = Payer(key="account:1", party_id=home.party_id, company_id=estate.company_id)
    number = start_payment(
        payer=payer, bill_ids=[make.make_bill(estate, home)], channel="wechatpay", method="native",
        public_base_url="http://127.0.0.1:9",
    )["order"].out_trade_no  # fmt: skip
    finance = member(client, estate, "finance")
    assert finance.ok_get("/exceptions")["items"] == []
    with db_owner.transaction():
        db_owner.execute("ALTER TABLE payment_order DISABLE TRIGGER payment_order_guard")
        db_owner.execute("UPDATE payment_order SET created_at = now() - interval '9 days'")
        db_owner.execute("ALTER TABLE payment_order ENABLE TRIGGER payment_order_guard")
    sandbox.post("/_sandbox/faults", where="wechatpay.query", kind="lose_reply")
    assert ask_order(number) == "unknown"
    sandbox.delete("/_sandbox/faults")
    assert [(i["kind"], i["kind_text"], i["reason"]) for i in finance.ok_get("/exceptions")["items"]
            ] == [("unanswered_order", "订单结果不明", f"unknown · {number}")]  # fmt: skip
