"""WeChat Pay in the sandbox, driven by the independent client wechatpayv3."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from tests.contracts.sandbox_kit import Receiver, receiving, vectors, wechatpay_client
from tests.support.sandbox import Sandbox
from tests.support.wait import wait_for

CHINA = timezone(timedelta(hours=8))


class Shop:
    """A merchant with a mini-program, one person, and the place its callbacks arrive."""

    def __init__(self, sandbox: Sandbox, receiver: Receiver) -> None:
        self.sandbox, self.receiver = sandbox, receiver
        self.app = sandbox.post("/_sandbox/apps", kind="miniprogram", name="小程序")
        self.file = sandbox.post(
            "/_sandbox/merchants", channel="wechatpay", name="收款一", app="小程序"
        )
        self.person = sandbox.post("/_sandbox/people", phone="13900000001", nickname="甲")
        self.openid = self.person["openids"][self.app["appid"]]
        self.pay = wechatpay_client(self.file, sandbox.url, receiver.url + "/notify/wechatpay/1")
        sandbox.post("/_sandbox/settings", probe_rate=0)

    def order(self, number: str, total: int = 1230, **more) -> tuple[int, dict]:
        status, text = self.pay.pay(
            description="物业费 3-2-1201", out_trade_no=number,
            amount={"total": total, "currency": "CNY"}, payer={"openid": self.openid}, **more,
        )  # fmt: skip
        return status, json.loads(text)

    def query(self, number: str) -> tuple[int, dict]:
        status, text = self.pay.query(out_trade_no=number)
        return status, json.loads(text)

    def callbacks(self) -> list[dict]:
        return [self.pay.callback(head, body.decode()) for _, head, body in self.receiver.got]

    def book(self, table: str, **wanted: str) -> list[dict]:
        return self.sandbox.get(f"/_sandbox/book/{table}", **wanted)


@pytest.fixture
def shop(sandbox: Sandbox) -> Iterator[Shop]:
    with receiving() as receiver:
        yield Shop(sandbox, receiver)


def test_account_file_has_the_agreed_shape(shop: Shop) -> None:
    own = shop.file["wechatpay"]
    assert set(shop.file) == {"name", "channel", "wechatpay"}
    assert set(own) == {
        "mchid", "appid", "private_key_pem", "cert_serial", "apiv3_key", "public_key_id",
        "public_key_pem",
    }  # fmt: skip
    assert len(own["apiv3_key"]) == 32 and own["public_key_id"].startswith("PUB_KEY_ID_")
    again = shop.sandbox.post("/_sandbox/merchants", channel="wechatpay", name="收款一")
    assert again["wechatpay"] == own


def test_order_pay_callback_and_query_agree(shop: Shop) -> None:
    status, answer = shop.order("WX-0001", attach="a=1")
    assert status == 200
    assert shop.query("WX-0001")[1]["trade_state"] == "NOTPAY"
    paid = shop.sandbox.post("/_sandbox/pay", prepay_id=answer["prepay_id"])
    wait_for(lambda: shop.receiver.got)
    [notice] = shop.callbacks()
    asked = shop.query("WX-0001")[1]
    assert notice["event_type"] == "TRANSACTION.SUCCESS"
    assert notice["resource"] == asked
    assert asked["trade_state"] == "SUCCESS"
    assert asked["amount"]["total"] == asked["amount"]["payer_total"] == 1230
    assert asked["transaction_id"] == paid["transaction_id"]
    assert asked["payer"]["openid"] == shop.openid
    [row] = shop.book("payments", paid="1")
    assert row["paid_at"] == paid["paid_at"]
    delivery = wait_for(lambda: shop.book("notifies"))[0]
    assert 0 <= delivery["at"] - row["paid_at"] < 500
    [raw] = shop.sandbox.get("/_sandbox/notify/raw", out_trade_no="WX-0001")
    assert shop.pay.callback(raw["headers"], raw["body"]) == notice


def test_a_wrong_request_signature_is_401(shop: Shop) -> None:
    answer = shop.sandbox.http.get(
        shop.sandbox.url + "/v3/pay/transactions/out-trade-no/WX-1?mchid=1",
        headers={"Authorization": 'WECHATPAY2-SHA256-RSA2048 mchid="1",signature="x"'},
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
    shop.pay._core._mchid = "1900000000"
    assert shop.order("WX-0002")[1]["code"] == "SIGN_ERROR"
    assert shop.book("payments") == []


def test_the_same_number_needs_the_same_parameters(shop: Shop) -> None:
    first, second = shop.order("WX-0003")[1], shop.order("WX-0003")[1]
    assert first["prepay_id"] != second["prepay_id"]
    status, other = shop.order("WX-0003", total=1231)
    assert (status, other["code"]) == (400, "INVALID_REQUEST")
    assert shop.book("payments")[0]["amount_fen"] == 1230


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"total": 0}, "PARAM_ERROR"),
        ({"total": 1.5}, "PARAM_ERROR"),
        ({"time_expire": "2020-01-01T00:00:00+08:00"}, "PARAM_ERROR"),
        ({"time_expire": "2036-01-01 00:00:00"}, "PARAM_ERROR"),
        ({"appid": "wx0000000000000000"}, "APPID_MCHID_NOT_MATCH"),
        ({"notify_url": "http://127.0.0.1/a?b=1"}, "PARAM_ERROR"),
        ({"attach": "x" * 129}, "PARAM_ERROR"),
    ],
)
def test_bad_orders_are_refused(shop: Shop, changes: dict, code: str) -> None:
    status, answer = shop.order("WX-0004", **changes)
    assert (status, answer["code"]) == (400, code)
    assert shop.book("payments") == []


def test_close_states(shop: Shop) -> None:
    assert json.loads(shop.pay.close("WX-none")[1])["code"] == "ORDER_NOT_EXIST"
    shop.order("WX-0005")
    assert shop.pay.close("WX-0005")[0] == shop.pay.close("WX-0005")[0] == 204
    assert shop.order("WX-0005")[1]["code"] == "ORDER_CLOSED"
    answer = shop.sandbox.http.post(
        shop.sandbox.url + "/_sandbox/pay", json={"out_trade_no": "WX-0005"}
    )
    assert (answer.status_code, answer.json()) == (409, {"error": "订单状态为订单已关闭"})
    shop.order("WX-0006")
    shop.sandbox.post("/_sandbox/pay", out_trade_no="WX-0006")
    status, text = shop.pay.close("WX-0006")
    assert (status, json.loads(text)["code"]) == (400, "ORDER_PAID")
    assert shop.order("WX-0006")[1]["code"] == "ORDER_PAID"


def test_nobody_pays_after_time_expire_or_for_another_openid(shop: Shop) -> None:
    expire = (datetime.now(CHINA) + timedelta(minutes=10)).isoformat(timespec="seconds")
    shop.order("WX-0007", time_expire=expire)
    other = shop.sandbox.post("/_sandbox/people", phone="13900000002")
    url, http = shop.sandbox.url + "/_sandbox/pay", shop.sandbox.http
    wrong = http.post(url, json={"out_trade_no": "WX-0007", "person": other["id"]})
    assert (wrong.status_code, wrong.json()["error"]) == (409, "下单账号与支付账号不一致")
    shop.sandbox.post("/_sandbox/clock", offset_seconds=601)
    late = http.post(url, json={"out_trade_no": "WX-0007"})
    assert (late.status_code, late.json()["error"]) == (409, "订单已过期")
    assert shop.query("WX-0007")[1]["trade_state"] == "NOTPAY"


def test_refunds_add_up_and_are_told(shop: Shop) -> None:
    shop.order("WX-0008")
    shop.sandbox.post("/_sandbox/pay", out_trade_no="WX-0008")

    def refund(number: str, fen: int) -> tuple[int, dict]:
        amount = {"refund": fen, "total": 1230, "currency": "CNY"}
        status, text = shop.pay.refund(number, amount, out_trade_no="WX-0008")
        return status, json.loads(text)

    first = refund("R-1", 1000)[1]
    assert first["status"] == "PROCESSING"
    assert refund("R-1", 1000)[1]["refund_id"] == first["refund_id"]
    assert refund("R-1", 999)[1]["code"] == "INVALID_REQUEST"
    assert refund("R-2", 231)[1]["code"] == "INVALID_REQUEST"
    wait_for(lambda: len(shop.receiver.got) == 2)
    told = [n for n in shop.callbacks() if n["event_type"] == "REFUND.SUCCESS"]
    assert [t["resource"]["amount"]["refund"] for t in told] == [1000]
    assert json.loads(shop.pay.query_refund("R-1")[1])["status"] == "SUCCESS"
    assert shop.query("WX-0008")[1]["trade_state"] == "REFUND"
    shop.sandbox.post("/_sandbox/refund-outcome", out_trade_no="WX-0008", outcome="ABNORMAL")
    assert refund("R-3", 230)[0] == 200
    wait_for(lambda: shop.callbacks()[-1]["event_type"] == "REFUND.ABNORMAL")
    assert sum(r["amount_fen"] for r in shop.book("refunds", state="SUCCESS")) == 1000


def test_the_statement_is_the_days_book(shop: Shop) -> None:
    today = datetime.now(CHINA).strftime("%Y-%m-%d")
    status, text = shop.pay.trade_bill(bill_date=today)
    assert (status, json.loads(text)["code"]) == (400, "NO_STATEMENT_EXIST")
    shop.order("WX-0009", total=100)
    shop.sandbox.post("/_sandbox/pay", out_trade_no="WX-0009")
    amount = {"refund": 30, "total": 100, "currency": "CNY"}
    shop.pay.refund("R-9", amount, out_trade_no="WX-0009")
    answer = json.loads(shop.pay.trade_bill(bill_date=today)[1])
    data = gzip.decompress(shop.pay.download_bill(answer["download_url"])[1])
    assert hashlib.sha1(data).hexdigest() == answer["hash_value"]
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(data.decode("utf-8-sig").splitlines()))
    wanted = vectors("wechat")["tradebill-ALL-csv"]["header"]
    assert rows[0] == wanted and all(len(row) == 27 for row in rows[:3])
    cells = [dict(zip(wanted, (c.lstrip("`") for c in row), strict=True)) for row in rows[1:3]]
    assert [(c["交易状态"], c["订单金额"], c["申请退款金额"]) for c in cells] == [
        ("SUCCESS", "1.00", "0.00"), ("REFUND", "0.00", "0.30"),
    ]  # fmt: skip
    assert cells[1]["商户退款单号"] == "R-9"


def test_certificate_merchants_are_served(shop: Shop) -> None:
    card = shop.sandbox.get("/_sandbox/merchants/收款一/certificate")
    shop.pay._core._public_key = shop.pay._core._public_key_id = None
    shop.pay._core._init_certificates()  # downloads and decrypts /v3/certificates
    shop.sandbox.post("/_sandbox/settings", serials="certificate")
    assert shop.order("WX-0010")[0] == 200
    shop.sandbox.post("/_sandbox/pay", out_trade_no="WX-0010")
    wait_for(lambda: shop.receiver.got)
    _, headers, _ = shop.receiver.got[0]
    assert headers["Wechatpay-Serial"] == card["certificate_serial"]
    assert shop.callbacks()[0]["resource"]["out_trade_no"] == "WX-0010"
