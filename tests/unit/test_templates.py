"""Message templates: every event on every channel is complete, lawful and fits its vendor."""

from __future__ import annotations

import itertools
import re
from datetime import date

import pytest

from backend.conduct.rules import CLASSES
from backend.conduct.wording import lint
from backend.reminders import templates
from backend.reminders.channels.wechat_app import WechatApp, match_fields
from backend.reminders.channels.wechat_fields import BadField, fit, fit_all
from backend.reminders.templates import addressee, render, sample_facts, vendor_text

EVENTS = templates.events()
ALL = list(itertools.product(EVENTS, templates.CHANNELS))
ASKS = ("bill_issued", "due_in_7", "due_in_1", "overdue_3", "overdue_warm")


def test_the_events_of_the_product_are_all_there():
    assert EVENTS == (
        "bill_issued", "due_in_7", "due_in_1", "overdue_3", "overdue_warm", "promise_tomorrow",
        "promise_today", "receipt", "paid_twice", "credit_refunded",
    )  # fmt: skip


@pytest.mark.covers("C20", "C18")
@pytest.mark.parametrize(("event", "channel"), ALL)
def test_every_rendered_text_passes_the_lint_of_its_class(event, channel):
    rendered = render(event, sample_facts(), channel)
    kind = templates.kind_of(event)
    assert lint(rendered.text, kind.wording_class, channel=channel) == []
    assert kind.conduct_class in CLASSES
    assert rendered.version == templates.version()
    assert "${" not in rendered.text and "{" not in rendered.text


@pytest.mark.covers("S24", "S23", "C20")
@pytest.mark.parametrize("channel", templates.CHANNELS)
@pytest.mark.parametrize("event", ASKS)
def test_a_text_that_asks_for_money_names_house_amount_deadline_and_a_convenient_way(
    event, channel
):
    text = render(event, sample_facts(), channel).text
    for part in ("3-2-1201", "215.60", "2026年11月15日", "2026年11月", "021-55500000"):
        assert part in text
    way = "https://pay.example.com/pay/" if channel == "sms" else "微信支付"
    assert way in text


@pytest.mark.covers("C66")
@pytest.mark.parametrize(("event", "channel"), ALL)
def test_a_message_never_shows_a_full_name_or_a_full_address(event, channel):
    rendered = render(event, sample_facts(name_masked=addressee("张小明", title="女士")), channel)
    assert "小明" not in rendered.text and "小明" not in "".join(rendered.data.values())
    with pytest.raises(ValueError, match="masked"):
        sample_facts(name_masked="张小明")


@pytest.mark.parametrize(
    ("name", "shown"),
    [("张小明", "张*业主"), ("欧阳娜娜", "欧*业主"), ("幸福置业有限公司", "幸福**公司")],
)
def test_a_name_is_masked_for_the_greeting(name, shown):
    assert addressee(name) == shown


@pytest.mark.covers("C18", "C20")
@pytest.mark.parametrize("event", EVENTS)
def test_an_sms_text_obeys_the_carriers_template_rules(event):
    text = vendor_text(event, "https://pay.example.com/pay/", "021-55500000")
    variables = templates.sms_variables(event)
    assert len(variables) == len(set(variables)), "each variable once"
    assert not re.search(r"\}\$\{", text), "no adjacent variables"
    assert len(text) <= 500 and "{pay_url}" not in text and "{phone}" not in text
    shown = render(event, sample_facts(), "sms")
    for name in variables:
        assert 1 <= len(shown.data[name]) <= 35
        assert "://" not in shown.data[name], "a variable holds no link"
    assert len(shown.text) + len("【缴清物业】") <= 67 * 3, "at most three message units"


@pytest.mark.covers("C19", "S24")
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "keywords",
    [
        ["thing1", "character_string2", "amount3", "date4", "thing5"],
        ["thing3", "amount1", "time7", "thing4", "phone_number6"],
        ["thing1", "thing2", "thing3", "amount4", "phrase5", "name6"],
        ["character_string1", "number2", "date3"],
    ],
)
def test_wechat_fields_fit_the_platforms_types(event, keywords):
    rendered = render(
        event, sample_facts(period_text="2026年7月至2026年12月共6期账单"), "wechat_template"
    )
    fields = match_fields(keywords)
    data = fit_all(rendered.data, fields)
    assert set(data) == set(keywords)
    assert all(len(entry["value"]) <= 32 for entry in data.values())
    if "thing5" in keywords:
        assert data["thing1"]["value"] == "幸福里3-2-1201"
        assert data["character_string2"]["value"] == "3-2-1201"
        assert data["amount3"]["value"] == "215.60元"
        assert len(data["thing5"]["value"]) <= 20


