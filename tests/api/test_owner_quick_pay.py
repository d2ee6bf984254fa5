"""The quick-pay pages: a code, masked names, two taps, the server's own word about the result."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from backend import clock
from backend.db import transaction
from backend.identity.pay_codes import ALPHABET, pay_code
from backend.usecases.settle_payments import settle_payments
from tests.factories.estate import (
    BILL_FEN,
    TODAY,
    make_bill,
    make_estate,
    make_merchant,
    set_business_now,
)
from tests.support.owner import counts, register_apps, scalar

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Mobile Safari"
WECHAT = PHONE + " MicroMessenger/8.0.60"
DESK = "Mozilla/5.0 (X11; Linux x86_64) Chrome/140"


@pytest.fixture
def estate(ctx, sandbox):
    estate = make_estate(houses=2)
    apps = register_apps(sandbox, estate.company_id)
    make_merchant(estate, sandbox, app=apps.mini["name"])
    make_merchant(estate, sandbox, channel="alipay")
    set_business_now()
    return estate


@pytest.fixture
def code(estate) -> str:
    return code_of(estate.homes[0])


def code_of(home) -> str:
    with transaction():
        return pay_code(house_id=home.house_id, party_id=home.party_id, at=clock.wire_now())


class Page:
    """A browser without scripts: follows the form it was given."""

    def __init__(self, client: FlaskClient, agent: str = PHONE) -> None:
        self.client, self.agent = client, agent

    def get(self, path: str, **query):
        return self.client.get(path, query_string=query, headers={"User-Agent": self.agent})

    def pay(self, code: str, channel: str, **fields):
        page = self.get("/pay/bills", c=code).text
        form = {
            "c": code,
            "token": re.search(r'name="token" value="(\w+)"', page)[1],
            "bill": re.findall(r'name="bill" value="(\d+)"', page),
            "channel": channel,
            **fields,
        }
        return self.client.post("/pay/start", data=form, headers={"User-Agent": self.agent})


def test_a_code_shows_bills_under_a_masked_name(client, estate, code):
    home = estate.homes[0]
    make_bill(estate, home)
    make_bill(estate, estate.homes[1])
    assert len(code) >= 8 and set(code) <= set(ALPHABET)
    page = Page(client).get("/pay/bills", c=code.lower() + " ")
    assert page.status_code == 200
    assert "142.93" in page.text and "物业服务费 2026年11月" in page.text
    assert page.text.count('name="bill"') == 1
    for private in (home.name, home.phone, home.house_code):
        assert private not in page.text
    assert f"{home.name[0]}*" in page.text


@pytest.mark.parametrize(
    ("channel", "agent", "where"),
    [("wechatpay", PHONE, "/cashier/wechat-h5"), ("alipay", PHONE, "/gateway.do")],
)
def test_two_taps_from_bills_to_paid(client, sandbox, estate, code, channel, agent, where):
    make_bill(estate, estate.homes[0])
    page = Page(client, agent)
    to_cashier = page.pay(code, channel)
    assert to_cashier.status_code == 303
    assert where in to_cashier.location
    number = scalar("SELECT out_trade_no FROM payment_order")
    status = page.get(f"/pay/status/{number}", c=code)
    assert "待支付" in status.text and "支付成功" not in status.text
    link = {"wap_url": to_cashier.location}
    sandbox.post("/_sandbox/pay", link if channel == "alipay" else {"out_trade_no": number})
    call = sandbox.post("/_sandbox/notify/resend", out_trade_no=number)
    path = call["url"][call["url"].index("/notify/") :]
    client.post(path, data=call["body"].encode(), headers=call["headers"])
    settle_payments()
    status = page.get(f"/pay/status/{number}", c=code)
    assert "支付成功" in status.text and "142.93" in status.text
    assert page.get(f"/pay/status/{number}/state", c=code).get_json() == {
        "state": "succeeded",
        "paid": True,
        "state_text": "支付成功",
    }
    assert "没有待缴账单" in page.get("/pay/bills", c=code).text


def test_only_the_chosen_bills_are_paid(client, estate, code):
    make_bill(estate, estate.homes[0], due_date=TODAY.replace(month=10))
    second = make_bill(estate, estate.homes[0], due_date=TODAY.replace(month=11))
    assert Page(client).pay(code, "wechatpay", bill=[str(second)]).status_code == 303
    assert scalar("SELECT amount_fen FROM payment_order") == BILL_FEN
    assert scalar("SELECT bill_id FROM order_bill") == second


def test_inside_wechat_alipay_becomes_a_picture_to_scan(client, estate, code):
    make_bill(estate, estate.homes[0])
    page = Page(client, WECHAT)
    scan = page.pay(code, "alipay")
    assert scan.status_code == 200
    assert "<svg" in scan.text and "从相册选择" in scan.text and "复制链接" in scan.text
    assert f"/pay/bills?c={code}" in scan.text
    before = counts("payment_order")
    elsewhere = page.pay(code, "wechatpay")  # a page opened before it was moved into WeChat
    assert "在浏览器打开" in elsewhere.text
    assert counts("payment_order") == before


def buttons(html: str) -> list[str]:
    return re.findall(r"<button type=.submit.[^>]*>([^<]*)</button>", html)


@pytest.mark.parametrize(
    ("agent", "offered"),
    [
        (PHONE, ["微信支付", "支付宝"]),
        (DESK, ["微信支付", "支付宝"]),
        (WECHAT, ["支付宝（二维码）"]),
    ],
)
def test_only_ways_that_work_here_are_buttons(app, client, estate, code, agent, offered):
    """Inside WeChat a web page cannot call WeChat Pay: that is said before the tap, with a way."""
    make_bill(estate, estate.homes[0])
    html = Page(client, agent).get("/pay/bills", c=code).text
    assert buttons(html) == offered
    inside = agent == WECHAT
    assert ("微信里的网页不能直接微信支付" in html) is inside
    link = f"{app.config['SETTINGS'].public_base_url}/pay/bills?c={code}"
    assert (f'id="link">{link}<' in html) is inside
    assert "付款码" not in html


@pytest.mark.parametrize("bills", [0, 1])
@pytest.mark.parametrize(
    ("community", "company", "said"),
    [
        ("010-8888 0000", "400-000-0001", "请致电 010-8888 0000。"),
        ("", "400-000-0001", "请致电 400-000-0001。"),
        ("", "", "请联系物业服务中心。"),
    ],
)
def test_a_question_about_a_bill_has_somewhere_to_go(
    client, estate, code, db_owner, bills, community, company, said
):
    """The notices say 「缴费或提出疑问」; the page they lead to names the number to ask."""
    if bills:
        make_bill(estate, estate.homes[0])
    db_owner.execute("UPDATE community SET hotline = %s", [community])
    db_owner.execute("UPDATE company SET hotline = %s", [company])
    html = Page(client).get("/pay/bills", c=code).text
    assert f"对账单有疑问？{said}" in re.sub(r"<[^>]+>", "", html)


@pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
def test_a_desk_shows_a_code_to_scan(client, estate, code, channel):
    make_bill(estate, estate.homes[0])
    page = Page(client, DESK).pay(code, channel)
    assert page.status_code == 200 and "<svg" in page.text


def test_what_the_browser_comes_back_with_proves_nothing(client, estate, code):
    make_bill(estate, estate.homes[0])
    page = Page(client)
    page.pay(code, "alipay")
    number = scalar("SELECT out_trade_no FROM payment_order")
    status = page.get(f"/pay/status/{number}", c=code, trade_status="TRADE_SUCCESS", code="9000")
    assert "支付成功" not in status.text
    assert scalar("SELECT state FROM payment_order") == "pending"


@pytest.mark.parametrize("fields", [{"token": ""}, {"token": "0" * 64}])
def test_a_foreign_form_opens_nothing(client, estate, code, fields):
    make_bill(estate, estate.homes[0])
    refused = Page(client).pay(code, "wechatpay", **fields)
    assert refused.status_code == 403 and "页面已过期" in refused.text
    assert counts("payment_order") == {"payment_order": 0}


def test_a_form_without_our_cookie_opens_nothing(app, client, estate, code):
    make_bill(estate, estate.homes[0])
    page = Page(client).get("/pay/bills", c=code)
    cookie = page.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    token = re.search(r'name="token" value="(\w+)"', page.text)[1]
    form = {"c": code, "token": token, "bill": ["1"], "channel": "wechatpay"}
    assert app.test_client().post("/pay/start", data=form).status_code == 403


def test_bills_of_another_house_are_not_payable_with_a_code(client, estate, code):
    make_bill(estate, estate.homes[0])
    foreign = make_bill(estate, estate.homes[1])
    assert Page(client).pay(code, "wechatpay", bill=[str(foreign)]).status_code == 404
    assert Page(client).pay(code, "wechatpay", bill=["abc"]).status_code == 404
    assert counts("payment_order") == {"payment_order": 0}


def test_another_codes_payment_is_not_shown(client, estate, code):
    make_bill(estate, estate.homes[0])
    page = Page(client)
    page.pay(code, "wechatpay")
    number = scalar("SELECT out_trade_no FROM payment_order")
    other = code_of(estate.homes[1])
    assert page.get(f"/pay/status/{number}", c=other).status_code == 404
    assert page.get(f"/pay/status/{number}/state", c=other).status_code == 404


def ways_back(html: str) -> list[tuple[str, str]]:
    return re.findall(r'<a class="button[^"]*" href="([^"]*)">([^<]*)</a>', html)


def test_a_refusal_leads_back_to_the_bills_of_the_code(client, estate, code):
    make_bill(estate, estate.homes[0])
    page = Page(client)
    back = [
        (f"/pay/bills?c={code}", "返回账单"),
        (f"/pay/?c={code}", "重新输入查询码"),
    ]
    expired = page.pay(code, "wechatpay", token="")
    assert (expired.status_code, ways_back(expired.text)) == (403, back)
    none_chosen = page.pay(code, "wechatpay", bill=[])
    assert (none_chosen.status_code, ways_back(none_chosen.text)) == (404, back)
    no_order = page.get("/pay/status/JQ0", c=code)
    assert (no_order.status_code, ways_back(no_order.text)) == (404, back)
    assert "142.93" in page.get("/pay/bills", c=code).text


def test_a_mistyped_code_can_be_corrected_instead_of_typed_again(client, estate):
    page = Page(client)
    refused = page.get("/pay/bills", c='abc"<12345')
    assert ways_back(refused.text) == [("/pay/?c=abc%22%3C12345", "重新输入查询码")]
    assert "请核对短信或账单上的查询码" in refused.text
    assert 'value="abc&#34;&lt;12345"' in page.get("/pay/", c='abc"<12345').text
    assert ways_back(page.get("/pay/bills").text) == [("/pay/", "重新输入查询码")]


def test_a_guesser_who_is_slowed_down_is_not_told_which_codes_exist(client, estate, code):
    page = Page(client)
    for letter in ALPHABET[:20]:
        page.get("/pay/bills", c=f"AAAAAAA{letter}")
    for tried in (code, "AAAAAAAA"):
        slow = page.get("/pay/bills", c=tried)
        assert slow.status_code == 429
        assert ways_back(slow.text) == [(f"/pay/?c={tried}", "重新输入查询码")]


@pytest.mark.parametrize("guess", ["", "AAAAAAAA", "' OR 1=1 --", "0" * 8, "A" * 500])
def test_a_wrong_code_says_nothing_but_no(client, estate, guess):
    page = Page(client).get("/pay/bills", c=guess)
    assert page.status_code == 404
    assert "没有找到该查询码" in page.text


def test_guessing_is_slowed_down(client, estate, code):
    page = Page(client)
    answers = [page.get("/pay/bills", c=f"AAAAAAA{c}").status_code for c in ALPHABET[:21]]
    assert answers == [404] * 20 + [429]
    assert page.get("/pay/bills", c=code).status_code == 429


def test_start_page_and_assets(client, ctx):
    page = Page(client)
    assert "查询码" in page.get("/pay/").text
    assert page.get("/pay/assets/pay.css").status_code == 200
    assert page.get("/pay/assets/../pages.py").status_code == 404
    assert "请返回小程序" in page.get("/pay/done", no="x").text
