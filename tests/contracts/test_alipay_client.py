"""What we say to the Alipay gateway and which of its answers we believe, over real HTTP."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
import zipfile
from base64 import b64decode
from contextlib import contextmanager
from datetime import UTC, date, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from backend import clock
from backend.payments.providers import alipay_bill
from backend.payments.providers.alipay import clean_subject
from backend.payments.providers.base import PrepayRequest, ProviderError
from backend.payments.providers.registry import provider_for
from tests.contracts.provider_support import (
    ALIPAY_APP_ID,
    ALIPAY_SELLER_ID,
    Reply,
    alipay_answer,
    alipay_merchant,
    bare,
    key_pair,
    pkcs8,
    platform,
)

NUMBER = "JQ20261121000001"
TRADE = "2026112122001400000000000001"
PAID = {
    "code": "10000",
    "msg": "Success",
    "out_trade_no": NUMBER,
    "trade_no": TRADE,
    "trade_status": "TRADE_SUCCESS",
    "total_amount": "142.93",
    "send_pay_date": "2026-11-21 10:00:02",
    "buyer_user_id": "2088000000000099",
    "buyer_logon_id": "abc***@example.com",
}
QUERY = "alipay.trade.query"


def merged(call):
    """The request's parameters: the common ones travel in the query, the rest in the body."""
    pairs = parse_qsl(urlsplit(call.path).query, keep_blank_values=True)
    return dict(pairs) | dict(parse_qsl(call.body.decode(), keep_blank_values=True))


def verified(parameters):
    """Check the request's RSA2 signature as Alipay does; return biz_content."""
    signature = b64decode(parameters["sign"])
    signed = {name: value for name, value in parameters.items() if name != "sign"}
    text = "&".join(f"{name}={value}" for name, value in sorted(signed.items()))
    key_pair("alipay app").public_key().verify(signature, text.encode(), PKCS1v15(), SHA256())
    return json.loads(parameters["biz_content"])


