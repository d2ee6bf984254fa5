"""What we say to WeChat Pay and which of its answers we believe, against a real HTTP server."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import threading
import time
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from backend import clock
from backend.payments.providers import wechatpay_bill
from backend.payments.providers.base import PrepayRequest, ProviderError
from backend.payments.providers.registry import provider_for
from backend.payments.providers.values import rfc3339_text
from tests.contracts.provider_support import (
    Reply,
    java_keys,
    key_pair,
    platform,
    vectors,
    wechat_merchant,
    wechat_signature_headers,
)

NUMBER = "JQ20261121000001"
EXPIRE = datetime(2026, 11, 21, 3, 15, 30, 999999, tzinfo=UTC)
PAID = {
    "appid": "wxd678efh567hg6787",
    "mchid": "1234567891",
    "out_trade_no": NUMBER,
    "transaction_id": "4200001",
    "trade_state": "SUCCESS",
    "success_time": "2026-11-21T10:00:00+08:00",
    "payer": {"openid": "o-1"},
    "amount": {"total": 14293, "payer_total": 14000, "currency": "CNY"},
}


def reply(status=200, content=None, *, signed=True, key=None, **changes):
    body = b"" if content is None else json.dumps(content, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"}
    if signed:
        headers |= wechat_signature_headers(body, now=clock.wire_now(), key=key) | changes
    return Reply(status, headers, body)


@contextmanager
def wechat(*replies, **changes):
    """A platform giving these answers in turn (the last one for ever) and our provider for it."""
    queue = list(replies)

    def answer(_call):
        item = queue.pop(0) if len(queue) > 1 else queue[0]
        return item() if callable(item) else item

    with platform(answer) as running:
        bases = {"wechatpay_api_base": running.url}
        yield running, provider_for(wechat_merchant(**changes), bases)


def request(method="jsapi", **changes):
    values = {
        "out_trade_no": NUMBER,
        "amount_fen": 14293,
        "description": "物业费 3幢2单元501 2026年11月",
        "time_expire": EXPIRE,
        "notify_url": "https://pay.example.com/notify/wechatpay/1",
        "method": method,
        "openid": "o-1",
        "client_ip": "203.0.113.9",
        "attach": "c1",
    } | changes
    return PrepayRequest(**values)


def error_of(call, *arguments, **named):
    with pytest.raises(ProviderError) as error:
        call(*arguments, **named)
    return error.value


def checked_authorization(call):
    """Verify the request's signature as the platform would; return its fields."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', call.headers["Authorization"]))
    message = "\n".join(
        [call.method, call.path, fields["timestamp"], fields["nonce_str"], call.body.decode(), ""]
    )
    merchant = load_pem_private_key(java_keys()["merchant_private_key_pem"].encode(), None)
    merchant.public_key().verify(
        b64decode(fields["signature"]), message.encode(), PKCS1v15(), SHA256()
    )
    return fields


def test_jsapi_order_is_signed_over_the_bytes_sent_and_yields_a_pay_sheet():
    with wechat(reply(200, {"prepay_id": "wx201410272009395522657a690389285100"})) as (run, ours):
        params = ours.prepay(request()).params
    (call,) = run.calls
    assert (call.method, call.path) == ("POST", "/v3/pay/transactions/jsapi")
    fields = checked_authorization(call)
    assert fields["mchid"] == "1234567891"
    assert fields["serial_no"] == java_keys()["merchant_certificate_serial"]
    assert abs(int(fields["timestamp"]) - time.time()) < 5
    assert call.headers["Wechatpay-Serial"].startswith("PUB_KEY_ID_")
    assert json.loads(call.body) == {
        "appid": "wxd678efh567hg6787",
        "mchid": "1234567891",
        "description": "物业费 3幢2单元501 2026年11月",
        "out_trade_no": NUMBER,
        "time_expire": "2026-11-21T11:15:30+08:00",
        "attach": "c1",
        "notify_url": "https://pay.example.com/notify/wechatpay/1",
        "amount": {"total": 14293, "currency": "CNY"},
        "payer": {"openid": "o-1"},
    }
    assert set(params) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
    assert params["package"] == "prepay_id=wx201410272009395522657a690389285100"
    lines = [params["appId"], params["timeStamp"], params["nonceStr"], params["package"], ""]
    merchant = load_pem_private_key(java_keys()["merchant_private_key_pem"].encode(), None)
    merchant.public_key().verify(
        b64decode(params["paySign"]), "\n".join(lines).encode(), PKCS1v15(), SHA256()
    )


