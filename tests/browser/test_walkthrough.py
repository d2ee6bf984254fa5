"""The README's walk-through in a real browser: an owner pays, the steward's page shows it.

Relay and workers are processes of their own, the platforms are the sandbox, the pages are the
built ones. With JIAOQING_PICTURES=1 the pictures of the documents are taken on the way.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.conftest import IPHONE, SUM, count
from tests.factories.estate import PASSWORD
from tests.support import pictures
from tests.support.wait import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def log_in(page: Any, base: str, staff: Any) -> None:
    page.goto(f"{base}/admin/")
    page.get_by_test_id("login-name").fill(staff.login)
    page.get_by_test_id("login-password").fill(PASSWORD)
    page.get_by_test_id("login-submit").click()


def open_bills(page: Any, sandbox: Any, person: dict[str, Any]) -> str:
    """From the reminder on the owner's phone to the bills; return the query code of the text."""
    page.goto(f"{sandbox.url}/phone")
    page.locator(f"#people a[href='/phone/{person['id']}']").click()
    reminder = page.locator(".message.sms[data-event=overdue_3]")
    assert SUM in reminder.inner_text()
    code = re.search(r"查询码\s*([A-Z0-9]+)", reminder.inner_text())[1]
    pictures.take(page, "owner-reminder")
    reminder.get_by_role("link").click()
    page.locator("#c").fill(code)
    page.get_by_role("button", name="查看账单").click()
    assert page.locator("#total").inner_text() == SUM
    return code


def confirm_at_cashier(page: Any, brand: str) -> None:
    """Press the cashier's button; the page it returns to must come to the paid result itself."""
    cashier = page.locator(f".cashier.{brand}")
    assert SUM in cashier.locator(".amount").inner_text()
    cashier.get_by_role("button", name="确认支付").click()
    page.get_by_role("heading", name="支付成功").wait_for()
    assert SUM in page.locator(".total").inner_text()


@pytest.mark.covers("S15", "S34", "C71")
def test_owner_pays_on_the_phone_and_the_steward_sees_it(
    town, sandbox, live_server, phone, browser
):
    first, second = town.estate.homes[:2]
    steward, owner = phone(), phone()

    log_in(steward, live_server.url, town.steward)
    items = steward.get_by_test_id("worklist-item")
    items.nth(1).wait_for()
    assert {i.get_attribute("data-house") for i in items.all()} == {
        first.house_code,
        second.house_code,
    }
    pictures.take(steward, "steward-worklist")
    steward.locator(f"[data-house='{first.house_code}']").click()
    steward.get_by_test_id("household-total").wait_for()
    assert SUM in steward.get_by_test_id("household-total").inner_text()
    assert steward.get_by_test_id("call").is_enabled()
    pictures.take(steward, "steward-household")

    open_bills(owner, sandbox, town.people[0])
    owner.locator("summary").first.click()
    assert "94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元" in owner.content()
    pictures.take(owner, "owner-bills")
    owner.get_by_role("button", name="微信支付").click()
    owner.locator(".cashier.wechatpay").wait_for()
    pictures.take(owner, "owner-cashier")
    confirm_at_cashier(owner, "wechatpay")
    pictures.take(owner, "owner-paid")

    steward.reload()
    steward.get_by_test_id("household-paid").wait_for()
    assert "0.00" in steward.get_by_test_id("household-total").inner_text()
    assert steward.get_by_test_id("call").is_disabled()
    pictures.take(steward, "steward-paid")
    steward.goto(f"{live_server.url}/admin/m/worklist")
    items.first.wait_for()
    assert [i.get_attribute("data-house") for i in items.all()] == [second.house_code]

    record_promise(steward, second)
    assert count("steward_task WHERE state = 'open'") == 0
    assert steward.problems == owner.problems == []
    pictures.side_by_side(
        browser,
        "walkthrough",
        {
            "owner-reminder": "提醒 · reminder",
            "owner-bills": "账单 · bills",
            "owner-paid": "缴清 · paid",
            "steward-paid": "管家 · steward",
        },
    )
    pictures.side_by_side(
        browser,
        "steward",
        {
            "steward-worklist": "清单 · worklist",
            "steward-household": "房屋 · household",
            "steward-call": "登记 · record",
            "steward-promise": "承诺 · promise",
        },
    )