def error(sub_code, code="40004"):
    return {"code": code, "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "…"}


@contextmanager
def alipay(*answers, **how):
    """A gateway giving these inner objects (dict), bodies (bytes) or replies in turn."""
    queue = list(answers)

    def answer(call):
        item = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(item, dict):
            item = alipay_answer(merged(call)["method"], item, **how)
        return Reply(200, {}, item) if isinstance(item, bytes) else item

    with platform(answer) as running:
        bases = {"alipay_gateway": running.url + "/gateway.do"}
        yield running, provider_for(alipay_merchant(), bases)


def request(method, **changes):
    values = {
        "out_trade_no": NUMBER,
        "amount_fen": 14293,
        "description": "物业费 3幢/2单元=501, 100% + 停车费<b>",
        "time_expire": datetime(2026, 11, 21, 16, 30, tzinfo=UTC),
        "notify_url": "https://pay.example.com/notify/alipay/2",
        "method": method,
        "return_url": "https://pay.example.com/pay/?a=1&b=2",
        "attach": "c1&x",
    } | changes
    return PrepayRequest(**values)


def error_of(call, *arguments, **named):
    with pytest.raises(ProviderError) as caught:
        call(*arguments, **named)
    return caught.value


def test_wap_order_is_a_signed_address_made_without_network():
    ours = provider_for(alipay_merchant(), {"alipay_gateway": "http://127.0.0.1:9/gateway.do"})
    url = ours.prepay(request("wap")).params["pay_url"]
    assert url.startswith("http://127.0.0.1:9/gateway.do?")
    parameters = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    assert verified(parameters) == {
        "out_trade_no": NUMBER,
        "total_amount": "142.93",
        "subject": "物业费 3幢 2单元 501  100% + 停车费 b",
        "product_code": "QUICK_WAP_WAY",
        "time_expire": "2026-11-22 00:30:00",
        "seller_id": ALIPAY_SELLER_ID,
        "quit_url": "https://pay.example.com/pay/?a=1&b=2",
        "passback_params": "c1%26x",
    }
    assert parameters["method"] == "alipay.trade.wap.pay"
    assert parameters["app_id"] == ALIPAY_APP_ID
    assert (parameters["charset"], parameters["sign_type"]) == ("utf-8", "RSA2")
    assert parameters["notify_url"] == "https://pay.example.com/notify/alipay/2"
    assert parameters["return_url"] == "https://pay.example.com/pay/?a=1&b=2"


def test_timestamp_is_shanghai_time_whatever_the_host_says(monkeypatch):
    for zone in ("America/New_York", "UTC"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        with alipay(PAID) as (run, ours):
            ours.query(NUMBER)
        sent = datetime.strptime(merged(run.calls[0])["timestamp"], "%Y-%m-%d %H:%M:%S")
        shanghai = clock.wire_now().astimezone(clock.SHANGHAI).replace(tzinfo=None)
        assert abs((shanghai - sent).total_seconds()) < 5
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("fen", "text"),
    [(1, "0.01"), (10, "0.10"), (30, "0.30"), (100, "1.00"), (10**9, "10000000.00")],
)
def test_amounts_are_exact_text(fen, text):
    with alipay({"code": "10000", "out_trade_no": NUMBER, "qr_code": "https://qr.example/1"}) as (
        run,
        ours,
    ):
        prepay = ours.prepay(request("qr", amount_fen=fen))
    assert prepay.params == {"qr_code": "https://qr.example/1"}
    content = verified(merged(run.calls[0]))
    assert content["total_amount"] == text
    assert content["product_code"] == "QR_CODE_OFFLINE"


@pytest.mark.parametrize("amount", [142.93, "142.93", True, 0, -1])
def test_amount_must_be_whole_fen(amount):
    with alipay(PAID) as (run, ours), pytest.raises(ValueError, match="金额"):
        ours.prepay(request("qr", amount_fen=amount))
    assert run.calls == []


def test_scanned_payment_code():
    done = {k: v for k, v in PAID.items() if k != "trade_status"}
    done["gmt_payment"] = done.pop("send_pay_date")
    with alipay(done, {"code": "10003", "msg": "order success pay inprocess"}) as (run, ours):
        paid = ours.prepay(request("bar", auth_code="280000000000000000"))
        asked = ours.prepay(request("bar", auth_code="280000000000000000"))
    content = verified(merged(run.calls[0]))
    assert (content["scene"], content["auth_code"]) == ("bar_code", "280000000000000000")
    assert (paid.trade.state, paid.trade.channel_txn, paid.trade.amount_fen) == (
        "paid",
        TRADE,
        14293,
    )
    assert (asked.trade.state, asked.trade.raw_code) == ("unknown", "10003")


@pytest.mark.parametrize("wrong", [{"method": "jsapi"}, {"method": "bar", "auth_code": None}])
def test_impossible_order_is_refused_without_a_call(wrong):
    with alipay(PAID) as (run, ours):
        assert error_of(ours.prepay, request(**({"method": "qr"} | wrong))).outcome == "refused"
    assert run.calls == []


def test_paid_trade_through_a_gateway_with_a_port():
    with alipay(PAID) as (run, ours):
        state = ours.query(NUMBER)
    assert verified(merged(run.calls[0])) == {"out_trade_no": NUMBER}
    assert (state.state, state.channel_txn, state.amount_fen) == ("paid", TRADE, 14293)
    assert state.paid_at == datetime(2026, 11, 21, 2, 0, 2, tzinfo=UTC)
    assert (state.payer, state.raw_code) == ("2088000000000099", "TRADE_SUCCESS")


def test_trade_states():
    unpaid = {k: v for k, v in PAID.items() if k != "send_pay_date"}
    for answer, word in (
        (PAID | {"trade_status": "TRADE_FINISHED"}, "paid"),
        (unpaid | {"trade_status": "WAIT_BUYER_PAY"}, "unpaid"),
        (unpaid | {"trade_status": "TRADE_CLOSED"}, "closed"),
        (PAID | {"trade_status": "TRADE_CLOSED"}, "refunded"),
        (unpaid | {"trade_status": "SOMETHING_NEW"}, "unknown"),
    ):
        with alipay(answer) as (_, ours):
            assert ours.query(NUMBER).state == word


def test_trade_does_not_exist_until_its_code_is_scanned():
    with alipay(error("ACQ.TRADE_NOT_EXIST")) as (_, ours):
        assert ours.query(NUMBER).state == "not_exist"
        assert ours.close(NUMBER) == "not_exist"
        assert ours.query_refund(out_trade_no=NUMBER, out_refund_no="RF1").state == "not_exist"


NODE = json.dumps(PAID)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: alipay_answer(QUERY, PAID, key=key_pair("stranger")),
        lambda: alipay_answer(QUERY, PAID, key=key_pair("alipay app")),
        lambda: alipay_answer(QUERY, PAID, sha1=True),
        lambda: alipay_answer("alipay.trade.close", PAID),
        lambda: alipay_answer(QUERY, PAID | {"out_trade_no": "OTHER"}),
        lambda: alipay_answer(QUERY, PAID | {"total_amount": "142.931"}),
        lambda: alipay_answer(QUERY, {k: v for k, v in PAID.items() if k != "trade_no"}),
        lambda: alipay_answer(QUERY, {k: v for k, v in PAID.items() if k != "send_pay_date"}),
        lambda: alipay_answer(QUERY, {"code": "20000", "msg": "Service Currently Unavailable"}),
        lambda: alipay_answer(QUERY, error("isp.unknow-error", "20000")),
        lambda: alipay_answer(QUERY, error("ACQ.SYSTEM_ERROR")),
        lambda: alipay_answer(QUERY, {"msg": "no code at all"}),
        lambda: f'{{"alipay_trade_query_response":{NODE}}}'.encode(),
        lambda: b'{"error_response":{"code":"20000","sub_code":"aop.unknow-error"}}',
        lambda: b"",
        lambda: b"[]",
        lambda: b"<html>",
        lambda: b"\xff\xfe",
        lambda: Reply(500, {}, b"oops"),
        lambda: Reply(302, {"Location": "http://127.0.0.1:9/"}, b""),
    ],
)
def test_unbelievable_answer_is_unknown_and_never_a_state(answer):
    with alipay(answer()) as (_, ours):
        caught = error_of(ours.query, NUMBER)
    assert (caught.outcome, caught.retryable) == ("unknown", True)