def test_retry_of_a_number_repeats_identical_parameters():
    with wechat(lambda: reply(200, {"prepay_id": "wx1"})) as (run, ours):
        ours.prepay(request())
        ours.prepay(request())
    assert run.calls[0].body == run.calls[1].body
    assert run.calls[0].headers["Authorization"] != run.calls[1].headers["Authorization"]


def test_h5_and_native_orders():
    with wechat(
        lambda: reply(200, {"h5_url": "https://wx.example/mweb?prepay_id=1"}),
        lambda: reply(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"}),
    ) as (run, ours):
        h5 = ours.prepay(request("h5", return_url="https://pay.example.com/pay/?a=1&b=2"))
        native = ours.prepay(request("native"))
    assert h5.params == {
        "h5_url": "https://wx.example/mweb?prepay_id=1"
        "&redirect_url=https%3A%2F%2Fpay.example.com%2Fpay%2F%3Fa%3D1%26b%3D2"
    }
    assert json.loads(run.calls[0].body)["scene_info"] == {
        "payer_client_ip": "203.0.113.9",
        "h5_info": {"type": "Wap"},
    }
    assert native.params == {"qr_code": "weixin://wxpay/bizpayurl?pr=1"}
    assert [call.path for call in run.calls] == [
        "/v3/pay/transactions/h5",
        "/v3/pay/transactions/native",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"openid": None},
        {"out_trade_no": "short"},
        {"out_trade_no": "with space 123"},
        {"out_trade_no": "x" * 33},
        {"method": "bar"},
        {"method": "h5", "client_ip": None},
    ],
)
def test_impossible_order_is_refused_without_a_call(wrong):
    with wechat(reply(500)) as (run, ours):
        assert error_of(ours.prepay, request(**wrong)).outcome == "refused"
    assert run.calls == []


@pytest.mark.parametrize("number", ["../../bill/tradebill", "JQ2026?mchid=2", "", "单号单号单号"])
def test_number_never_changes_the_address_called(number):
    with wechat(reply(204)) as (run, ours):
        assert error_of(ours.query, number).code == "PARAM_ERROR"
        assert ours.close(number) == "unknown"
        names = {"out_trade_no": NUMBER, "out_refund_no": number}
        assert error_of(ours.query_refund, **names).code == "PARAM_ERROR"
    assert run.calls == []


def test_amount_must_be_whole_fen():
    with wechat(reply(500)) as (run, ours), pytest.raises(ValueError, match="金额"):
        ours.prepay(request(amount_fen=142.93))
    assert run.calls == []


def test_paid_order():
    with wechat(reply(200, PAID)) as (run, ours):
        state = ours.query(NUMBER)
    assert run.calls[0].path == f"/v3/pay/transactions/out-trade-no/{NUMBER}?mchid=1234567891"
    checked_authorization(run.calls[0])
    assert (state.state, state.channel_txn, state.amount_fen) == ("paid", "4200001", 14293)
    assert state.paid_at == datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    assert (state.payer, state.currency, state.raw_code) == ("o-1", "CNY", "SUCCESS")
    assert (state.appid, state.mchid) == ("wxd678efh567hg6787", "1234567891")


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ("REFUND", "refunded"),
        ("NOTPAY", "unpaid"),
        ("CLOSED", "closed"),
        ("USERPAYING", "unknown"),
        ("ACCEPT", "unknown"),
        ("SOMETHING_NEW", "unknown"),
    ],
)
def test_trade_state_decides_and_never_http_200(raw, word):
    with wechat(reply(200, PAID | {"trade_state": raw})) as (_, ours):
        assert ours.query(NUMBER).state == word


@pytest.mark.parametrize("code", ["ORDER_NOT_EXIST", "ORDERNOTEXIST", "order_not_exist"])
def test_missing_order_in_every_spelling(code):
    with wechat(reply(404, {"code": code, "message": "订单不存在"})) as (_, ours):
        assert ours.query(NUMBER).state == "not_exist"
        assert ours.close(NUMBER) == "not_exist"


