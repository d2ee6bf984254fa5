"""Our providers against the sandbox platforms: two implementations that must agree.

Each test plays the whole conversation over HTTP (orders, payer, callbacks to an address of our
own, refunds, statement) and compares what we understood with the sandbox's own book.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from backend import clock
from backend.payments.providers.base import (
    BadNotice,
    MerchantConfig,
    Notice,
    PrepayRequest,
    Provider,
    ProviderError,
)
from backend.payments.providers.registry import provider_for
from tests.contracts.provider_support import Call, Reply, platform

FEN = 14293


@dataclass
class Desk:
    """A provider, the address its callbacks go to, and what arrived there."""

    sandbox: object
    provider: Provider
    merchant: str
    url: str = ""
    notices: list[Notice] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def receive(self, call: Call) -> Reply:
        try:
            notice = self.provider.parse_notice(call.headers, call.body, clock.wire_now())
        except BadNotice as bad:
            self.refused.append(bad.reason)
            status, content_type, body = self.provider.nack(bad)
        else:
            self.notices.append(notice)
            status, content_type, body = self.provider.ack()
        return Reply(status, {"Content-Type": content_type}, body)

    def request(self, number: str, method: str, **changes: object) -> PrepayRequest:
        values = {
            "out_trade_no": number,
            "amount_fen": FEN,
            "description": "物业费 +100% 3幢2单元501",
            "time_expire": clock.wire_now() + timedelta(minutes=15),
            "notify_url": self.url,
            "method": method,
            "attach": "c1",
        } | changes
        return PrepayRequest(**values)

    def booked(self, number: str) -> dict:
        (row,) = self.sandbox.get("/_sandbox/book/payments", out_trade_no=number)
        return row

    def heard(self, kind: str, number: str) -> list[Notice]:
        return [n for n in list(self.notices) if (n.kind, n.out_trade_no) == (kind, number)]


@contextmanager
def open_desk(sandbox, channel: str) -> Iterator[Desk]:
    name = f"contract-{channel}"
    body = {"channel": channel, "name": name}
    if channel == "wechatpay":
        app = sandbox.post("/_sandbox/apps", kind="miniprogram", name="contract-mini")
        body["appid"] = app["appid"]
    file = sandbox.post("/_sandbox/merchants", body)
    bases = {"wechatpay_api_base": sandbox.url, "alipay_gateway": sandbox.url + "/gateway.do"}
    merchant = MerchantConfig(1, file["name"], channel, file[channel])
    desk = Desk(sandbox, provider_for(merchant, bases), file["name"])
    with platform(desk.receive) as receiver:
        desk.url = receiver.url + f"/notify/{channel}/1"
        yield desk


@pytest.fixture
def wechat(sandbox) -> Iterator[Desk]:
    with open_desk(sandbox, "wechatpay") as desk:
        yield desk


@pytest.fixture
def alipay(sandbox) -> Iterator[Desk]:
    with open_desk(sandbox, "alipay") as desk:
        yield desk


@pytest.fixture
def person(sandbox) -> dict:
    return sandbox.post("/_sandbox/people", phone="13900001001", nickname="业主甲")


def openid_of(desk: Desk, person: dict) -> str:
    current = desk.sandbox.get(f"/_sandbox/people/{person['id']}")
    return current["openids"][desk.provider.merchant.config["appid"]]


def millis(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def statement_day() -> date:
    """Today on the platform's calendar: it knows nothing of our business clock."""
    return clock.date_of(clock.wire_now())


def error_of(call, *arguments, **named) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call(*arguments, **named)
    return caught.value


