"""What an Alipay notice must survive, and that its state is read as what it is."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest

from backend import clock
from backend.payments.providers.base import BadNotice, MerchantConfig, PrepayRequest, ProviderError
from backend.payments.providers.registry import provider_for
from tests.contracts.provider_support import (
    ALIPAY_APP_ID,
    ALIPAY_SELLER_ID,
    alipay_config,
    alipay_form,
    alipay_merchant,
    bare,
    key_pair,
    pkcs1,
    pkcs8,
    public_pem,
)

NOWHERE = {"alipay_gateway": "http://127.0.0.1:9/gateway.do"}
PAID = {
    "notify_time": "2026-11-21 10:00:03",
    "notify_type": "trade_status_sync",
    "notify_id": "2026112100222100000000000000000001",
    "app_id": ALIPAY_APP_ID,
    "auth_app_id": ALIPAY_APP_ID,
    "charset": "utf-8",
    "version": "1.0",
    "trade_no": "2026112122001400000000000001",
    "out_trade_no": "JQ20261121000001",
    "buyer_id": "2088000000000099",
    "seller_id": ALIPAY_SELLER_ID,
    "trade_status": "TRADE_SUCCESS",
    "total_amount": "142.93",
    "receipt_amount": "140.00",
    "subject": '物业费 +100% 3幢&2单元 "501"',
    "fund_bill_list": '[{"amount":"142.93","fundChannel":"ALIPAYACCOUNT"}]',
    "gmt_create": "2026-11-21 09:59:50",
    "gmt_payment": "2026-11-21 10:00:02",
    "passback_params": "",
}
PARTIAL = PAID | {
    "notify_id": "2026112100222100000000000000000002",
    "refund_fee": "2.93",
    "gmt_refund": "2026-11-22 09:00:00.123",
    "out_biz_no": "RF1",
}


def provider(**changes):
    return provider_for(alipay_merchant(**changes), NOWHERE)


def read(fields, **changes):
    return provider(**changes).parse_notice({}, alipay_form(fields), clock.wire_now())


def reason_of(raw, **changes):
    with pytest.raises(BadNotice) as bad:
        provider(**changes).parse_notice({}, raw, clock.wire_now())
    return bad.value.reason, bad.value.http


def test_payment():
    notice = read(PAID)
    assert (notice.kind, notice.event_type) == ("payment", "TRADE_SUCCESS")
    assert (notice.out_trade_no, notice.channel_txn) == (PAID["out_trade_no"], PAID["trade_no"])
    assert notice.amount_fen == 14293  # total_amount, not receipt_amount
    assert notice.paid_at == datetime(2026, 11, 21, 2, 0, 2, tzinfo=UTC)
    assert notice.merchant_ids == {"app_id": ALIPAY_APP_ID, "seller_id": ALIPAY_SELLER_ID}
    assert (notice.out_refund_no, notice.refund_state) == (None, None)


def test_subject_round_trips_through_one_decoding():
    assert read(PAID).payload["subject"] == PAID["subject"]
    for subject in ("100%", "a+b c", "%E4%B8%AD", "引号\"'", "行\n行"):
        assert read(PAID | {"subject": subject}).payload["subject"] == subject


def test_space_as_plus_or_percent_20_is_the_same_form():
    raw = alipay_form(PAID)
    assert b"+" in raw
    again = provider().parse_notice({}, raw.replace(b"+", b"%20"), clock.wire_now())
    assert again.kind == "payment"


def test_partial_refund_sends_success_again_and_is_no_payment():
    notice = read(PARTIAL)
    assert (notice.kind, notice.refund_state) == ("refund", "succeeded")
    assert (notice.out_refund_no, notice.refunded_total_fen) == ("RF1", 293)
    assert notice.amount_fen is None  # refund_fee is the running total of the trade
    assert notice.paid_at == datetime(2026, 11, 22, 1, 0, 0, 123000, tzinfo=UTC)


def test_full_refund_closes_the_trade_and_is_no_failure():
    notice = read(
        PARTIAL
        | {
            "trade_status": "TRADE_CLOSED",
            "refund_fee": "142.93",
            "gmt_close": "2026-11-22 09:00:00",
        }
    )
    assert (notice.kind, notice.refunded_total_fen) == ("refund", 14293)


def test_trade_that_ran_out_of_time_is_closed():
    unpaid = {k: v for k, v in PAID.items() if k != "gmt_payment"}
    notice = read(unpaid | {"trade_status": "TRADE_CLOSED", "gmt_close": "2026-11-21 10:15:00"})
    assert (notice.kind, notice.paid_at, notice.amount_fen) == ("closed", None, None)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"trade_status": "TRADE_FINISHED"}, "payment"),
        ({"trade_status": "WAIT_BUYER_PAY"}, "other"),
        ({"trade_status": "SOMETHING_NEW"}, "other"),
        ({"notify_type": "open_app_auth_notify"}, "other"),
        ({"refund_fee": "0.00"}, "payment"),
        ({"refund_fee": "0.10"}, "refund"),
    ],
)
def test_state_words(changes, kind):
    assert read(PAID | changes).kind == kind


def test_event_keys_keep_payment_refunds_and_closing_apart():
    events = [
        PAID,
        PARTIAL,
        PARTIAL | {"notify_id": PARTIAL["notify_id"][:-1] + "3", "out_biz_no": "RF2"},
        PARTIAL | {"out_biz_no": "RF2", "refund_fee": "5.00"},
        PAID | {"trade_status": "TRADE_FINISHED"},
    ]
    assert len({read(event).event_key for event in events}) == len(events)
    assert read(PAID).event_key == read(dict(reversed(PAID.items()))).event_key


def test_one_changed_character_fails():
    raw = alipay_form(PAID)
    assert reason_of(raw.replace(b"142.93", b"142.94")) == ("bad_signature", 401)
    assert reason_of(raw + b"&extra=1") == ("bad_signature", 401)
    assert reason_of(raw.replace(b"sign=", b"sign=A")) == ("bad_signature", 401)


@pytest.mark.parametrize("sign_type", ["RSA", "", "rsa2", "RSA2 "])
def test_only_rsa2(sign_type):
    pairs = dict(parse_qsl(alipay_form(PAID).decode(), keep_blank_values=True))
    assert reason_of(urlencode(pairs | {"sign_type": sign_type}).encode()) == (
        "bad_signature",
        401,
    )


def test_missing_signature_and_the_apps_own_key_fail():
    assert reason_of(urlencode(PAID | {"sign_type": "RSA2"}).encode()) == ("bad_signature", 401)
    own = alipay_form(PAID, key=key_pair("alipay app"))
    assert reason_of(own) == ("bad_signature", 401)


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"a=1&a=2", b"\xff=1", b"a=%FF", b"&".join([b"a=1"] * 300)],
)
def test_what_is_no_form_is_malformed(raw):
    assert reason_of(raw) == ("malformed", 400)


@pytest.mark.parametrize(
    "changes",
    [
        {"total_amount": "142.931"},
        {"total_amount": "1e2"},
        {"total_amount": ""},
        {"total_amount": "NaN"},
        {"out_trade_no": ""},
        {"trade_no": ""},
        {"gmt_payment": ""},
        {"gmt_payment": "soon"},
        {"notify_id": ""},
    ],
)
def test_payment_without_exact_facts_is_malformed(changes):
    assert reason_of(alipay_form(PAID | changes)) == ("malformed", 400)


def test_old_and_new_alipay_keys_verify_during_a_rotation():
    rotating = {"verifiers": [{"serial": "old", "public_key_pem": public_pem(key_pair("old"))}]}
    raw = alipay_form(PAID, key=key_pair("old"))
    assert provider(**rotating).parse_notice({}, raw, clock.wire_now()).kind == "payment"
    assert reason_of(raw) == ("bad_signature", 401)


def test_redelivery_a_day_later_is_still_believed():
    late = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
    assert provider().parse_notice({}, alipay_form(PAID), late).kind == "payment"


def test_answers_to_the_platform_are_exact():
    assert provider().ack() == (200, "text/plain", b"success")
    assert provider().nack() == (500, "text/plain", b"fail")
    assert provider().nack(BadNotice("bad_signature")) == (401, "text/plain", b"fail")


@pytest.mark.parametrize("spelling", [pkcs1, pkcs8])
@pytest.mark.parametrize("armour", [str, bare])
def test_private_key_in_any_spelling_signs_the_same(spelling, armour):
    ours = provider(private_key_pem=armour(spelling(key_pair("alipay app"))))
    url = ours.prepay(
        PrepayRequest(
            out_trade_no="JQ20261121000001",
            amount_fen=1,
            description="物业费",
            time_expire=datetime(2026, 11, 21, 3, 0, tzinfo=UTC),
            notify_url="https://pay.example.com/notify/alipay/2",
            method="wap",
        )
    ).params["pay_url"]
    assert quote_plus("JQ20261121000001") in url


@pytest.mark.parametrize(
    "changes",
    [
        {"private_key_pem": "AAAA"},
        {"alipay_public_key_pem": "not a key"},
        {"alipay_public_key_pem": public_pem(key_pair("alipay app"))},
        {"app_id": ""},
        {"seller_id": None},
    ],
)
def test_unusable_or_swapped_keys_are_refused_when_loaded(changes):
    with pytest.raises(ProviderError) as error:
        provider(**changes)
    assert (error.value.outcome, error.value.code) == ("refused", "BAD_CONFIG")


def test_channel_without_platform_is_refused():
    with pytest.raises(ProviderError) as error:
        provider_for(MerchantConfig(3, "现金", "cash", {}), NOWHERE)
    assert error.value.code == "UNKNOWN_CHANNEL"


def test_secrets_and_personal_data_stay_out_of_repr():
    shown = repr(alipay_merchant()) + repr(read(PAID))
    assert PAID["buyer_id"] not in shown
    assert bare(alipay_config()["private_key_pem"])[:40] not in shown