@pytest.mark.parametrize(
    "answer",
    [
        lambda: reply(200, PAID, signed=False),
        lambda: reply(200, PAID, key=key_pair("stranger")),
        lambda: reply(200, PAID, **{"Wechatpay-Serial": "PUB_KEY_ID_OTHER"}),
        lambda: reply(200, PAID, **{"Wechatpay-Timestamp": "1554208460"}),
        lambda: reply(404, {"code": "ORDER_NOT_EXIST"}, key=key_pair("stranger")),
        lambda: reply(200, PAID | {"out_trade_no": "JQ20261121000002"}),
        lambda: reply(200, PAID | {"amount": {"total": 142.93}}),
        lambda: reply(200, {k: v for k, v in PAID.items() if k != "transaction_id"}),
        lambda: reply(200, {}),
        lambda: reply(500, {"code": "SYSTEM_ERROR"}),
        lambda: reply(502, None, signed=False),
        lambda: reply(404, None, signed=False),
        Reply(404, {"Content-Type": "text/html"}, b"<html>not here</html>"),
        Reply(302, {"Location": "http://127.0.0.1:9/"}, b""),
    ],
)
def test_unbelievable_answer_is_unknown_and_never_a_state(answer):
    with wechat(answer) as (_, ours):
        error = error_of(ours.query, NUMBER)
        assert (error.outcome, error.retryable) == ("unknown", True)


def test_answer_probe_is_asked_again():
    probe = {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/abc"}
    with wechat(lambda: reply(200, PAID, **probe), lambda: reply(200, PAID)) as (run, ours):
        assert ours.query(NUMBER).state == "paid"
    assert len(run.calls) == 2


def test_silence_is_unknown_and_the_limit_of_one_question_holds():
    release = threading.Event()

    def hang():
        release.wait(10)
        return reply(200, PAID)

    with wechat(hang) as (run, ours):
        began = time.monotonic()
        error = error_of(ours.query, NUMBER, timeout=0.3)
        took = time.monotonic() - began
        release.set()
    assert (error.outcome, error.code) == ("unknown", "NO_ANSWER")
    assert 0.25 < took < 2
    assert len(run.calls) == 1  # a timeout is not repeated by itself


def test_nobody_there_is_unknown():
    ours = provider_for(wechat_merchant(), {"wechatpay_api_base": "http://127.0.0.1:9"})
    assert error_of(ours.query, NUMBER).outcome == "unknown"
    assert ours.close(NUMBER) == "unknown"


def test_connections_are_kept_and_a_broken_one_is_replaced():
    with wechat(
        lambda: reply(200, PAID),
        lambda: reply(200, PAID),
        lambda: None,
        lambda: reply(200, PAID),
    ) as (run, ours):
        for _ in range(3):
            assert ours.query(NUMBER).state == "paid"
    ports = [call.client_port for call in run.calls]
    assert len(run.calls) == 4
    assert ports[0] == ports[1] == ports[2] != ports[3]
    nonces = {call.headers["Authorization"] for call in run.calls}
    assert len(nonces) == 4  # the repeat is signed anew


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda: reply(204), "closed"),
        (lambda: reply(400, {"code": "ORDERPAID"}), "paid"),
        (lambda: reply(400, {"code": "ORDER_PAID"}), "paid"),
        (lambda: reply(400, {"code": "ORDER_CLOSED"}), "closed"),
        (lambda: reply(400, {"code": "PARAM_ERROR"}), "unknown"),
        (lambda: reply(204, None, signed=False), "unknown"),
        (lambda: reply(500, {"code": "SYSTEM_ERROR"}), "unknown"),
    ],
)
def test_close_in_four_words(answer, word):
    with wechat(answer) as (run, ours):
        assert ours.close(NUMBER) == word
    assert run.calls[0].path == f"/v3/pay/transactions/out-trade-no/{NUMBER}/close"
    assert json.loads(run.calls[0].body) == {"mchid": "1234567891"}


@pytest.mark.parametrize(
    ("status", "code", "outcome", "reason", "retryable"),
    [
        (403, "OUT_TRADE_NO_USED", "refused", "number_used", False),
        (403, "NOT_ENOUGH", "refused", "not_enough", True),
        (403, "NO_AUTH", "refused", "no_right", False),
        (429, "FREQUENCY_LIMITED", "refused", "rate_limited", True),
        (401, "SIGN_ERROR", "refused", "bad_signature", False),
        (400, "PARAM_ERROR", "refused", "bad_request", False),
        (400, "ORDERPAID", "refused", "already_paid", False),
        (400, "APPID_MCHID_NOT_MATCH", "refused", "config", False),
        (403, "SOMETHING_NEW", "refused", "other", False),
        (500, "SYSTEM_ERROR", "unknown", "busy", True),
        (403, "SYSTEM_ERROR", "unknown", "busy", True),
        (503, "BANKERROR", "unknown", "busy", True),
    ],
)
def test_error_codes(status, code, outcome, reason, retryable):
    with wechat(reply(status, {"code": code, "message": "…"}, signed=status != 401)) as (_, ours):
        error = error_of(ours.prepay, request())
    assert (error.outcome, error.code, error.reason) == (outcome, code, reason)
    assert error.retryable is retryable