def test_wechat_payment_from_order_to_statement(wechat, person, wait_for):
    ours, number = wechat.provider, "JQCONTRACT0001"
    assert ours.query(number).state == "not_exist"
    order = wechat.request(number, "jsapi", openid=openid_of(wechat, person))
    params = ours.prepay(order).params
    again = ours.prepay(order).params
    assert params["package"].startswith("prepay_id=") and again["package"].startswith("prepay_id=")
    assert (ours.query(number).state, ours.query(number).amount_fen) == ("unpaid", FEN)
    wechat.sandbox.post("/_sandbox/pay", prepay_id=params["package"].removeprefix("prepay_id="))
    state, row = ours.query(number), wechat.booked(number)
    assert (state.state, state.channel_txn) == ("paid", row["transaction_id"])
    assert (state.amount_fen, state.currency, state.payer) == (FEN, "CNY", row["openid"])
    assert abs(millis(state.paid_at) - row["paid_at"]) < 1000
    assert ours.close(number) == "paid"
    assert error_of(ours.prepay, order).reason == "already_paid"
    wait_for(lambda: wechat.heard("payment", number), 10)
    notice = wechat.heard("payment", number)[0]
    assert (notice.channel_txn, notice.amount_fen) == (row["transaction_id"], FEN)
    assert notice.paid_at == state.paid_at
    assert notice.merchant_ids == {name: ours.merchant.config[name] for name in ("appid", "mchid")}
    (line,) = [r for r in ours.download_bill(statement_day()) if r.out_trade_no == number]
    assert (line.kind, line.amount_fen, line.channel_txn) == ("payment", FEN, notice.channel_txn)
    assert line.at == state.paid_at


def test_wechat_number_with_other_parameters_is_refused(wechat, person):
    ours, number = wechat.provider, "JQCONTRACT0002"
    openid = openid_of(wechat, person)
    ours.prepay(wechat.request(number, "jsapi", openid=openid))
    other = wechat.request(number, "jsapi", openid=openid, amount_fen=FEN + 1)
    assert error_of(ours.prepay, other).outcome == "refused"


def test_wechat_h5_and_native_orders_are_paid_too(wechat, person, wait_for):
    ours = wechat.provider
    h5 = ours.prepay(wechat.request("JQCONTRACT0003", "h5", client_ip="127.0.0.1")).params
    code = ours.prepay(wechat.request("JQCONTRACT0004", "native")).params
    wechat.sandbox.post("/_sandbox/pay", h5_url=h5["h5_url"], person=person["id"])
    wechat.sandbox.post("/_sandbox/pay", qr_code=code["qr_code"], person=person["id"])
    for number in ("JQCONTRACT0003", "JQCONTRACT0004"):
        assert ours.query(number).state == "paid"
        wait_for(lambda number=number: wechat.heard("payment", number), 10)


def test_wechat_closed_order_cannot_be_paid(wechat):
    ours, number = wechat.provider, "JQCONTRACT0005"
    ours.prepay(wechat.request(number, "native"))
    assert ours.close(number) == "closed"
    assert ours.close(number) == "closed"
    assert ours.query(number).state == "closed"
    answer = wechat.sandbox.http.post(
        wechat.sandbox.url + "/_sandbox/pay", json={"out_trade_no": number}, timeout=5
    )
    assert answer.status_code == 409
    assert ours.close("JQCONTRACTNONE") == "not_exist"


def test_wechat_refunds_accepted_queried_notified(wechat, person, wait_for):
    ours, number = wechat.provider, "JQCONTRACT0006"
    ours.prepay(wechat.request(number, "native"))
    wechat.sandbox.post("/_sandbox/pay", out_trade_no=number, person=person["id"])
    wait_for(lambda: wechat.heard("payment", number), 10)

    def refund(refund_no: str, fen: int):
        return ours.refund(
            out_trade_no=number,
            out_refund_no=refund_no,
            amount_fen=fen,
            total_fen=FEN,
            reason="多收退还",
            notify_url=wechat.url,
        )

    names = {"out_trade_no": number, "out_refund_no": "RFCONTRACT1"}
    assert ours.query_refund(**names).state == "not_exist"
    assert refund("RFCONTRACT1", 293).state in ("processing", "succeeded")
    assert refund("RFCONTRACT1", 293).state in ("processing", "succeeded")
    wait_for(lambda: ours.query_refund(**names).state == "succeeded", 10)
    assert ours.query_refund(**names).amount_fen == 293
    wait_for(lambda: wechat.heard("refund", number), 10)
    notice = wechat.heard("refund", number)[0]
    assert (notice.out_refund_no, notice.amount_fen, notice.refund_state) == (
        "RFCONTRACT1",
        293,
        "succeeded",
    )
    assert ours.query(number).state == "refunded"
    assert error_of(refund, "RFCONTRACT2", FEN).outcome == "refused"
    assert [r["amount_fen"] for r in wechat.sandbox.get("/_sandbox/book/refunds")] == [293]
    rows = [r for r in ours.download_bill(statement_day()) if r.out_trade_no == number]
    assert sorted((r.kind, r.amount_fen) for r in rows) == [("payment", FEN), ("refund", 293)]


