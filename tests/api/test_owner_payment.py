"""The owner's one loop over HTTP: log in, bind, see, pay, be noticed, settled, paid."""

from __future__ import annotations

from datetime import UTC

import pytest

from backend.usecases.seal import seal_audit
from backend.usecases.settle_payments import settle_payments
from tests.factories.estate import (
    BILL_FEN,
    TODAY,
    make_bill,
    make_estate,
    make_merchant,
    set_business_now,
)
from tests.support.owner import OwnerClient, bound_owner, counts, new_key, register_apps, scalar


@pytest.fixture
def estate(ctx, sandbox):
    return make_estate(houses=2)


@pytest.fixture
def apps(estate, sandbox):
    return register_apps(sandbox, estate.company_id)


@pytest.fixture
def owner(client, sandbox, estate, apps) -> OwnerClient:
    set_business_now()
    return bound_owner(client, sandbox, apps, estate.homes[0])


def pay_at_platform(sandbox, client, number: str, *, wap_url: str | None = None) -> int:
    """Confirm at the cashier and hand the genuine callback to the product; return its answer."""
    sandbox.post("/_sandbox/pay", {"wap_url": wap_url} if wap_url else {"out_trade_no": number})
    call = sandbox.post("/_sandbox/notify/resend", out_trade_no=number)
    path = call["url"][call["url"].index("/notify/") :]
    answer = client.post(path, data=call["body"].encode(), headers=call["headers"])
    return answer.status_code


