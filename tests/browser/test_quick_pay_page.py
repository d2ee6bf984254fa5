"""The quick-pay page's own script in a real browser: one tap, one order; and without scripts."""

from __future__ import annotations

import pytest

from backend import clock
from backend.db import transaction
from backend.identity.pay_codes import pay_code
from tests.browser.conftest import IPHONE
from tests.factories.estate import make_bill, make_estate, make_merchant, set_business_now
from tests.support.owner import counts, register_apps

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def address(ctx, sandbox, live_server) -> str:
    """The bills of one household, at the address a notice or the mini-program gives."""
    estate = make_estate(houses=1)
    apps = register_apps(sandbox, estate.company_id)
    make_merchant(estate, sandbox, app=apps.mini["name"])
    make_merchant(estate, sandbox, channel="alipay")
    set_business_now()
    home = estate.homes[0]
    make_bill(estate, home)
    with transaction():
        code = pay_code(house_id=home.house_id, party_id=home.party_id, at=clock.wire_now())
    return f"{live_server.url}/pay/bills?c={code}"


TWO_TAPS = """() => new Promise((done) => {
  const form = document.querySelector('form')
  const button = form.querySelector('[value=alipay]')
  const sent = []
  form.addEventListener('submit', (event) => {
    if (!event.defaultPrevented) sent.push(new FormData(form, event.submitter).get('channel'))
    event.preventDefault() // the page stays, as it does while the answer is on its way
  })
  button.click()
  form.requestSubmit(button)
  setTimeout(() => {
    button.click()
    const asleep = [...form.querySelectorAll('button')].every((one) => one.disabled)
    done({ sent, asleep, said: button.textContent })
  }, 0)
})"""


def test_a_second_tap_sends_nothing(address, phone):
    page = phone()
    page.goto(address)
    said = page.evaluate(TWO_TAPS)
    assert said == {"sent": ["alipay"], "asleep": True, "said": "正在打开，请稍候…"}
    assert page.problems == []


def test_going_back_from_the_cashier_wakes_the_buttons(address, phone):
    page = phone()
    page.goto(address)
    page.get_by_role("button", name="支付宝").click()
    page.locator(".cashier.alipay").wait_for()
    page.go_back()
    page.locator("button[value=alipay]:not([disabled])").wait_for()
    assert page.locator("button[value=alipay]").inner_text() == "支付宝"
    assert page.problems == []


def test_without_scripts_the_same_taps_lead_to_the_cashier(address, browser):
    context = browser.new_context(user_agent=IPHONE, java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(address)
        page.get_by_role("button", name="支付宝").click()
        page.locator(".cashier.alipay").wait_for()
    finally:
        context.close()
    assert counts("payment_order") == {"payment_order": 1}