def record_promise(steward: Any, home: Any) -> None:
    """Call the second household from the list: reason, number, result, promise."""
    steward.get_by_test_id("worklist-call").click()
    steward.get_by_test_id("reveal").click()
    assert steward.get_by_test_id("phone-number").inner_text() == home.phone
    steward.get_by_test_id("after-call").click()
    steward.get_by_test_id("result-promised").click()
    steward.get_by_test_id("reason-forgot").click()
    steward.get_by_test_id("note").fill("下周二发工资后缴")
    steward.get_by_test_id("promise-amount").fill(SUM)
    steward.get_by_test_id("promise-day").fill("2026-12-01")
    steward.get_by_test_id("payby-wechatpay").click()
    pictures.take(steward, "steward-call")
    steward.get_by_test_id("save").click()
    steward.get_by_role("tab", name="承诺").click()
    promise = steward.locator("li", has_text="12月1日")
    promise.wait_for()
    assert SUM in promise.inner_text()
    pictures.take(steward, "steward-promise")
    assert count("promise WHERE state = 'open' AND day = '2026-12-01'") == 1


def test_owner_pays_by_alipay_and_the_desk_sees_it(town, sandbox, live_server, phone, desk):
    home = town.estate.homes[0]
    owner = phone()
    open_bills(owner, sandbox, town.people[0])
    owner.get_by_role("button", name="支付宝").click()
    confirm_at_cashier(owner, "alipay")

    log_in(desk, live_server.url, town.finance)
    desk.get_by_test_id("communities").wait_for()
    desk.goto(f"{live_server.url}/admin/desk/payments")
    desk.get_by_test_id("payments").get_by_text(SUM).first.wait_for()
    assert "支付宝" in desk.get_by_test_id("payments").inner_text()
    desk.goto(f"{live_server.url}/admin/desk/houses/{home.house_id}")
    desk.get_by_test_id("household-paid").wait_for()
    pictures.take(desk, "desk-household", keep=True)

    owner.goto(f"{sandbox.url}/phone/{town.people[0]['id']}")
    thanks = owner.locator(".message.sms[data-event=receipt]")
    wait_for(lambda: thanks.count() == 1, 20, what="the receipt on the owner's phone")
    assert SUM in thanks.inner_text()
    assert desk.problems == owner.problems == []


def test_inside_wechat_alipay_is_a_code_and_a_link(town, sandbox, live_server, phone):
    """WeChat's browser cannot open Alipay: the code is saved and scanned, or the link copied."""
    owner = phone(IPHONE + " MicroMessenger/8.0.60")
    code = open_bills(owner, sandbox, town.people[0])
    owner.get_by_role("button", name="支付宝").click()
    owner.locator(".qr svg").wait_for()
    assert owner.locator("#link").inner_text() == f"{live_server.url}/pay/bills?c={code}"
    pictures.take(owner, "owner-alipay-in-wechat", keep=True)
    [order] = sandbox.get("/_sandbox/book/payments")
    sandbox.post("/_sandbox/pay", out_trade_no=order["out_trade_no"])
    owner.get_by_role("heading", name="支付成功").wait_for()


def test_a_desktop_browser_shows_a_code_that_the_phone_scans(town, sandbox, phone, desk):
    """What a newcomer does without a phone: the code's content is pasted into the sandbox's."""
    owner = phone()
    code = open_bills(owner, sandbox, town.people[1])
    desk.goto(owner.url)
    desk.get_by_role("button", name="微信支付").click()
    content = desk.locator("#qr-content").inner_text()
    owner.goto(f"{sandbox.url}/phone/{town.people[1]['id']}")
    owner.get_by_label("二维码内容或链接").fill(content)
    owner.get_by_role("button", name="扫一扫").click()
    owner.locator(".cashier.wechatpay").get_by_role("button", name="确认支付").click()
    desk.get_by_role("heading", name="支付成功").wait_for()
    assert f"c={code}" in desk.url
