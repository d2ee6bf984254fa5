"""What a WeChat Pay callback must survive: tampering, age, rotation, probes, wrong keys."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from backend import clock
from backend.payments.providers import keys
from backend.payments.providers.base import BadNotice, MerchantConfig, ProviderError
from backend.payments.providers.registry import provider_for
from backend.payments.providers.wechatpay_account import load_account
from tests.contracts.provider_support import (
    CALLBACK_NOW,
    SERIAL,
    bare,
    java_keys,
    key_pair,
    pkcs1,
    pkcs8,
    public_pem,
    vectors,
    wechat_callback,
    wechat_config,
    wechat_merchant,
    wechat_signature_headers,
)

GENUINE = vectors("wechat")["gen-callback-transaction-success"]
BODY = GENUINE["body"].encode()
NOWHERE = {"wechatpay_api_base": "http://127.0.0.1:9"}  # any call out would fail


def provider(**changes):
    return provider_for(wechat_merchant(**changes), NOWHERE)


def reason_of(headers, body=BODY, now=CALLBACK_NOW, **changes):
    with pytest.raises(BadNotice) as bad:
        provider(**changes).parse_notice(headers, body, now)
    return bad.value.reason, bad.value.http


def signed(body, now=CALLBACK_NOW, **how):
    return wechat_signature_headers(body, now=now, **how)


def payment(**changes):
    content = json.loads(GENUINE["decrypted"]) | changes
    return wechat_callback(content, event_type="TRANSACTION.SUCCESS")


def test_reserialised_body_fails():
    rewritten = json.dumps(json.loads(BODY)).encode()
    assert reason_of(GENUINE["headers"], rewritten) == ("bad_signature", 401)


@pytest.mark.parametrize("name", ["Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Timestamp"])
def test_each_header_is_part_of_the_proof(name):
    changed = GENUINE["headers"] | {name: GENUINE["headers"][name][:-1] + "1"}
    assert reason_of(changed) == ("bad_signature", 401)
    missing = {key: value for key, value in GENUINE["headers"].items() if key != name}
    assert reason_of(missing) == ("bad_signature", 401)


def test_header_names_are_compared_without_case():
    lowered = {name.lower(): value for name, value in GENUINE["headers"].items()}
    assert provider().parse_notice(lowered, BODY, CALLBACK_NOW).kind == "payment"


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_five_minutes_in_both_directions(seconds, accepted):
    now = CALLBACK_NOW + timedelta(seconds=seconds)
    if accepted:
        assert provider().parse_notice(GENUINE["headers"], BODY, now).kind == "payment"
    else:
        assert reason_of(GENUINE["headers"], now=now) == ("stale", 401)


def test_day_old_genuine_callback_is_stale():
    now = CALLBACK_NOW + timedelta(hours=24)
    assert reason_of(GENUINE["headers"], now=now) == ("stale", 401)


@pytest.mark.parametrize("serial", ["", "PUB_KEY_ID_OTHER", "5DEA10EF55877E3C", "zz", SERIAL + "0"])
def test_foreign_serial_is_refused_before_anything_and_without_network(serial):
    headers = GENUINE["headers"] | {"Wechatpay-Serial": serial}
    assert reason_of(headers, b"not even JSON") == ("wrong_serial", 401)


@pytest.mark.parametrize("tail", ["", "Ab3=", "not base64 at all \u4e2d", "x" * 400])
def test_signature_probe_is_told_apart_and_refused(tail):
    headers = GENUINE["headers"] | {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + tail}
    assert reason_of(headers) == ("probe", 401)


def test_unknown_signature_type_is_refused_and_a_missing_one_accepted():
    sm2 = GENUINE["headers"] | {"Wechatpay-Signature-Type": "WECHATPAY2-SM2-WITH-SM3"}
    assert reason_of(sm2) == ("bad_signature", 401)
    without = {k: v for k, v in GENUINE["headers"].items() if k != "Wechatpay-Signature-Type"}
    assert provider().parse_notice(without, BODY, CALLBACK_NOW).kind == "payment"


def test_wrong_key_under_the_right_serial_is_refused():
    assert reason_of(signed(BODY, key=key_pair("stranger"))) == ("bad_signature", 401)


def test_stale_api_v3_key_answers_500_so_that_the_platform_repeats():
    old = "0123456789abcdef0123456789abcdef"
    assert reason_of(GENUINE["headers"], apiv3_key=old) == ("undecryptable", 500)
    answer = provider().nack(BadNotice("undecryptable"))
    assert answer == (500, "application/json", '{"code": "FAIL", "message": "失败"}'.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"ciphertext": "***"},
        {"ciphertext": None},
        {"nonce": ""},
        {"algorithm": "AEAD_SM4_GCM"},
        {"associated_data": "changed"},
    ],
)
def test_damaged_resource_is_undecryptable(change):
    envelope = json.loads(BODY)
    envelope["resource"] |= change
    body = json.dumps(envelope).encode()
    assert reason_of(signed(body), body) == ("undecryptable", 500)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"resource_type": 1}'])
def test_signed_nonsense_is_malformed(body):
    assert reason_of(signed(body), body) == ("malformed", 400)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"total": 1.0, "currency": "CNY"}},
        {"amount": {"total": "100", "currency": "CNY"}},
        {"amount": {"total": True, "currency": "CNY"}},
        {"amount": None},
        {"transaction_id": ""},
        {"out_trade_no": None},
        {"success_time": "2026-11-21T10:00:00"},
        {"success_time": "yesterday"},
    ],
)
def test_payment_without_exact_facts_is_malformed(change):
    body = payment(**change)
    assert reason_of(signed(body), body) == ("malformed", 400)


def test_coupon_lowers_what_the_payer_paid_but_not_what_the_order_was():
    body = payment(amount={"total": 12345, "payer_total": 12000, "currency": "CNY"})
    assert provider().parse_notice(signed(body), body, CALLBACK_NOW).amount_fen == 12345


def test_success_event_with_another_state_is_not_a_payment():
    body = payment(trade_state="NOTPAY")
    assert provider().parse_notice(signed(body), body, CALLBACK_NOW).kind == "other"


def test_unknown_event_is_kept_as_other():
    body = wechat_callback({"mchid": "1"}, event_type="PAYSCORE.USER_OPEN_SERVICE")
    notice = provider().parse_notice(signed(body), body, CALLBACK_NOW)
    assert (notice.kind, notice.event_type, notice.out_trade_no) == (
        "other",
        "PAYSCORE.USER_OPEN_SERVICE",
        None,
    )


@pytest.mark.parametrize(
    ("status", "word"),
    [("SUCCESS", "succeeded"), ("ABNORMAL", "abnormal"), ("CLOSED", "closed"), ("NEW", "unknown")],
)
def test_refund_events_are_told_apart_by_status(status, word):
    content = json.loads(vectors("wechat")["gen-callback-refund-success"]["decrypted"])
    body = wechat_callback(content | {"refund_status": status}, event_type=f"REFUND.{status}")
    notice = provider().parse_notice(signed(body), body, CALLBACK_NOW)
    assert (notice.kind, notice.refund_state, notice.amount_fen) == ("refund", word, 999)


def test_redelivery_has_the_same_key_and_another_event_another_one():
    first, again = (
        provider().parse_notice(signed(body := payment(), now=at), body, at)
        for at in (CALLBACK_NOW, CALLBACK_NOW + timedelta(hours=3))
    )
    assert first.event_key == again.event_key == "EV-1"


def test_both_keys_verify_while_a_merchant_switches():
    old = key_pair("old platform certificate")
    config = {"verifiers": [{"serial": "00ab12", "public_key_pem": public_pem(old)}]}
    switching = provider(**config)
    for headers in (signed(BODY), signed(BODY, key=old, serial="AB12")):
        assert switching.parse_notice(headers, BODY, CALLBACK_NOW).kind == "payment"
    crossed = signed(BODY, key=old, serial=SERIAL)
    assert reason_of(crossed, **config) == ("bad_signature", 401)
    assert reason_of(signed(BODY, key=old, serial="AB12")) == ("wrong_serial", 401)


def test_service_provider_names_are_folded():
    content = json.loads(GENUINE["decrypted"])
    for name in ("appid", "mchid"):
        content[f"sp_{name}"] = content.pop(name)
    content |= {"sub_mchid": "1900000109", "payer": {"sp_openid": "o-1"}}
    body = wechat_callback(content, event_type="TRANSACTION.SUCCESS")
    notice = provider(sub_mchid="1900000109").parse_notice(signed(body), body, CALLBACK_NOW)
    assert notice.payer == "o-1"
    assert notice.merchant_ids == {
        "appid": "wxd678efh567hg6787",
        "mchid": "1234567891",
        "sub_mchid": "1900000109",
    }


@pytest.mark.parametrize("spelling", [pkcs1, pkcs8])
@pytest.mark.parametrize("armour", [str, bare])
def test_private_key_in_any_spelling(spelling, armour):
    key = key_pair("merchant")
    account = load_account(wechat_merchant(private_key_pem=armour(spelling(key))))
    assert account.private_key.private_numbers() == key.private_numbers()
    assert keys.pkcs8_pem(account.private_key) == pkcs8(key)


@pytest.mark.parametrize(
    "changes",
    [
        {"apiv3_key": "short"},
        {"apiv3_key": None},
        {"private_key_pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"},
        {"private_key_pem": ""},
        {"public_key_pem": "garbage!"},
        {"public_key_id": None},
        {"mchid": " "},
        {"verifiers": [{"serial": "1"}]},
        {"verifiers": [{"certificate_pem": "AAAA"}]},
    ],
)
def test_unusable_keys_are_refused_when_loaded_and_never_repeated(changes):
    with pytest.raises(ProviderError) as error:
        provider(**changes)
    assert (error.value.outcome, error.value.code) == ("refused", "BAD_CONFIG")
    assert java_keys()["api_v3_key"] not in str(error.value)
    assert "PRIVATE KEY" not in str(error.value)


def test_certificate_mode_loads_without_any_network():
    config = wechat_config(
        verifiers=[{"certificate_pem": java_keys()["wechatpay_certificate_pem"]}]
    )
    del config["public_key_id"], config["public_key_pem"]
    ready = provider_for(MerchantConfig(7, "证书模式", "wechatpay", config), NOWHERE)
    serial = java_keys()["wechatpay_certificate_serial"]
    headers = signed(BODY, serial=serial)
    assert ready.parse_notice(headers, BODY, CALLBACK_NOW).kind == "payment"


def test_secrets_stay_out_of_repr():
    merchant = wechat_merchant()
    account = load_account(merchant)
    for secret in (java_keys()["api_v3_key"], "BEGIN PRIVATE KEY"):
        assert secret not in repr(merchant) + repr(account)


def test_answers_to_the_platform():
    assert provider().ack()[0] == 200
    assert provider().nack(BadNotice("bad_signature"))[0] == 401
    assert provider().nack()[0] == 500


def test_verification_reads_the_clock_it_is_given():
    body, now = payment(), clock.wire_now()
    assert provider().parse_notice(signed(body, now=now), body, now).kind == "payment"