REFUND = {
    "refund_id": "5030",
    "out_refund_no": "RF1",
    "out_trade_no": NUMBER,
    "status": "PROCESSING",
    "amount": {"refund": 293, "total": 14293, "currency": "CNY"},
}


def refund(ours):
    return ours.refund(
        out_trade_no=NUMBER,
        out_refund_no="RF1",
        amount_fen=293,
        total_fen=14293,
        reason="重复支付",
        notify_url="https://pay.example.com/notify/wechatpay/1",
    )


def test_accepted_refund_is_processing_and_not_done():
    with wechat(reply(200, REFUND)) as (run, ours):
        state = refund(ours)
    assert (state.state, state.amount_fen, state.channel_refund_no) == ("processing", 293, "5030")
    assert run.calls[0].path == "/v3/refund/domestic/refunds"
    assert json.loads(run.calls[0].body) == {
        "notify_url": "https://pay.example.com/notify/wechatpay/1",
        "out_refund_no": "RF1",
        "amount": {"refund": 293, "total": 14293, "currency": "CNY"},
        "out_trade_no": NUMBER,
        "reason": "重复支付",
    }


@pytest.mark.parametrize(
    ("status", "word"),
    [("SUCCESS", "succeeded"), ("CLOSED", "closed"), ("ABNORMAL", "abnormal"), ("X", "unknown")],
)
def test_refund_states(status, word):
    with wechat(reply(200, REFUND | {"status": status})) as (run, ours):
        state = ours.query_refund(out_trade_no=NUMBER, out_refund_no="RF1")
    assert state.state == word
    assert run.calls[0].path == "/v3/refund/domestic/refunds/RF1"


def test_refund_without_trustworthy_answer_is_unknown():
    with wechat(reply(200, REFUND | {"out_refund_no": "RF2"})) as (_, ours):
        assert error_of(refund, ours).outcome == "unknown"
    with wechat(reply(200, REFUND, signed=False)) as (_, ours):
        assert error_of(refund, ours).outcome == "unknown"


def test_refund_that_never_arrived():
    with wechat(reply(404, {"code": "RESOURCE_NOT_EXISTS"})) as (_, ours):
        state = ours.query_refund(out_trade_no=NUMBER, out_refund_no="RF1")
    assert state.state == "not_exist"


def test_service_provider_mode_names_the_sub_merchant_everywhere():
    with wechat(
        lambda: reply(200, {"prepay_id": "wx1"}),
        lambda: reply(200, PAID),
        lambda: reply(204),
        lambda: reply(200, REFUND),
        sub_mchid="1900000109",
    ) as (run, ours):
        ours.prepay(request())
        ours.query(NUMBER)
        ours.close(NUMBER)
        refund(ours)
    order, _query, close, back = (call for call in run.calls)
    assert order.path == "/v3/pay/partner/transactions/jsapi"
    assert json.loads(order.body)["sub_mchid"] == "1900000109"
    assert json.loads(order.body)["payer"] == {"sp_openid": "o-1"}
    assert run.calls[1].path.endswith("?sp_mchid=1234567891&sub_mchid=1900000109")
    assert json.loads(close.body) == {"sp_mchid": "1234567891", "sub_mchid": "1900000109"}
    assert json.loads(back.body)["sub_mchid"] == "1900000109"


def statement_file(*rows):
    header = vectors("wechat")["tradebill-ALL-csv"]["header"]
    tail = vectors("wechat")["tradebill-ALL-csv"]["tail"]
    lines = [",".join(header), *rows, *tail]
    return b"\xef\xbb\xbf" + "\r\n".join(lines).encode()


def statement_row(**cells):
    header = vectors("wechat")["tradebill-ALL-csv"]["header"]
    values = dict(
        zip(
            header, vectors("wechat")["tradebill-ALL-csv"]["first_row"][1:].split(",`"), strict=True
        )
    )
    return ",".join("`" + value for value in (values | cells).values())


def serve_statement(content, *, hash_value=None, host=None):
    """Answer the two questions of a statement: where it is, then the unsigned file."""
    digest = hash_value or hashlib.sha1(content).hexdigest()

    def answer(call):
        if call.path.startswith("/v3/bill/"):
            base = host or f"http://{call.headers['Host']}"
            url = f"{base}/v3/billdownload/file?token=t-1"
            return reply(200, {"hash_type": "SHA1", "hash_value": digest, "download_url": url})
        return Reply(200, {"Content-Type": "application/gzip"}, gzip.compress(content))

    return answer


