"""Alipay in the sandbox, driven by alipay-sdk-python with its own verification of answers."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

import pytest
import rsa

from tests.contracts.sandbox_kit import Alipay, Receiver, receiving
from tests.support.sandbox import Sandbox
from tests.support.wait import wait_for

CHINA = timezone(timedelta(hours=8))
NOT_EXIST = "ACQ.TRADE_NOT_EXIST"


class Shop:
    """An Alipay merchant, one person, and the place its notifications arrive."""

    def __init__(self, sandbox: Sandbox, receiver: Receiver) -> None:
        self.sandbox, self.receiver = sandbox, receiver
        self.file = sandbox.post("/_sandbox/merchants", channel="alipay", name="支付宝一")
        self.person = sandbox.post("/_sandbox/people", phone="13900000001", nickname="甲")
        self.alipay = Alipay(self.file, sandbox.url, receiver.url + "/notify/alipay/1")
        self.call = self.alipay.call

    def notices(self) -> list[dict]:
        """The notifications that arrived, each with its signature checked as SHA-256."""
        return [checked(self.alipay.public_key, body.decode()) for _, _, body in self.receiver.got]

    def wap(self, number: str, amount: str = "5.00", **more: str) -> str:
        return self.alipay.wap_url(
            self.receiver.url + "/back", out_trade_no=number, total_amount=amount,
            subject="停车费", product_code="QUICK_WAP_WAY", **more,
        )  # fmt: skip


def checked(public_pem: str, text: str) -> dict:
    form = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
    message = "&".join(f"{k}={form[k]}" for k in sorted(form) if k not in ("sign", "sign_type"))
    key = rsa.PublicKey.load_pkcs1_openssl_pem(public_pem.encode())
    assert rsa.verify(message.encode(), base64.b64decode(form["sign"]), key) == "SHA-256"
    return form


@pytest.fixture
def shop(sandbox: Sandbox) -> Iterator[Shop]:
    with receiving() as receiver:
        yield Shop(sandbox, receiver)


def test_a_code_is_no_trade_until_it_is_scanned(shop: Shop) -> None:
    subject = '物业费 3-2-1201 100% + & = "x"'
    made = shop.call("TradePrecreate", out_trade_no="A1", total_amount="12.30", subject=subject)
    assert shop.call("TradeQuery", out_trade_no="A1")["sub_code"] == NOT_EXIST
    assert shop.call("TradeClose", out_trade_no="A1")["sub_code"] == NOT_EXIST
    paid = shop.sandbox.post("/_sandbox/pay", qr_code=made["qr_code"], person=shop.person["id"])
    asked = shop.call("TradeQuery", out_trade_no="A1")
    assert (asked["trade_status"], asked["total_amount"]) == ("TRADE_SUCCESS", "12.30")
    assert asked["trade_no"] == paid["transaction_id"]
    wait_for(lambda: shop.receiver.got)
    [notice] = shop.notices()
    assert notice["trade_status"] == "TRADE_SUCCESS" and notice["subject"] == subject
    assert notice["seller_id"] == shop.file["alipay"]["seller_id"]
    assert shop.call("TradeClose", out_trade_no="A1")["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
    again = shop.call("TradePrecreate", out_trade_no="A1", total_amount="12.30", subject=subject)
    assert again["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"


def test_wap_cashier_in_a_browser(shop: Shop) -> None:
    http, url = shop.sandbox.http, shop.wap("A2", quit_url=shop.receiver.url + "/quit")
    page = http.get(url)
    assert page.status_code == 200 and "/cashier/alipay?token=" in page.url
    assert 'class="confirm"' in page.text and "5.00" in page.text and "停车费" in page.text
    assert shop.call("TradeQuery", out_trade_no="A2")["trade_status"] == "WAIT_BUYER_PAY"
    key = shop.sandbox.get("/_sandbox/book/payments")[0]["key"]
    act = shop.sandbox.url + "/cashier/act"
    left = http.post(act, data={"key": key, "action": "cancel"}, allow_redirects=False)
    assert left.headers["Location"] == shop.receiver.url + "/quit"
    done = http.post(act, data={"key": key, "action": "confirm"}, allow_redirects=False)
    back = urlsplit(done.headers["Location"])
    assert back.path == "/back"
    assert checked(shop.alipay.public_key, back.query)["out_trade_no"] == "A2"
    wait_for(lambda: shop.receiver.got)
    assert shop.notices()[0]["trade_status"] == "TRADE_SUCCESS"


def test_a_changed_wap_link_is_refused(shop: Shop) -> None:
    page = shop.sandbox.http.get(shop.wap("A3").replace("5.00", "0.01"))
    assert "isv.invalid-signature" in page.text
    assert shop.sandbox.get("/_sandbox/book/payments") == []


def test_the_same_number_needs_the_same_amount(shop: Shop) -> None:
    shop.call("TradePrecreate", out_trade_no="A4", total_amount="1.00", subject="x")
    other = shop.call("TradePrecreate", out_trade_no="A4", total_amount="2.00", subject="x")
    assert other["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"


def test_refund_notices_are_the_trap_they_are(shop: Shop) -> None:
    shop.sandbox.post("/_sandbox/pay", wap_url=shop.wap("A5"))
    refund = {"out_trade_no": "A5", "out_request_no": "AR1", "refund_amount": "2.00"}
    assert shop.call("TradeRefund", **refund)["fund_change"] == "Y"
    assert shop.call("TradeRefund", **refund)["fund_change"] == "N"
    differing = shop.call("TradeRefund", **refund | {"refund_amount": "1.00"})
    assert differing["sub_code"] == "ACQ.DISCORDANT_REPEAT_REQUEST"
    much = shop.call("TradeRefund", **refund | {"refund_amount": "3.01", "out_request_no": "AR9"})
    assert much["sub_code"] == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    rest = refund | {"refund_amount": "3.00", "out_request_no": "AR2"}
    assert shop.call("TradeRefund", **rest)["refund_fee"] == "5.00"
    asked = shop.call("TradeFastpayRefundQuery", out_trade_no="A5", out_request_no="AR1")
    assert (asked["refund_status"], asked["refund_amount"]) == ("REFUND_SUCCESS", "2.00")
    wait_for(lambda: len(shop.receiver.got) == 3)
    told = {(n["trade_status"], n.get("refund_fee"), n.get("out_biz_no")) for n in shop.notices()}
    assert told == {
        ("TRADE_SUCCESS", None, None), ("TRADE_SUCCESS", "2.00", "AR1"),
        ("TRADE_CLOSED", "5.00", "AR2"),
    }  # fmt: skip


def test_time_closes_a_wap_trade_and_says_so(shop: Shop) -> None:
    expire = datetime.now(CHINA) + timedelta(seconds=60)
    url = shop.wap("A6", time_expire=expire.strftime("%Y-%m-%d %H:%M:%S"))
    shop.sandbox.http.get(url)
    shop.sandbox.post("/_sandbox/clock", offset_seconds=61)
    assert shop.call("TradeQuery", out_trade_no="A6")["trade_status"] == "TRADE_CLOSED"
    wait_for(lambda: shop.receiver.got)
    [notice] = shop.notices()
    assert notice["trade_status"] == "TRADE_CLOSED" and "refund_fee" not in notice
    answer = shop.sandbox.http.post(shop.sandbox.url + "/_sandbox/pay", json={"out_trade_no": "A6"})
    assert answer.status_code == 409


def test_bar_code_pays_once(shop: Shop) -> None:
    code = shop.sandbox.post("/_sandbox/auth-code", person=shop.person["id"])["auth_code"]
    fields = {"total_amount": "7.00", "subject": "x", "scene": "bar_code", "auth_code": code}
    assert shop.call("TradePay", out_trade_no="A7", **fields)["code"] == "10000"
    again = shop.call("TradePay", out_trade_no="A8", **fields)
    assert again["sub_code"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"
    asking = shop.sandbox.post("/_sandbox/auth-code", person=shop.person["id"], ask=True)
    fields["auth_code"] = asking["auth_code"]
    assert shop.call("TradePay", out_trade_no="A9", **fields)["code"] == "10003"
    shop.sandbox.post("/_sandbox/pay", out_trade_no="A9")
    assert shop.call("TradeQuery", out_trade_no="A9")["trade_status"] == "TRADE_SUCCESS"
    assert shop.call("TradeCancel", out_trade_no="A9")["action"] == "refund"


def test_the_statement_is_a_gbk_zip(shop: Shop) -> None:
    today = datetime.now(CHINA).strftime("%Y-%m-%d")
    name = "DataDataserviceBillDownloadurlQuery"
    empty = shop.call(name, bill_type="trade", bill_date=today)
    assert empty["sub_code"] == "isp.bill_not_exist"
    shop.sandbox.post("/_sandbox/pay", wap_url=shop.wap("A10"))
    shop.call("TradeRefund", out_trade_no="A10", out_request_no="AR10", refund_amount="2.00")
    answer = shop.call(name, bill_type="trade", bill_date=today)
    data = shop.sandbox.http.get(answer["bill_download_url"]).content
    archive = zipfile.ZipFile(io.BytesIO(data), metadata_encoding="gbk")
    stem = f"{shop.file['alipay']['seller_id']}0156_{today.replace('-', '')}_业务明细"
    assert archive.namelist() == [f"{stem}.csv", f"{stem}(汇总).csv"]
    lines = archive.read(f"{stem}.csv").decode("gbk").splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    assert len(rows) == 3 and all(len(row) == 25 for row in rows)
    shown = [(row[1].strip(), row[2], row[11], row[21].strip()) for row in rows[1:]]
    assert shown == [("A10", "交易", "5.00", ""), ("A10", "退款", "-2.00", "AR10")]


def test_notices_stop_only_at_success(sandbox: Sandbox) -> None:
    answers = iter([(200, b"SUCCESS"), (500, b"success"), (200, b"success")])
    with receiving(lambda *_: next(answers)) as receiver:
        shop = Shop(sandbox, receiver)
        sandbox.post("/_sandbox/settings", time_factor=0.0001)
        sandbox.post("/_sandbox/pay", wap_url=shop.wap("A11"))
        wait_for(lambda: len(receiver.got) == 3)
        wait_for(lambda: sandbox.get("/_sandbox/book/deliveries")[0]["ok"])
        assert len({n["notify_id"] for n in shop.notices()}) == 1
        assert [n["status"] for n in sandbox.get("/_sandbox/book/notifies")] == [200, 500, 200]