def test_second_answer_smuggled_behind_a_signed_one_is_not_believed():
    signed = alipay_answer(QUERY, PAID | {"trade_status": "WAIT_BUYER_PAY"}).decode()
    forged = signed[:-1] + f',"alipay_trade_query_response":{NODE}}}'
    with alipay(forged.encode()) as (_, ours):
        assert error_of(ours.query, NUMBER).code == "BAD_ANSWER"


def test_silence_is_unknown():
    ours = provider_for(alipay_merchant(), {"alipay_gateway": "http://127.0.0.1:9/gateway.do"})
    assert error_of(ours.query, NUMBER).outcome == "unknown"
    assert ours.close(NUMBER) == "unknown"


def test_time_limit_of_one_question_holds():
    release = threading.Event()
    with platform(lambda _call: release.wait(10) and None) as run:
        ours = provider_for(alipay_merchant(), {"alipay_gateway": run.url + "/gateway.do"})
        began = time.monotonic()
        caught = error_of(ours.query, NUMBER, timeout=0.3)
        assert time.monotonic() - began < 2
        release.set()
    assert (caught.outcome, caught.code) == ("unknown", "NO_ANSWER")


def test_connections_are_kept():
    with alipay(PAID) as (run, ours):
        for _ in range(3):
            ours.query(NUMBER)
    assert len({call.client_port for call in run.calls}) == 1


@pytest.mark.parametrize(
    ("sub_code", "reason"),
    [
        ("ACQ.TRADE_HAS_SUCCESS", "already_paid"),
        ("ACQ.TRADE_HAS_CLOSE", "closed"),
        ("ACQ.CONTEXT_INCONSISTENT", "number_used"),
        ("ACQ.SELLER_BALANCE_NOT_ENOUGH", "not_enough"),
        ("ACQ.INVALID_PARAMETER", "bad_request"),
        ("ACQ.SOMETHING_NEW", "other"),
    ],
)
def test_business_codes_are_refusals(sub_code, reason):
    with alipay(error(sub_code)) as (_, ours):
        caught = error_of(ours.prepay, request("qr"))
    assert (caught.outcome, caught.code, caught.reason) == ("refused", sub_code, reason)
    assert caught.retryable is (reason == "not_enough")


def test_unsigned_rejection_of_our_own_request_is_a_refusal():
    body = {"code": "40002", "msg": "Invalid Arguments", "sub_code": "isv.invalid-signature"}
    with alipay(json.dumps({"error_response": body}).encode()) as (_, ours):
        caught = error_of(ours.query, NUMBER)
    assert (caught.outcome, caught.reason) == ("refused", "bad_signature")


