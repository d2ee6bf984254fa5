"""Misbehaviour on demand, the retry ladder, the journal, load, and the phone page."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.contracts.sandbox_kit import Receiver, polite, receiving, wechatpay_client
from tests.support.ports import own_port
from tests.support.sandbox import Sandbox, running_sandbox
from tests.support.wait import wait_for


class Shop:
    """A WeChat Pay merchant whose callbacks go to `receiver`."""

    def __init__(self, sandbox: Sandbox, receiver: Receiver) -> None:
        self.sandbox, self.receiver = sandbox, receiver
        app = sandbox.post("/_sandbox/apps", kind="miniprogram", name="小程序")
        self.file = sandbox.post(
            "/_sandbox/merchants", channel="wechatpay", name="收款一", app="小程序"
        )
        self.person = sandbox.post("/_sandbox/people", phone="13900000001", nickname="甲")
        self.openid = self.person["openids"][app["appid"]]
        self.pay = wechatpay_client(self.file, sandbox.url, receiver.url + "/notify/wechatpay/1")
        sandbox.post("/_sandbox/settings", probe_rate=0)

    def order(self, number: str) -> tuple[int, dict]:
        status, text = self.pay.pay(
            description="物业费", out_trade_no=number, amount={"total": 100, "currency": "CNY"},
            payer={"openid": self.openid},
        )  # fmt: skip
        return status, json.loads(text)

    def paid(self, number: str) -> dict:
        assert self.order(number)[0] == 200
        return self.sandbox.post("/_sandbox/pay", out_trade_no=number)

    def fault(self, where: str, kind: str, **more) -> None:
        self.sandbox.post("/_sandbox/faults", where=where, kind=kind, **more)

    def kinds(self) -> list[str]:
        return [n["kind"] for n in self.sandbox.get("/_sandbox/book/notifies")]


@pytest.fixture
def shop(sandbox: Sandbox) -> Iterator[Shop]:
    with receiving() as receiver:
        yield Shop(sandbox, receiver)


def test_lost_requests_and_lost_replies(shop: Shop) -> None:
    shop.fault("wechatpay.prepay", "drop", count=1)
    with pytest.raises(requests.ConnectionError):
        shop.order("F-0001")
    assert shop.sandbox.get("/_sandbox/book/payments") == []
    shop.fault("wechatpay.prepay", "lose_reply", count=1)
    with pytest.raises(requests.ConnectionError):
        shop.order("F-0001")
    assert len(shop.sandbox.get("/_sandbox/book/payments")) == 1
    assert shop.order("F-0001")[0] == 200


def test_errors_and_bad_signatures(shop: Shop) -> None:
    shop.order("F-0002")
    shop.fault("wechatpay.query", "http_500", count=1)
    assert shop.pay.query(out_trade_no="F-0002")[0] == 500
    shop.fault("wechatpay.*", "code", code="FREQUENCY_LIMITED", count=1)
    assert shop.pay.query(out_trade_no="F-0002")[0] == 429
    shop.fault("wechatpay.query", "bad_signature", count=1)
    with pytest.raises(Exception, match="failed to verify the signature"):
        shop.pay.query(out_trade_no="F-0002")
    assert shop.pay.query(out_trade_no="F-0002")[0] == 200
    asked = shop.sandbox.get("/_sandbox/book/requests", point="wechatpay.query")
    assert [r["status"] for r in asked] == [500, 429, 200, 200]


def test_delay_holds_the_act_and_slow_only_the_answer(shop: Shop) -> None:
    shop.fault("wechatpay.prepay", "slow", ms=300)
    begun = int(time.time() * 1000)
    shop.order("F-0003")
    assert int(time.time() * 1000) - begun >= 300
    assert shop.sandbox.get("/_sandbox/book/payments")[0]["created_at"] - begun < 250
    shop.sandbox.delete("/_sandbox/faults")
    shop.fault("wechatpay.prepay", "delay", ms=300, match="F-0004")
    begun = int(time.time() * 1000)
    shop.order("F-0004")
    assert shop.sandbox.get("/_sandbox/book/payments")[1]["created_at"] - begun >= 300


def test_a_seed_repeats_the_same_strikes(shop: Shop) -> None:
    def strikes() -> list[int]:
        shop.sandbox.delete("/_sandbox/faults")
        shop.fault("wechatpay.query", "http_500", rate=0.5, seed=7)
        return [shop.pay.query(out_trade_no="none")[0] for _ in range(12)]

    first = strikes()
    assert first == strikes() and set(first) == {404, 500}


def test_callbacks_dropped_spoiled_doubled(shop: Shop) -> None:
    shop.sandbox.post("/_sandbox/settings", time_factor=0.001)
    shop.fault("wechatpay.notify", "drop", match="F-0005", count=2)
    shop.paid("F-0005")
    wait_for(lambda: shop.kinds() == ["dropped", "dropped", "genuine"])
    shop.fault("wechatpay.notify", "duplicate", match="F-0006", ms=1)
    shop.paid("F-0006")
    wait_for(lambda: sorted(shop.kinds()[3:]) == ["duplicate", "genuine"])
    shop.fault("wechatpay.notify", "lose_reply", match="F-0007", count=1)
    shop.paid("F-0007")
    wait_for(lambda: shop.kinds()[5:] == ["genuine", "genuine"])
    assert len({body for _, _, body in shop.receiver.got}) == 3


def test_a_spoiled_callback_is_refused_and_sent_again(shop: Shop) -> None:
    shop.receiver.answer = lambda path, head, body: (
        (204, b"") if shop.pay.callback(head, body.decode()) else (401, b"")
    )
    shop.sandbox.post("/_sandbox/settings", time_factor=0.001)
    shop.fault("wechatpay.notify", "bad_signature", count=1)
    shop.paid("F-0008")
    wait_for(lambda: shop.kinds() == ["spoiled", "genuine"])
    rows = shop.sandbox.get("/_sandbox/book/notifies")
    assert [r["status"] for r in rows] == [401, 204]


def test_probes_go_before_genuine_callbacks(shop: Shop) -> None:
    shop.sandbox.post("/_sandbox/settings", probe_rate=1)
    shop.paid("F-0009")
    wait_for(lambda: shop.kinds() == ["probe", "genuine"])
    probe, genuine = (head for _, head, _ in shop.receiver.got)
    assert probe["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")
    assert shop.sandbox.get("/_sandbox/book/stats")["probes_accepted"] == 0
    resent = shop.sandbox.post("/_sandbox/notify/resend", out_trade_no="F-0009")
    assert resent["kind"] == "resend" and resent["status"] == 200
    assert shop.pay.callback(resent["headers"], resent["body"])["id"] == resent["event_id"]
    assert genuine["Wechatpay-Nonce"] != resent["headers"]["Wechatpay-Nonce"]


def test_the_ladder_ends(shop: Shop) -> None:
    shop.receiver.answer = lambda *_: (500, b"")
    shop.sandbox.post("/_sandbox/settings", time_factor=0.00001)
    shop.paid("F-0010")
    wait_for(lambda: shop.sandbox.get("/_sandbox/book/deliveries")[0]["done"], 10)
    assert len(shop.receiver.got) == 16
    assert shop.sandbox.get("/_sandbox/book/deliveries")[0]["ok"] is False


def test_the_book_survives_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with receiving(lambda *_: (500, b"")) as receiver:
        with running_sandbox(own_port(), state) as first:
            shop = Shop(first, receiver)
            first.post("/_sandbox/settings", time_factor=0.05)
            paid = shop.paid("F-0011")
            first.post("/_sandbox/people", phone="13900000002")
            wait_for(lambda: receiver.got)
            master, worker = json.loads((state / "lock").read_text())
            os.kill(master, signal.SIGKILL)
            os.kill(worker, signal.SIGKILL)
        with open(state / "journal.jsonl", "a") as journal:
            journal.write('{"t": "orders", "k": "torn')
        receiver.answer = polite
        with running_sandbox(own_port(), state) as second:
            [row] = second.get("/_sandbox/book/payments")
            assert row["transaction_id"] == paid["transaction_id"]
            assert row["paid_at"] == paid["paid_at"]
            people = second.get("/_sandbox/people")
            assert [p["phone"] for p in people] == ["13900000001", "13900000002"]
            assert people[0]["openids"] == shop.person["openids"]
            again = second.post("/_sandbox/merchants", channel="wechatpay", name="收款一")
            assert again == shop.file
            wait_for(lambda: second.get("/_sandbox/book/deliveries")[0]["ok"], 20)


def test_thirty_two_at_once(shop: Shop) -> None:
    def one(number: int) -> int:
        session = requests.Session()
        session.trust_env = False
        name = f"F-2{number:03d}"
        client = wechatpay_client(shop.file, shop.sandbox.url, shop.receiver.url + "/n")
        client.pay(
            description="x", out_trade_no=name, amount={"total": 1}, payer={"openid": shop.openid}
        )
        url = shop.sandbox.url + "/_sandbox/pay"
        # two payers at once: exactly one succeeds
        with ThreadPoolExecutor(2) as two:
            tries = [two.submit(session.post, url, json={"out_trade_no": name}) for _ in range(2)]
            return sum(t.result().status_code == 200 for t in tries)

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(one, range(64))) == [1] * 64
    wait_for(lambda: len(shop.receiver.got) == 64, 10)
    stats = shop.sandbox.get("/_sandbox/book/stats")
    assert (stats["paid"], stats["paid_fen"]) == (64, 64)


def test_the_phone_page_in_plain_html(shop: Shop) -> None:
    http, who = shop.sandbox.http, shop.person["id"]
    shop.order("F-0012")
    page = http.get(f"{shop.sandbox.url}/phone/{who}")
    assert 'class="confirm"' in page.text and "F-0012" in page.text
    key = shop.sandbox.get("/_sandbox/book/payments")[0]["key"]
    pay = f"{shop.sandbox.url}/phone/{who}/pay"
    assert "F-0012" not in http.post(pay, data={"key": key, "action": "cancel"}).text
    assert shop.sandbox.get("/_sandbox/book/payments")[0]["state"] == "NOTPAY"
    shop.order("F-0012")  # the mini-program asks again: the sheet comes back
    assert "F-0012" in http.get(f"{shop.sandbox.url}/phone/{who}").text
    http.post(pay, data={"key": key, "action": "confirm"})
    assert shop.sandbox.get("/_sandbox/book/payments")[0]["state"] == "SUCCESS"


@pytest.mark.browser
def test_the_phone_page_in_a_browser(shop: Shop, browser) -> None:
    sms = shop.sandbox.post(
        "/_sandbox/sms", name="短信一", templates={"x": "账单已出，可登录 https://a.cn/pay/ 查看。"}
    )
    shop.order("F-0013")
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{shop.sandbox.url}/phone/{shop.person['id']}")
    assert page.locator("#messages .message").count() == 0
    send_sms(shop.sandbox, sms, "13900000001")
    page.locator("#messages .message.sms a").wait_for()  # appears without a reload
    link = page.locator("#messages .message.sms a").get_attribute("href")
    assert link == "https://a.cn/pay/"
    page.locator(".cashier button.confirm").click()
    page.wait_for_load_state()
    assert page.locator(".cashier").count() == 0
    wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wide, "the page must not scroll sideways"
    page.close()
    assert shop.sandbox.get("/_sandbox/book/payments")[0]["state"] == "SUCCESS"


def send_sms(sandbox: Sandbox, account: dict, phone: str) -> None:
    from alibabacloud_dysmsapi20170525 import models
    from alibabacloud_dysmsapi20170525.client import Client
    from alibabacloud_tea_openapi.models import Config

    client = Client(Config(
        access_key_id=account["access_key_id"], access_key_secret=account["access_key_secret"],
        protocol="http", endpoint=sandbox.url.removeprefix("http://"),
    ))  # fmt: skip
    client.send_sms(models.SendSmsRequest(
        phone_numbers=phone, sign_name=account["sign_name"],
        template_code=account["templates"]["x"]["id"], template_param="{}",
    ))  # fmt: skip