@pytest.mark.parametrize("outcome", ["ABNORMAL", "CLOSED"])
def test_wechat_refund_that_did_not_arrive_is_told(wechat, person, wait_for, outcome):
    ours, number = wechat.provider, f"JQCONTRACT{outcome}"
    ours.prepay(wechat.request(number, "native"))
    wechat.sandbox.post("/_sandbox/pay", out_trade_no=number, person=person["id"])
    wechat.sandbox.post("/_sandbox/refund-outcome", out_trade_no=number, outcome=outcome)
    ours.refund(
        out_trade_no=number,
        out_refund_no=f"RF{outcome}",
        amount_fen=FEN,
        total_fen=FEN,
        notify_url=wechat.url,
    )
    wait_for(lambda: wechat.heard("refund", number), 10)
    assert wechat.heard("refund", number)[0].refund_state == outcome.lower()


def test_wechat_probes_are_refused_and_the_genuine_callback_follows(wechat, person, wait_for):
    wechat.sandbox.post("/_sandbox/settings", probe_rate=1)
    number = "JQCONTRACT0007"
    wechat.provider.prepay(wechat.request(number, "native"))
    wechat.sandbox.post("/_sandbox/pay", out_trade_no=number, person=person["id"])
    wait_for(lambda: wechat.heard("payment", number), 10)
    assert set(wechat.refused) == {"probe"}


def test_wechat_spoiled_callback_is_refused_and_repeated_genuinely(wechat, person, wait_for):
    wechat.sandbox.post("/_sandbox/settings", probe_rate=0)
    wechat.sandbox.post("/_sandbox/faults", where="wechatpay.notify", kind="bad_signature", count=1)
    number = "JQCONTRACT0008"
    wechat.provider.prepay(wechat.request(number, "native"))
    wechat.sandbox.post("/_sandbox/pay", out_trade_no=number, person=person["id"])
    wait_for(lambda: wechat.heard("payment", number), 10)
    assert wechat.refused == ["bad_signature"]


def test_wechat_callbacks_signed_by_certificate_verify_in_both_modes(wechat, person, wait_for):
    ours = wechat.provider
    material = wechat.sandbox.get(f"/_sandbox/merchants/{wechat.merchant}/certificate")
    verifier = {
        "serial": material["certificate_serial"],
        "certificate_pem": material["certificate_pem"],
    }
    config = ours.merchant.config | {"verifiers": [verifier]}
    only = {k: v for k, v in config.items() if not k.startswith("public_key")}
    bases = {"wechatpay_api_base": wechat.sandbox.url}
    wechat.sandbox.post("/_sandbox/settings", serials="certificate", probe_rate=0)
    for step, settings in enumerate((config, only)):
        merchant = MerchantConfig(90 + step, ours.merchant.name, "wechatpay", settings)
        wechat.provider = provider_for(merchant, bases)
        number = f"JQCONTRACTCERT{step}"
        wechat.provider.prepay(wechat.request(number, "native"))
        wechat.sandbox.post("/_sandbox/pay", out_trade_no=number, person=person["id"])
        wait_for(lambda number=number: wechat.heard("payment", number), 10)
    assert wechat.refused == []