def test_close_in_four_words():
    closed = {"code": "10000", "out_trade_no": NUMBER, "trade_no": TRADE}
    refused = error("ACQ.TRADE_STATUS_ERROR")
    gone = {k: v for k, v in PAID.items() if k != "send_pay_date"}
    for answers, word in (
        ((closed,), "closed"),
        ((refused, PAID), "paid"),
        ((refused, PAID | {"trade_status": "TRADE_CLOSED"}), "paid"),
        ((refused, gone | {"trade_status": "TRADE_CLOSED"}), "closed"),
        ((refused, gone | {"trade_status": "WAIT_BUYER_PAY"}), "unknown"),
        ((refused, Reply(500)), "unknown"),
        ((error("ACQ.SYSTEM_ERROR"),), "unknown"),
        ((closed | {"code": "10003"},), "unknown"),
        ((closed | {"out_trade_no": "OTHER"},), "unknown"),
        ((Reply(500),), "unknown"),
    ):
        with alipay(*answers) as (_, ours):
            assert ours.close(NUMBER) == word


def refund(ours):
    return ours.refund(
        out_trade_no=NUMBER, out_refund_no="RF1", amount_fen=293, total_fen=14293, reason="多收"
    )


REFUNDED = {"code": "10000", "out_trade_no": NUMBER, "trade_no": TRADE, "refund_fee": "5.93"}


@pytest.mark.parametrize(
    ("change", "word", "fen"),
    [
        ({"fund_change": "Y"}, "succeeded", 293),
        ({"fund_change": "N"}, "processing", None),
        ({}, "processing", None),
    ],
)
def test_code_10000_is_not_yet_a_refund(change, word, fen):
    with alipay(REFUNDED | change) as (run, ours):
        state = refund(ours)
    assert (state.state, state.amount_fen) == (word, fen)  # refund_fee is the running total
    assert verified(merged(run.calls[0])) == {
        "out_trade_no": NUMBER,
        "out_request_no": "RF1",
        "refund_amount": "2.93",
        "refund_reason": "多收",
    }


@pytest.mark.parametrize(
    ("sub_code", "outcome", "reason"),
    [
        ("ACQ.TRADE_HAS_FINISHED", "refused", "not_refundable"),
        ("ACQ.REASON_TRADE_REFUND_FEE_ERR", "refused", "not_refundable"),
        ("ACQ.DISCORDANT_REPEAT_REQUEST", "refused", "number_used"),
        ("ACQ.SYSTEM_ERROR", "unknown", "busy"),
    ],
)
def test_refund_errors(sub_code, outcome, reason):
    with alipay(error(sub_code)) as (_, ours):
        caught = error_of(refund, ours)
    assert (caught.outcome, caught.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ({"refund_status": "REFUND_SUCCESS", "refund_amount": "2.93"}, "succeeded"),
        ({"refund_amount": "2.93"}, "succeeded"),
        ({"refund_status": "REFUND_PROCESSING", "refund_amount": "2.93"}, "processing"),
        ({}, "not_exist"),
    ],
)
def test_refund_query(answer, word):
    found = {"code": "10000", "out_trade_no": NUMBER, "out_request_no": "RF1"} | answer
    with alipay(found | {"gmt_refund_pay": "2026-11-22 09:00:00"}) as (run, ours):
        state = ours.query_refund(out_trade_no=NUMBER, out_refund_no="RF1")
    assert state.state == word
    assert state.amount_fen == (293 if answer else None)
    content = verified(merged(run.calls[0]))
    assert content == {
        "out_trade_no": NUMBER,
        "out_request_no": "RF1",
        "query_options": ["gmt_refund_pay"],
    }


def test_answer_about_another_refund_is_unknown():
    other = {"code": "10000", "out_request_no": "RF2", "refund_amount": "2.93"}
    with alipay(other) as (_, ours):
        assert error_of(ours.query_refund, out_trade_no=NUMBER, out_refund_no="RF1").outcome == (
            "unknown"
        )


HEADER = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,"
    "对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,"
    "商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,"
    "退款批次号/请求号,服务费（元）,分润（元）,备注"
)
TRADE_ROW = (
    f"{TRADE}\t,{NUMBER}\t,交易\t,物业费,含车位\t,2026-11-20 23:59:50,2026-11-20 23:59:59,,,,,"
    "*某(139****0000)\t,142.93,142.93,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,\t,0.86,0.00,c1"
)
REFUND_ROW = (
    f"{TRADE}\t,{NUMBER}\t,退款\t,物业费\t,2026-11-20 08:00:00,2026-11-20 08:00:01,,,,,"
    "*某(139****0000)\t,-2.93,-2.93,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,RF1\t,-0.02,0.00,"
)