def test_statement_is_fetched_checked_and_read():
    paid = (
        statement_row(
            交易时间="2026-11-20 23:59:59",
            商户订单号=NUMBER,
            微信订单号="4200001",
            交易状态="SUCCESS",
            应结订单金额="140.00",
            订单金额="142.93",
            手续费="0.85758",
            商品名称="物业费,车位费,`引号",
            商户数据包="c1,`x",
        )
        .replace(",`引号", ",引号")
        .replace("c1,`x", "c1,x")
    )
    back = statement_row(
        交易状态="REFUND", 商户退款单号="RF1", 申请退款金额="2.93", 手续费="-0.01758"
    )
    with platform(serve_statement(statement_file(paid, back))) as run:
        ours = provider_for(wechat_merchant(), {"wechatpay_api_base": run.url})
        payment_row, refund_row = ours.download_bill(date(2026, 11, 20))
    assert (
        run.calls[0].path == "/v3/bill/tradebill?bill_date=2026-11-20&bill_type=ALL&tar_type=GZIP"
    )
    checked_authorization(run.calls[1])
    assert (payment_row.kind, payment_row.amount_fen) == ("payment", 14293)
    assert payment_row.fee_millifen == 85758
    assert payment_row.at == datetime(2026, 11, 20, 15, 59, 59, tzinfo=UTC)
    assert payment_row.raw["商品名称"] == "物业费,车位费,引号"
    assert payment_row.attach == "c1,x"
    assert (refund_row.kind, refund_row.amount_fen) == ("refund", 293)
    assert (refund_row.out_refund_no, refund_row.fee_millifen) == ("RF1", -1758)


def test_statement_with_another_hash_or_cut_off_is_not_believed():
    whole = statement_file(statement_row())
    for content, hash_value in ((whole, "0" * 40), (whole[: whole.index(b"\r\n", 400)], None)):
        with platform(serve_statement(content, hash_value=hash_value)) as run:
            ours = provider_for(wechat_merchant(), {"wechatpay_api_base": run.url})
            assert error_of(ours.download_bill, date(2026, 11, 20)).code == "BAD_STATEMENT"


def test_our_signature_is_never_sent_to_another_host():
    content = statement_file(statement_row())
    with platform(serve_statement(content, host="http://127.0.0.1:9")) as run:
        ours = provider_for(wechat_merchant(), {"wechatpay_api_base": run.url})
        assert len(ours.download_bill(date(2026, 11, 20))) == 1
    assert run.calls[1].path == "/v3/billdownload/file?token=t-1"


def test_day_without_trades_and_a_statement_still_in_the_making():
    with wechat(reply(400, {"code": "NO_STATEMENT_EXIST"})) as (_, ours):
        assert ours.download_bill(date(2026, 11, 20)) == []
    with wechat(reply(400, {"code": "STATEMENT_CREATING"})) as (_, ours):
        error = error_of(ours.download_bill, date(2026, 11, 20))
    assert (error.outcome, error.retryable) == ("refused", True)


def test_older_statement_header_is_read_by_name():
    header = "交易时间,公众账号ID,商户号,微信订单号,商户订单号,交易状态,总金额"
    header += ",微信退款单号,商户退款单号,退款金额,退款状态,手续费"
    row = "`2019-01-01 00:00:00,`wx1,`19,`42,`N1,`SUCCESS,`0.10,`0,`0,`0.00,`,`0.00060"
    (read,) = wechatpay_bill.parse(f"{header}\n{row}\n总交易单数\n`1".encode())
    assert (read.amount_fen, read.fee_millifen, read.out_refund_no) == (10, 60, None)


def test_rotated_configuration_takes_effect_at_once():
    bases = {"wechatpay_api_base": "http://127.0.0.1:9"}
    first = provider_for(wechat_merchant(), bases)
    assert provider_for(wechat_merchant(), bases) is first
    rotated = provider_for(wechat_merchant(apiv3_key="0123456789abcdef0123456789abcdef"), bases)
    assert rotated is not first


def test_many_threads_share_one_provider():
    with wechat(lambda: reply(200, PAID)) as (run, ours), ThreadPoolExecutor(8) as pool:
        states = list(pool.map(lambda _: ours.query(NUMBER, timeout=5).state, range(40)))
    assert states == ["paid"] * 40
    assert len({call.headers["Authorization"] for call in run.calls}) == 40


def test_expiry_is_written_in_shanghai_time_without_fractions():
    assert rfc3339_text(EXPIRE) == "2026-11-21T11:15:30+08:00"
    assert rfc3339_text(EXPIRE + timedelta(hours=13)) == "2026-11-22T00:15:30+08:00"