@pytest.mark.parametrize(
    ("keyword", "text", "fitted"),
    [
        ("thing1", "一" * 21, "一" * 19 + "…"),
        ("thing1", "  两 \n 行 ", "两 行"),
        ("amount1", "1234567890.12元", None),
        ("amount1", "12345678.12元", "12345678.12元"),
        ("amount1", "¥215.60", "¥215.60"),
        ("amount1", "二百元", None),
        ("date1", "2026年11月5日", "2026年11月5日"),
        ("date1", "2026-11-05", None),
        ("time1", "2026年11月5日 15:01", "2026年11月5日 15:01"),
        ("character_string1", "3栋201", None),
        ("character_string1", "3-2-1201", "3-2-1201"),
        ("phrase1", "已经缴费成功", "已经缴费成"),
        ("phrase1", "paid", None),
        ("phone_number1", "021-55500000", "021-55500000"),
        ("phone_number1", "1" * 18, None),
        ("number1", "215.60", "215.60"),
        ("thing1", "   ", None),
        ("strange1", "x", None),
    ],
)
def test_a_field_is_shortened_only_where_its_meaning_survives(keyword, text, fitted):
    if fitted is None:
        with pytest.raises(BadField, match=keyword):
            fit(keyword, text)
    else:
        assert fit(keyword, text) == fitted


def test_a_template_with_a_field_nothing_can_fill_is_not_used():
    config = {
        "name": "a", "kind": "miniprogram", "appid": "wx1", "secret": "s",
        "templates": {"receipt": {"id": "T", "fields": ["car_number1"]}, "due_in_7": {"id": ""}},
    }  # fmt: skip
    app = WechatApp.of(config)
    assert app.fields_of("receipt") is None
    assert app.fields_of("due_in_7") is None
    assert app.fields_of("unknown") is None


def test_a_house_code_in_chinese_still_fills_a_latin_field():
    rendered = render("receipt", sample_facts(house_no="北苑A栋1-101"), "wechat_subscribe")
    assert rendered.data["house_no"] == "A-1-101"


@pytest.mark.covers("C20")
def test_a_place_name_is_not_taken_for_a_threat_and_a_query_code_not_for_an_advertisement():
    facts = sample_facts(house_label="公安路小区1-101", query_code="AQQ2CD34")
    assert "公安路小区1-101" in render("overdue_3", facts, "sms").text


def test_a_missing_date_and_an_unknown_channel_are_errors():
    with pytest.raises(ValueError, match="due_date"):
        render("bill_issued", sample_facts(due_date=None), "sms")
    with pytest.raises(ValueError, match="carrier"):
        render("bill_issued", sample_facts(), "carrier")
    with pytest.raises(KeyError):
        render("birthday", sample_facts(), "sms")


def test_a_promise_message_names_the_promised_day():
    text = render("promise_tomorrow", sample_facts(on_date=date(2026, 12, 1)), "sms").text
    assert "2026年12月1日" in text and "2026年11月15日" not in text


@pytest.mark.covers("S24")
@pytest.mark.parametrize(("channel", "limit"), [("sms", 35), ("wechat_template", 20)])
def test_a_long_community_name_is_shortened_before_the_room_number(channel, limit):
    label = "阳光幸福家园国际社区" * 4 + "12-3-1201"
    house = render("overdue_3", sample_facts(house_label=label), channel).data["house"]
    assert len(house) == limit and house.startswith("…") and house.endswith("12-3-1201")


def test_a_company_without_a_registered_line_still_has_a_sentence_and_a_field():
    rendered = render("receipt", sample_facts(phone=""), "sms")
    assert rendered.text.endswith("如有疑问请致电物业服务中心。")
    assert rendered.data["phone"] == "-"
