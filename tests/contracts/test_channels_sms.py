"""The SMS channel against the sandbox's Aliyun gateway over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from backend.reminders import templates
from backend.reminders.channels.base import Outcome
from backend.reminders.channels.registry import Bases, build_channels
from backend.reminders.channels.sms import parse_sms_report

PHONE = "13900006610"
TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).date()


def texts() -> dict[str, str]:
    url, phone = "https://pay.example.com/pay/", "021-55500000"
    return {event: templates.vendor_text(event, url, phone) for event in templates.events()}


class Gateway:
    def __init__(self, sandbox) -> None:
        self.sandbox = sandbox
        self.account = sandbox.post("/_sandbox/sms", name="ch-sms", templates=texts())
        self.channel = self.build(self.account)

    def build(self, account):
        bases = Bases(wechat=self.sandbox.url, sms=self.sandbox.url)
        return build_channels(apps=[], sms=account, bases=bases, redis=None)["sms"]

    def send(self, event="overdue_3", *, to=PHONE, out_id="out-1", data=None, timeout=2.0):
        rendered = templates.render(event, templates.sample_facts(), "sms")
        return self.channel.send(
            recipient=to,
            template=self.channel.template_for(event),
            data=rendered.data if data is None else data,
            out_id=out_id,
            timeout=timeout,
        )

    def fault(self, where, kind, **more):
        self.sandbox.post("/_sandbox/faults", where=where, kind=kind, **more)

    def book(self, **query):
        return self.sandbox.get("/_sandbox/book/messages", channel="sms", **query)

    def asked(self, point):
        return self.sandbox.get("/_sandbox/book/requests", point=point)


@pytest.fixture
def gateway(sandbox):
    return Gateway(sandbox)


@pytest.mark.covers("S24", "C18")
@pytest.mark.parametrize("event", templates.events())
def test_every_text_passes_the_carriers_review_and_arrives_as_rendered(gateway, event):
    outcome = gateway.send(event)
    [row] = gateway.book()
    assert outcome == Outcome("accepted", vendor_id=row["biz_id"])
    rendered = templates.render(event, templates.sample_facts(), "sms")
    assert row["text"] == f"【{gateway.account['sign_name']}】{rendered.text}"
    assert (row["to"], row["out_id"]) == (PHONE, "out-1")


def test_the_vendors_default_templates_are_usable_too(sandbox):
    sandbox.post("/_sandbox/reset", everything=True)
    bare = Gateway.__new__(Gateway)
    bare.sandbox = sandbox
    bare.account = sandbox.post("/_sandbox/sms", name="ch-sms-bare")
    bare.channel = bare.build(bare.account)
    assert bare.send("overdue_3").state == "accepted"
    assert "幸福里3-2-1201" in bare.book()[0]["text"] and "215.60元" in bare.book()[0]["text"]
    assert bare.channel.template_for("birthday") is None


@pytest.mark.parametrize(
    ("code", "state", "next_step"),
    [
        ("isv.MOBILE_NUMBER_ILLEGAL", "refused", "next_channel"),
        ("isv.BUSINESS_LIMIT_CONTROL", "refused", "retry"),
        ("Throttling.User", "refused", "retry"),
        ("isv.AMOUNT_NOT_ENOUGH", "refused", "stop"),
        ("isv.SMS_TEMPLATE_ILLEGAL", "refused", "stop"),
        ("isv.BLACK_KEY_CONTROL_LIMIT", "refused", "stop"),
        ("isp.SYSTEM_ERROR", "in_doubt", "stop"),
        ("isv.SOMETHING_NEW", "refused", "stop"),
    ],
)
def test_every_code_of_the_vendor_has_one_meaning(gateway, code, state, next_step):
    gateway.fault("sms.send", "code", code=code)
    outcome = gateway.send()
    assert (outcome.state, outcome.code, outcome.next) == (state, code, next_step)
    assert gateway.book() == []


def test_a_wrong_number_and_a_wrong_key_are_told_apart(gateway):
    assert gateway.send(to="12345").next == "next_channel"
    gateway.channel = gateway.build(gateway.account | {"access_key_secret": "0" * 30})
    outcome = gateway.send()
    assert (outcome.state, outcome.code, outcome.next) == (
        "refused", "SignatureDoesNotMatch", "stop",
    )  # fmt: skip


@pytest.mark.parametrize("bad", ["", "字" * 36, "见 https://x.example/1"])
def test_a_variable_the_vendor_would_refuse_never_leaves_the_house(gateway, bad):
    rendered = templates.render("overdue_3", templates.sample_facts(), "sms")
    outcome = gateway.send(data=rendered.data | {"house": bad})
    assert (outcome.state, outcome.code, outcome.next) == ("refused", "bad_field", "stop")
    assert gateway.asked("sms.send") == []


@pytest.mark.parametrize("kind", ["lose_reply", "http_500", "drop"])
def test_after_the_request_was_written_a_failure_is_a_doubt_and_is_not_repeated(gateway, kind):
    gateway.fault("sms.send", kind)
    outcome = gateway.send()
    assert (outcome.state, outcome.next) == ("in_doubt", "stop")
    assert len(gateway.asked("sms.send")) == 1


def test_a_doubt_is_settled_by_asking_with_our_id(gateway, wait_for):
    gateway.fault("sms.send", "lose_reply")
    gateway.fault("sms.outcome", "code", code="MOBILE_NOT_ON_SERVICE", match="out-3")
    gateway.send(out_id="out-2")
    gateway.send(out_id="out-3")
    channel = gateway.channel
    assert wait_for(lambda: channel.ask("out-2", PHONE, TODAY).state == "delivered", 5)
    failed = wait_for(
        lambda: a if (a := channel.ask("out-3", PHONE, TODAY)) and a.state == "refused" else None, 5
    )
    assert (failed.code, failed.next) == ("MOBILE_NOT_ON_SERVICE", "next_channel")
    assert channel.ask("never-sent", PHONE, TODAY) is None


def test_a_message_waiting_at_the_carrier_is_accepted(gateway):
    gateway.fault("sms.outcome", "drop")
    gateway.send()
    assert gateway.channel.ask("out-1", PHONE, TODAY).state == "accepted"


@pytest.mark.parametrize(
    "fault", [{"kind": "http_500"}, {"kind": "code", "code": "Throttling.User"}]
)
def test_a_failed_enquiry_says_nothing_about_the_message(gateway, fault):
    gateway.send()
    gateway.fault("sms.query", **fault)
    assert gateway.channel.ask("out-1", PHONE, TODAY).state == "in_doubt"  # not: no record


def test_receipts_are_read_as_the_vendor_pushes_them():
    body = json.dumps([
        {"phone_number": PHONE, "send_time": "2026-11-22 10:00:00",
         "report_time": "2026-11-22 10:00:05", "success": True, "err_code": "DELIVERED",
         "err_msg": "用户接收成功", "sms_size": "1", "biz_id": "B1", "out_id": "out-1"},
        {"phone_number": PHONE, "report_time": "", "success": False, "err_code": "UNDELIVERED",
         "biz_id": "B2", "out_id": ""},
    ]).encode()  # fmt: skip
    good, lost = parse_sms_report(body)
    assert (good.out_id, good.vendor_id, good.delivered, good.code, good.key) == (
        "out-1", "B1", True, "DELIVERED", "B1:out-1",
    )  # fmt: skip
    assert good.at == datetime(2026, 11, 22, 2, 0, 5, tzinfo=UTC)
    assert (lost.out_id, lost.delivered, lost.at, lost.key) == (None, False, None, f"B2:{PHONE}")


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff"])
def test_anything_else_is_not_a_report(body):
    with pytest.raises(ValueError):
        parse_sms_report(body)


def test_the_day_of_the_enquiry_is_the_vendors_day(gateway):
    gateway.send()
    assert gateway.channel.ask("out-1", PHONE, date(2020, 1, 1)) is None