@pytest.mark.parametrize("kind", ["drop", "lose_reply", "http_500", "bad_signature", "slow"])
def test_wechat_trouble_is_unknown_and_never_a_decision(wechat, person, kind):
    ours, number = wechat.provider, "JQCONTRACT0009"
    ours.prepay(wechat.request(number, "native"))
    wechat.sandbox.post("/_sandbox/faults", where="wechatpay.*", kind=kind, ms=1500)
    caught = error_of(ours.query, number, timeout=0.5)
    assert (caught.outcome, caught.retryable) == ("unknown", True)
    if kind != "slow":
        assert ours.close(number) == "unknown"
    wechat.sandbox.delete("/_sandbox/faults")
    assert ours.query(number).state in ("unpaid", "closed")


def test_alipay_wap_payment_from_address_to_statement(alipay, person, wait_for):
    ours, number = alipay.provider, "JQALI0001"
    url = ours.prepay(alipay.request(number, "wap", return_url=alipay.url)).params["pay_url"]
    assert ours.query(number).state == "not_exist"
    assert ours.close(number) == "not_exist"
    assert alipay.sandbox.http.get(url, timeout=5).ok
    assert ours.query(number).state == "unpaid"
    alipay.sandbox.post("/_sandbox/pay", wap_url=url, person=person["id"])
    state, row = ours.query(number), alipay.booked(number)
    assert (state.state, state.amount_fen) == ("paid", FEN)
    assert state.channel_txn == row["transaction_id"]
    assert abs(millis(state.paid_at) - row["paid_at"]) < 1000
    assert ours.close(number) == "paid"
    wait_for(lambda: alipay.heard("payment", number), 10)
    notice = alipay.heard("payment", number)[0]
    assert (notice.channel_txn, notice.amount_fen) == (row["transaction_id"], FEN)
    assert notice.paid_at == state.paid_at
    assert notice.merchant_ids == {
        name: ours.merchant.config[name] for name in ("app_id", "seller_id")
    }
    assert notice.payload["subject"] == "物业费 +100% 3幢2单元501"
    (line,) = [r for r in ours.download_bill(statement_day()) if r.out_trade_no == number]
    assert (line.kind, line.amount_fen, line.channel_txn) == ("payment", FEN, notice.channel_txn)


def test_alipay_order_code_and_close(alipay, person):
    ours = alipay.provider
    code = ours.prepay(alipay.request("JQALI0002", "qr")).params["qr_code"]
    assert ours.query("JQALI0002").state == "not_exist"
    alipay.sandbox.post("/_sandbox/pay", qr_code=code, person=person["id"])
    assert ours.query("JQALI0002").state == "paid"
    url = ours.prepay(alipay.request("JQALI0003", "wap")).params["pay_url"]
    alipay.sandbox.http.get(url, timeout=5)
    assert ours.close("JQALI0003") == "closed"
    assert ours.query("JQALI0003").state == "closed"


def test_alipay_scanned_code_is_paid_at_once_or_asks_the_owner(alipay, person):
    ours = alipay.provider
    words = []
    for number, ask in (("JQALI0004", False), ("JQALI0005", True)):
        code = alipay.sandbox.post("/_sandbox/auth-code", person=person["id"], ask=ask)
        order = alipay.request(number, "bar", auth_code=code["auth_code"])
        words.append(ours.prepay(order).trade.state)
    assert words == ["paid", "unknown"]
    assert ours.query("JQALI0005").state == "unpaid"