def detail(*rows):
    return "\r\n".join(
        [
            "#支付宝业务明细查询",
            "#账号：[20880000000000010156]",
            "#起始日期：[2026年11月20日 00:00:00]   终止日期：[2026年11月21日 00:00:00]",
            "#-----------------------------------------业务明细列表----------------------------",
            HEADER,
            *rows,
            "#-----------------------------------------业务明细列表结束------------------------",
            f"#交易合计：{len(rows)}笔，商家实收共140.00元，商家优惠共0.00元",
            "",
        ]
    )


def packed(text, *, with_summary=True):
    """A zip whose entry names are GBK without the UTF-8 flag, as the platform makes it."""
    names = {"2088_20261120_业务明细.csv": text}
    if with_summary:
        names["2088_20261120_业务明细(汇总).csv"] = "#汇总\r\n"
    stand_ins = {
        f"{number}".rjust(len(name.encode("gbk")), "z"): name for number, name in enumerate(names)
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for stand_in, name in stand_ins.items():
            archive.writestr(stand_in, names[name].encode("gbk"))
    content = buffer.getvalue()
    for stand_in, name in stand_ins.items():
        content = content.replace(stand_in.encode(), name.encode("gbk"))
    return content


def statement(content):
    """Answer the question where the statement is, then serve it."""

    def answer(call):
        if call.path.startswith("/gateway.do"):
            url = f"http://{call.headers['Host']}/download?token=t"
            method = "alipay.data.dataservice.bill.downloadurl.query"
            return Reply(
                200, {}, alipay_answer(method, {"code": "10000", "bill_download_url": url})
            )
        return Reply(200, {}, content)

    return answer


def test_statement_is_read_from_its_gbk_zip():
    with platform(statement(packed(detail(TRADE_ROW, REFUND_ROW)))) as run:
        ours = provider_for(alipay_merchant(), {"alipay_gateway": run.url + "/gateway.do"})
        paid, back = ours.download_bill(date(2026, 11, 20))
    assert verified(merged(run.calls[0])) == {"bill_type": "trade", "bill_date": "2026-11-20"}
    assert (paid.kind, paid.out_trade_no, paid.channel_txn) == ("payment", NUMBER, TRADE)
    assert (paid.amount_fen, paid.fee_millifen) == (14293, 86000)
    assert paid.at == datetime(2026, 11, 20, 15, 59, 59, tzinfo=UTC)
    assert (paid.out_refund_no, paid.attach) == (None, "c1")
    assert paid.raw["商品名称"] == "物业费,含车位"
    assert (back.kind, back.out_trade_no, back.out_refund_no) == ("refund", NUMBER, "RF1")
    assert (back.amount_fen, back.fee_millifen) == (293, -2000)


@pytest.mark.parametrize(
    "content",
    [
        b"not a zip",
        packed(
            detail(TRADE_ROW).split("#-----------------------------------------业务明细列表结束")[0]
        ),
        packed("#nothing\r\n#列表结束\r\n"),
        packed(detail(TRADE_ROW.replace("142.93", "1,429.3", 1))),
    ],
)
def test_damaged_statement_is_not_half_read(content):
    with platform(statement(content)) as run:
        ours = provider_for(alipay_merchant(), {"alipay_gateway": run.url + "/gateway.do"})
        assert error_of(ours.download_bill, date(2026, 11, 20)).outcome == "unknown"


def test_day_without_trades():
    with alipay(error("isp.bill_not_exist")) as (_, ours):
        assert ours.download_bill(date(2026, 11, 20)) == []
    assert alipay_bill.parse(packed(detail())) == []


def test_title_without_markup_keeps_its_meaning():
    assert clean_subject("物业费<script>&amp;") == "物业费 script amp;"
    assert clean_subject("<>&") == "物业缴费"
    assert len(clean_subject("费" * 300)) == 128


def key_body(name):
    return bare(pkcs8(key_pair(name)))[:40]


def test_nothing_of_a_payment_reaches_the_logs(caplog):
    with caplog.at_level(logging.DEBUG), alipay(PAID) as (_, ours):
        ours.query(NUMBER)
    assert caplog.text
    for secret in ("2088000000000099", "abc***@example.com", key_body("alipay app")):
        assert secret not in caplog.text
