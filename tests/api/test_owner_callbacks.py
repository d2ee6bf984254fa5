"""Platforms call back over HTTP: payment notices, WeChat's push, SMS receipts."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from backend import clock
from backend.db import db, transaction
from backend.estate import privacy
from backend.reminders import operations as reminders
from backend.reminders.models import Message, SmsAccount
from backend.usecases.settle_payments import settle_payments
from tests.factories.estate import (
    make_bill,
    make_estate,
    make_merchant,
    set_business_now,
)
from tests.support.owner import bound_owner, counts, register_apps, scalar

BOOKS = ("inbox", "inbox_outcome", "journal", "posting", "payment_order", "delivery_receipt")


@pytest.fixture
def estate(ctx, sandbox):
    estate = make_estate(houses=2)
    set_business_now()
    return estate


@pytest.fixture
def apps(estate, sandbox, live_server):
    return register_apps(sandbox, estate.company_id, push=live_server.url)


@pytest.fixture
def owner(client, sandbox, estate, apps):
    return bound_owner(client, sandbox, apps, estate.homes[0])


@pytest.fixture
def paid(app, monkeypatch, client, sandbox, estate, apps, owner):
    """A function: pay a bill at the platform and return the genuine callback, not yet ours."""
    deaf = replace(app.config["SETTINGS"], public_base_url="http://127.0.0.1:9")
    monkeypatch.setitem(app.config, "SETTINGS", deaf)

    def pay(channel: str = "wechatpay") -> tuple[str, dict]:
        bill_id = make_bill(estate, estate.homes[0])
        make_merchant(estate, sandbox, channel=channel, app=apps.mini["name"])
        method = "jsapi" if channel == "wechatpay" else "qr"
        started = owner.ok_post(
            "/payments", {"bill_ids": [str(bill_id)], "channel": channel, "method": method}
        )
        number = started["payment"]["out_trade_no"]
        sandbox.post("/_sandbox/pay", out_trade_no=number)
        return number, sandbox.post("/_sandbox/notify/resend", out_trade_no=number)

    return pay


def deliver(client, call: dict, *, body: bytes | None = None, **headers: str):
    path = call["url"][call["url"].index("/notify/") :]
    sent = call["body"].encode() if body is None else body
    return client.post(path, data=sent, headers={**call["headers"], **headers})


@pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
def test_a_callback_travels_by_itself(client, sandbox, estate, apps, owner, live_server, channel,
                                      wait_for):  # fmt: skip
    bill_id = make_bill(estate, estate.homes[0])
    make_merchant(estate, sandbox, channel=channel, app=apps.mini["name"])
    method = "jsapi" if channel == "wechatpay" else "qr"
    body = {"bill_ids": [str(bill_id)], "channel": channel, "method": method}
    number = owner.ok_post("/payments", body)["payment"]["out_trade_no"]
    sandbox.post("/_sandbox/pay", out_trade_no=number)
    wait_for(lambda: counts("inbox")["inbox"] == 1, 10)
    assert settle_payments() == 1
    assert owner.ok_get(f"/payments/{number}")["paid"] is True
    [done] = [
        row
        for row in sandbox.get("/_sandbox/book/notifies", out_trade_no=number)
        if row["kind"] == "genuine"
    ]
    assert done["ok"]


@pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
@pytest.mark.parametrize("forgery", ["body", "signature", "empty", "other_merchant", "get"])
def test_a_forged_callback_changes_nothing(client, paid, channel, forgery):
    number, call = paid(channel)
    before = counts(*BOOKS)
    path = call["url"][call["url"].index("/notify/") :]
    if forgery == "body":
        changed = call["body"].replace("1", "2", 1).encode()
        answer = deliver(client, call, body=changed)
    elif forgery == "signature":
        if channel == "wechatpay":
            answer = deliver(client, call, **{"Wechatpay-Signature": "AAAA"})
        else:
            answer = deliver(client, call, body=call["body"].replace("sign=", "sign=A").encode())
    elif forgery == "empty":
        answer = deliver(client, call, body=b"")
    elif forgery == "other_merchant":
        answer = client.post(f"/notify/{channel}/somebody-else", data=call["body"].encode())
        assert answer.status_code == 404
    else:
        answer = client.get(path)
        assert answer.status_code == 405
    assert b"SUCCESS" not in answer.data and answer.data != b"success"
    assert counts(*BOOKS) == before
    assert settle_payments() == 0


@pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
def test_the_same_callback_twice_settles_once(client, paid, channel):
    number, call = paid(channel)
    answers = {deliver(client, call).data for _ in range(3)}
    assert len(answers) == 1
    assert counts("inbox") == {"inbox": 1}
    assert settle_payments() == 1
    assert scalar("SELECT count(*) FROM journal WHERE source_type = 'payment'") == 1


def test_an_oversized_callback_is_not_read(client, ctx):
    answer = client.post("/notify/alipay/any", data=b"a" * 200_000)
    assert answer.status_code == 413


# ---------------------------------------------------------------- WeChat's push
def test_the_push_address_is_verified(sandbox, apps):
    for app in (apps.mini, apps.official):
        assert sandbox.post(f"/_sandbox/apps/{app['name']}/verify-push")["ok"] is True


def test_following_joins_the_official_account_to_the_owner(sandbox, apps, owner, wait_for):
    def follow(now: bool) -> None:
        path = f"/_sandbox/people/{owner.person['id']}/follow"
        sandbox.post(path, appid=apps.official["appid"], follow=now)

    def state() -> list[tuple]:
        rows = db.session.execute(
            db.text("SELECT appid, account_id, following FROM owner_openid ORDER BY following")
        ).all()
        db.session.rollback()
        return [tuple(row) for row in rows]

    mine = (apps.mini["appid"], owner.account_id, False)
    follow(True)
    wait_for(lambda: state() == [mine, (apps.official["appid"], owner.account_id, True)], 10)
    follow(False)
    wait_for(lambda: {row[2] for row in state()} == {False}, 10)
    assert counts("owner_account") == {"owner_account": 1}


def test_a_follower_who_logs_in_later_becomes_one_account(client, sandbox, estate, apps, wait_for):
    from tests.support.owner import OwnerClient

    owner = OwnerClient(client, sandbox, apps.mini, estate.homes[1].phone)
    path = f"/_sandbox/people/{owner.person['id']}/follow"
    sandbox.post(path, appid=apps.official["appid"])
    wait_for(lambda: counts("owner_openid")["owner_openid"] == 1, 10)
    owner.login()
    assert counts("owner_account", "owner_openid") == {"owner_account": 1, "owner_openid": 2}


def test_a_tap_reported_by_client_and_push_is_one_grant(sandbox, apps, owner, wait_for):
    template = apps.mini["templates"]["due_in_1"]["id"]
    path = f"/_sandbox/people/{owner.person['id']}/grant"
    sandbox.post(path, appid=apps.mini["appid"], event="due_in_1")
    wait_for(lambda: counts("delivery_receipt")["delivery_receipt"] == 1, 10)
    body = {"appid": apps.mini["appid"], "results": {template: "accept"}}
    owner.ok_post("/subscriptions", body)
    assert scalar("SELECT granted FROM subscribe_grant") == 1
    owner.ok_post("/subscriptions", body)  # a second tap, its push still on the way
    assert scalar("SELECT granted FROM subscribe_grant") == 2
    first = int(time.time())
    wait_for(lambda: int(time.time()) > first)  # WeChat tells pushes apart by the second
    sandbox.post(path, appid=apps.mini["appid"], event="due_in_1")
    wait_for(lambda: counts("delivery_receipt")["delivery_receipt"] == 4, 10)
    assert scalar("SELECT granted FROM subscribe_grant") == 2


@pytest.mark.parametrize("query", [{}, {"signature": "x", "timestamp": "1", "nonce": "n"}])
def test_a_push_that_is_not_wechats_changes_nothing(client, apps, query):
    before = counts("owner_openid", "subscribe_grant", "delivery_receipt")
    path = f"/notify/wechat/{apps.official['name']}"
    body = "<xml><Event>subscribe</Event><FromUserName>x</FromUserName></xml>"
    assert client.post(path, query_string=query, data=body).status_code == 401
    assert client.get(path, query_string={**query, "echostr": "1"}).status_code == 401
    assert client.post("/notify/wechat/nobody", data=body).status_code == 404
    assert counts("owner_openid", "subscribe_grant", "delivery_receipt") == before


# ---------------------------------------------------------------- delivery receipts
SECRET = "receipt-secret-0123456789"


@pytest.fixture
def sent(estate):
    """An SMS that went out and waits for its receipt: (message id, out id)."""
    home = estate.homes[0]
    bill_id = make_bill(estate, home)
    with transaction():
        db.session.add(
            SmsAccount(
                company_id=estate.company_id, name="sms", vendor="aliyun",
                receipt_secret_hash=hashlib.sha256(SECRET.encode()).hexdigest(),
                config_enc=privacy.encrypt_json(estate.company_id, {}),
            )
        )  # fmt: skip
        message_id = reminders.plan_message(
            community_id=estate.community_id, house_id=home.house_id, party_id=home.party_id,
            kind="reminder", event="overdue_3", stage="S24", window_key="w", bill_ids=[bill_id],
            due_at=clock.business_now() - timedelta(minutes=1),
        )  # fmt: skip
        message = db.session.get_one(Message, message_id)
        message.state, message.channel = "calling", "sms"
        db.session.flush()
        message.state, message.vendor_id = "accepted", "BIZ1"
        return message_id, message.out_id


def report(client, out_id: str, *, ok: bool = True, secret: str = SECRET, biz: str = "BIZ1"):
    row = {
        "phone_number": "13900000001", "success": ok, "biz_id": biz, "out_id": out_id,
        "send_time": "2026-12-10 10:00:00", "report_time": "2026-12-10 10:00:03",
        "err_code": "DELIVERED" if ok else "MOBILE_NOT_ON_SERVICE", "err_msg": "", "sms_size": "1",
    }  # fmt: skip
    return client.post(f"/notify/sms/aliyun/{secret}", json=[row])


def test_a_receipt_marks_the_message_delivered_once(client, sent):
    message_id, out_id = sent
    for _ in range(3):
        answer = report(client, out_id)
        assert answer.get_json() == {"code": 0, "msg": "成功"}
    assert counts("delivery_receipt") == {"delivery_receipt": 1}
    assert scalar("SELECT state FROM message WHERE id = :i", i=message_id) == "delivered"
    report(client, out_id, ok=False, biz="BIZ2")  # a later, contradicting word moves nothing back
    assert scalar("SELECT state FROM message WHERE id = :i", i=message_id) == "delivered"


def test_an_undelivered_message_frees_its_bills_for_the_next_channel(client, sent):
    message_id, out_id = sent
    report(client, out_id, ok=False)
    assert scalar("SELECT state FROM message WHERE id = :i", i=message_id) == "failed"
    tried = scalar("SELECT tried FROM message WHERE id <> :i", i=message_id)
    assert tried == ["sms"]
    assert scalar("SELECT count(*) FROM message_bill WHERE live") == 1


def test_a_receipt_settles_a_doubt(client, sent, db_owner):
    message_id, out_id = sent
    db_owner.execute("ALTER TABLE message DISABLE TRIGGER message_guard")
    db_owner.execute("UPDATE message SET state = 'in_doubt', vendor_id = NULL")
    db_owner.execute("ALTER TABLE message ENABLE TRIGGER message_guard")
    report(client, out_id)
    assert scalar("SELECT state FROM message WHERE id = :i", i=message_id) == "delivered"
    assert scalar("SELECT vendor_id FROM message WHERE id = :i", i=message_id) == "BIZ1"


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + "x", SECRET.upper()])
def test_a_receipt_without_the_secret_changes_nothing(client, sent, secret):
    message_id, out_id = sent
    assert report(client, out_id, secret=secret).status_code in (404, 405)
    assert counts("delivery_receipt") == {"delivery_receipt": 0}
    assert scalar("SELECT state FROM message WHERE id = :i", i=message_id) == "accepted"


def test_another_companys_account_cannot_settle_our_message(client, sent, ctx):
    message_id, out_id = sent
    other = make_estate(code="MOON", houses=1)
    with transaction():
        db.session.add(
            SmsAccount(
                company_id=other.company_id, name="moon", vendor="aliyun",
                receipt_secret_hash=hashlib.sha256(b"moon-secret").hexdigest(),
                config_enc=privacy.encrypt_json(other.company_id, {}),
            )
        )  # fmt: skip
    report(client, out_id, secret="moon-secret")
    assert scalar("SELECT state FROM message WHERE id = :i", i=message_id) == "accepted"


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", b"[" * 50_000])
def test_an_unreadable_report_is_refused(client, sent, body):
    answer = client.post(f"/notify/sms/aliyun/{SECRET}", data=body)
    assert answer.status_code in (400, 422)
    assert counts("delivery_receipt") == {"delivery_receipt": 0}