def test_alipay_partial_and_full_refund_notices(alipay, person, wait_for):
    ours, number = alipay.provider, "JQALI0006"
    code = ours.prepay(alipay.request(number, "qr")).params["qr_code"]
    alipay.sandbox.post("/_sandbox/pay", qr_code=code, person=person["id"])
    wait_for(lambda: alipay.heard("payment", number), 10)

    def refund(refund_no: str, fen: int):
        return ours.refund(
            out_trade_no=number, out_refund_no=refund_no, amount_fen=fen, total_fen=FEN
        )

    assert ours.query_refund(out_trade_no=number, out_refund_no="RFA1").state == "not_exist"
    first = refund("RFA1", 293)
    assert (first.state, first.amount_fen) == ("succeeded", 293)
    assert refund("RFA1", 293).state in ("processing", "succeeded")  # repeated: no second one
    found = ours.query_refund(out_trade_no=number, out_refund_no="RFA1")
    assert (found.state, found.amount_fen) == ("succeeded", 293)
    wait_for(lambda: alipay.heard("refund", number), 10)
    notice = alipay.heard("refund", number)[0]
    assert (notice.event_type, notice.out_refund_no) == ("TRADE_SUCCESS", "RFA1")
    assert notice.refunded_total_fen == 293
    assert ours.query(number).state == "paid"

    wait_for(lambda: _refunded(refund, "RFA2", FEN - 293), 15)
    wait_for(lambda: len(alipay.heard("refund", number)) > 1, 10)
    last = alipay.heard("refund", number)[-1]
    assert (last.event_type, last.out_refund_no) == ("TRADE_CLOSED", "RFA2")
    assert last.refunded_total_fen == FEN
    assert ours.query(number).state == "refunded"
    assert len(alipay.heard("payment", number)) == 1
    assert alipay.heard("closed", number) == []
    booked = alipay.sandbox.get("/_sandbox/book/refunds", out_trade_no=number)
    assert sorted(row["amount_fen"] for row in booked) == [293, FEN - 293]
    rows = [r for r in ours.download_bill(statement_day()) if r.out_trade_no == number]
    assert sorted((r.kind, r.amount_fen, r.out_refund_no) for r in rows) == [
        ("payment", FEN, None),
        ("refund", 293, "RFA1"),
        ("refund", FEN - 293, "RFA2"),
    ]


def _refunded(refund, number: str, fen: int) -> bool:
    """The platform wants three seconds between two refunds of a trade: try until it agrees."""
    try:
        return refund(number, fen).state == "succeeded"
    except ProviderError:
        return False


@pytest.mark.parametrize("kind", ["drop", "lose_reply", "http_500", "bad_signature", "slow"])
def test_alipay_trouble_is_unknown_and_never_a_decision(alipay, person, kind):
    ours, number = alipay.provider, "JQALI0007"
    code = ours.prepay(alipay.request(number, "qr")).params["qr_code"]
    alipay.sandbox.post("/_sandbox/pay", qr_code=code, person=person["id"])
    alipay.sandbox.post("/_sandbox/faults", where="alipay.*", kind=kind, ms=1500)
    caught = error_of(ours.query, number, timeout=0.5)
    assert (caught.outcome, caught.retryable) == ("unknown", True)
    alipay.sandbox.delete("/_sandbox/faults")
    assert ours.query(number).state == "paid"


@pytest.mark.parametrize("code", ["20000", "ACQ.SYSTEM_ERROR"])
def test_alipay_not_knowing_is_unknown(alipay, code):
    alipay.sandbox.post("/_sandbox/faults", where="alipay.query", kind="code", code=code)
    assert error_of(alipay.provider.query, "JQALI0008").outcome == "unknown"


def test_alipay_spoiled_notice_is_refused_and_repeated_genuinely(alipay, person, wait_for):
    alipay.sandbox.post("/_sandbox/faults", where="alipay.notify", kind="bad_signature", count=1)
    number = "JQALI0009"
    code = alipay.provider.prepay(alipay.request(number, "qr")).params["qr_code"]
    alipay.sandbox.post("/_sandbox/pay", qr_code=code, person=person["id"])
    wait_for(lambda: alipay.heard("payment", number), 10)
    assert alipay.refused == ["bad_signature"]


def test_redelivered_callbacks_carry_the_same_event_key(wechat, person, wait_for):
    number = "JQCONTRACT0010"
    wechat.provider.prepay(wechat.request(number, "native"))
    wechat.sandbox.post("/_sandbox/pay", out_trade_no=number, person=person["id"])
    wait_for(lambda: wechat.heard("payment", number), 10)
    wechat.sandbox.post("/_sandbox/notify/resend", out_trade_no=number)
    wait_for(lambda: len(wechat.heard("payment", number)) > 1, 10)
    assert len({notice.event_key for notice in wechat.heard("payment", number)}) == 1


def test_day_without_trades_has_an_empty_statement(wechat):
    long_ago = datetime(2026, 1, 1, tzinfo=UTC).date()
    assert wechat.provider.download_bill(long_ago) == []