def wire(instant) -> str:
    """An instant as the API writes it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.covers("C53")
@pytest.mark.parametrize(
    ("channel", "method", "param"),
    [
        ("wechatpay", "jsapi", "paySign"),
        ("wechatpay", "h5", "h5_url"),
        ("wechatpay", "qr", "qr_svg"),
        ("alipay", "qr", "qr_svg"),
        ("alipay", "wap", "pay_url"),
    ],
)
def test_from_login_to_paid(client, sandbox, estate, apps, owner, channel, method, param):
    bill_id = make_bill(estate, estate.homes[0])
    make_merchant(estate, sandbox, channel=channel, app=apps.mini["name"])
    [bill] = owner.ok_get("/bills")["items"]
    assert (bill["id"], bill["payable_fen"]) == (str(bill_id), BILL_FEN)
    assert bill["lines"][0]["formula"] == "94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元"

    started = owner.ok_post(
        "/payments", {"bill_ids": [bill["id"]], "channel": channel, "method": method}
    )
    number = started["payment"]["out_trade_no"]
    assert started["payment"]["amount_fen"] == BILL_FEN
    assert started["payment"]["amount_text"] == "142.93"
    assert param in started["params"]
    before = owner.ok_get(f"/payments/{number}")
    assert (before["paid"], before["state_text"]) == (False, "待支付")

    link = started["params"].get("pay_url")
    assert pay_at_platform(sandbox, client, number, wap_url=link) == 200
    assert settle_payments() == 1

    after = owner.ok_get(f"/payments/{number}")
    assert (after["paid"], after["state"], after["state_text"]) == (True, "succeeded", "支付成功")
    assert after["bills"] == [
        {
            "id": bill["id"],
            "fee_name": "物业服务费",
            "period_text": "2026年11月",
            "paid_fen": BILL_FEN,
        }
    ]
    assert after["settled_at"].endswith("Z")
    page = owner.ok_get("/bills")
    assert (page["items"], page["totals"]["payable_fen"]) == ([], 0)
    [all_bills] = owner.ok_get("/bills", state="all")["items"]
    assert (all_bills["state"], all_bills["paid_fen"]) == ("paid", BILL_FEN)
    assert all_bills["payments"] == [
        {
            "receipt_no": None,
            "channel_text": {"wechatpay": "微信支付", "alipay": "支付宝"}[channel],
            "paid_fen": BILL_FEN,
            "paid_text": "142.93",
            "paid_at": wire(scalar("SELECT paid_at FROM payment_order")),
        }
    ]


@pytest.mark.covers("C11")
def test_any_subset_can_be_paid_and_the_rest_stays(client, sandbox, estate, apps, owner):
    make_merchant(estate, sandbox, app=apps.mini["name"])
    dates = [TODAY.replace(month=m) for m in (9, 10, 11)]
    ids = [str(make_bill(estate, estate.homes[0], due_date=day)) for day in dates]
    assert [b["id"] for b in owner.ok_get("/bills")["items"]] == ids
    started = owner.ok_post(
        "/payments", {"bill_ids": [ids[2], ids[0]], "channel": "wechatpay", "method": "jsapi"}
    )
    assert started["payment"]["amount_fen"] == 2 * BILL_FEN
    pay_at_platform(sandbox, client, started["payment"]["out_trade_no"])
    settle_payments()
    page = owner.ok_get("/bills")
    assert [b["id"] for b in page["items"]] == [ids[1]]
    assert page["totals"] == {
        "open_fen": BILL_FEN,
        "late_fee_fen": 0,
        "payable_fen": BILL_FEN,
        "payable_text": "142.93",
    }


def test_what_was_paid_is_listed_bill_by_bill_with_its_receipt(
    client, sandbox, estate, apps, owner
):
    """Each bill shows its own part of a payment of several; an unpaid one shows none."""
    make_merchant(estate, sandbox, app=apps.mini["name"])
    home = estate.homes[0]
    dates = [TODAY.replace(month=m) for m in (9, 10, 11)]
    first, second, third = [make_bill(estate, home, due_date=day) for day in dates]
    together = {"bill_ids": [str(first), str(second)], "channel": "wechatpay", "method": "jsapi"}
    number = owner.ok_post("/payments", together)["payment"]["out_trade_no"]
    pay_at_platform(sandbox, client, number)
    settle_payments()
    seal_audit()
    bills = {b["id"]: b["payments"] for b in owner.ok_get("/bills", state="all")["items"]}
    paid = {
        "receipt_no": scalar("SELECT number FROM receipt"),
        "channel_text": "微信支付",
        "paid_fen": BILL_FEN,
        "paid_text": "142.93",
        "paid_at": wire(scalar("SELECT paid_at FROM payment_order")),
    }
    assert paid["receipt_no"].startswith("SJ")
    assert bills == {str(first): [paid], str(second): [paid], str(third): []}
    [still_open] = owner.ok_get("/bills")["items"]
    assert (still_open["id"], still_open["payments"]) == (str(third), [])


def test_a_repeated_tap_gets_the_same_order_and_parameters(sandbox, estate, apps, owner):
    bill_id = str(make_bill(estate, estate.homes[0]))
    make_merchant(estate, sandbox, app=apps.mini["name"])
    body = {"bill_ids": [bill_id], "channel": "wechatpay", "method": "jsapi"}
    key = new_key()
    first = owner.ok_post("/payments", body, key=key)
    again = owner.ok_post("/payments", body, key=key)
    assert again == first
    assert scalar("SELECT count(*) FROM payment_order") == 1
    # another key for the same intent re-opens the same number: nobody can pay twice by tapping
    other = owner.ok_post("/payments", body, key=new_key())
    assert other["payment"]["out_trade_no"] == first["payment"]["out_trade_no"]
    status, refused = owner.post("/payments", {**body, "method": "h5"}, key=key)
    assert (status, refused["code"]) == (409, "idempotency_key_reused")


def test_a_lost_platform_reply_is_rebuilt_by_the_same_key(sandbox, estate, apps, owner):
    bill_id = str(make_bill(estate, estate.homes[0]))
    make_merchant(estate, sandbox, app=apps.mini["name"])
    body = {"bill_ids": [bill_id], "channel": "wechatpay", "method": "jsapi"}
    sandbox.post("/_sandbox/faults", where="wechatpay.prepay", kind="lose_reply")
    key = new_key()
    status, lost = owner.post("/payments", body, key=key)
    assert (status, lost["code"]) == (503, "platform_unknown")
    sandbox.delete("/_sandbox/faults")
    rebuilt = owner.ok_post("/payments", body, key=key)
    assert rebuilt["params"]["package"].startswith("prepay_id=")
    assert scalar("SELECT count(*) FROM payment_order") == 1
    assert scalar("SELECT out_trade_no FROM payment_order") == rebuilt["payment"]["out_trade_no"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"bill_ids": []}, 422, "validation_failed"),
        ({"bill_ids": ["999999999"]}, 404, "not_found"),
        ({"bill_ids": ["x"]}, 422, "validation_failed"),
        ({"bill_ids": [12]}, 422, "validation_failed"),
        ({"bill_ids": ["99999999999999999999"]}, 422, "validation_failed"),
        ({"channel": "paypal"}, 422, "validation_failed"),
        ({"channel": "alipay"}, 422, "channel_unknown"),
        ({"amount_fen": 1}, 422, "validation_failed"),
    ],
)
def test_wrong_payments_are_refused_and_change_nothing(
    sandbox, estate, apps, owner, body, status, code
):
    bill_id = str(make_bill(estate, estate.homes[0]))
    make_merchant(estate, sandbox, app=apps.mini["name"])
    tables = ("payment_order", "order_bill", "journal", "idempotency_key")
    before = counts(*tables)
    good = {"bill_ids": [bill_id], "channel": "wechatpay", "method": "jsapi"}
    answered, refusal = owner.post("/payments", {**good, **body})
    assert (answered, refusal["code"]) == (status, code), refusal
    assert refusal["message_zh"]
    assert counts(*tables) == before


def test_payment_without_a_merchant_account_is_refused(estate, owner):
    bill_id = str(make_bill(estate, estate.homes[0]))
    body = {"bill_ids": [bill_id], "channel": "alipay", "method": "qr"}
    status, refusal = owner.post("/payments", body)
    assert (status, refusal["code"]) == (409, "E-C55")
    assert counts("payment_order") == {"payment_order": 0}


def test_jsapi_needs_the_openid_of_the_merchants_app(client, sandbox, estate, apps, owner):
    other = sandbox.post("/_sandbox/apps", kind="miniprogram", name="elsewhere")
    bill_id = str(make_bill(estate, estate.homes[0]))
    make_merchant(estate, sandbox, appid=other["appid"])
    body = {"bill_ids": [bill_id], "channel": "wechatpay", "method": "jsapi"}
    status, refusal = owner.post("/payments", body)
    assert (status, refusal["code"]) == (409, "openid_missing")
    assert counts("payment_order") == {"payment_order": 0}


def test_an_unsafe_call_needs_a_key(client, owner):
    answer = client.post("/api/v1/payments", json={}, headers=owner.headers)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_key_required")


@pytest.mark.covers("S15")
def test_a_paid_order_of_a_bill_is_not_opened_again(client, sandbox, estate, apps, owner):
    bill_id = str(make_bill(estate, estate.homes[0]))
    make_merchant(estate, sandbox, app=apps.mini["name"])
    body = {"bill_ids": [bill_id], "channel": "wechatpay", "method": "jsapi"}
    number = owner.ok_post("/payments", body)["payment"]["out_trade_no"]
    pay_at_platform(sandbox, client, number)
    settle_payments()
    status, refusal = owner.post("/payments", body)
    assert (status, refusal["code"]) == (409, "nothing_to_pay")
    assert counts("payment_order") == {"payment_order": 1}


def test_a_refusal_of_the_platform_closes_the_order_and_a_new_key_opens_another(
    sandbox, estate, apps, owner
):
    bill_id = str(make_bill(estate, estate.homes[0]))
    make_merchant(estate, sandbox, app=apps.mini["name"])
    body = {"bill_ids": [bill_id], "channel": "wechatpay", "method": "jsapi"}
    sandbox.post("/_sandbox/faults", where="wechatpay.prepay", kind="code", code="NO_AUTH", count=1)
    key = new_key()
    for _ in range(2):
        status, refusal = owner.post("/payments", body, key=key)
        assert (status, refusal["code"]) == (502, "platform_refused")
    assert scalar("SELECT state FROM payment_order") == "closing"
    assert owner.ok_post("/payments", body)["params"]["paySign"]
    assert counts("payment_order") == {"payment_order": 2}
