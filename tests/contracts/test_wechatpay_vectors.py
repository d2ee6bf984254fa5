"""WeChat Pay's published vectors against our signer, verifier, decryption and statement reader.

Not applicable, and therefore not asserted (WeChat Pay v2 is not implemented on purpose: no XML
payments, see docs): `v2-sign-doc-example`, `v2-notify-sample-xml`, `v2-unifiedorder-sample-xml`,
`v2-refund-req_info-plaintext`, `aes-256-ecb-php`, `gen-v2-refund-req_info` (MD5/HMAC signatures,
XML and AES-ECB of v2); `java-rsa-oaep` (field encryption towards the platform, which none of our
calls uses); `fundflow-bill-doc` (the fund-flow statement; we read the trade statement).
`test_every_vector_is_accounted_for` keeps this list complete.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from backend.payments.providers import keys, wechatpay_bill
from backend.payments.providers.base import BadNotice, MerchantConfig, ProviderError
from backend.payments.providers.wechatpay_account import load_account, normal_serial
from backend.payments.providers.wechatpay_notice import check_signature, decrypt_resource, parse
from backend.payments.providers.wechatpay_wire import pay_sign, request_message
from tests.contracts.provider_support import (
    CALLBACK_NOW,
    SERIAL,
    java_keys,
    vectors,
    wechat_config,
    wechat_merchant,
)

WECHAT = MappingProxyType(vectors("wechat"))
APPLIED = {
    "tradebill-ALL-csv",
    "v3-request-sign-official",
    "v3-paysign-jsapi-miniprogram-official",
    "v3-paysign-app-official",
    "java-keys",
    "java-rsa-sign",
    "java-aes-256-gcm",
    "java-certificates-download",
    "go-notify-full-callback",
    "go-rsa-sign",
    "go-aes-gcm",
    "gen-callback-transaction-success",
    "gen-callback-refund-success",
}
NOT_APPLICABLE = {
    "v2-sign-doc-example",
    "v2-notify-sample-xml",
    "v2-unifiedorder-sample-xml",
    "v2-refund-req_info-plaintext",
    "aes-256-ecb-php",
    "gen-v2-refund-req_info",
    "java-rsa-oaep",
    "fundflow-bill-doc",
}


def official_key():
    return keys.private_key(WECHAT["v3-request-sign-official"]["private_key_pem"])


def test_every_vector_is_accounted_for():
    assert set(WECHAT) == APPLIED | NOT_APPLICABLE
    assert not APPLIED & NOT_APPLICABLE


def test_official_request_signature_is_reproduced_byte_for_byte():
    vector = WECHAT["v3-request-sign-official"]
    message = request_message(
        vector["method"], vector["path"], vector["timestamp"], vector["nonce"], vector["body"]
    )
    assert message == vector["message"].encode()
    assert keys.sign(official_key(), message) == vector["signature_b64"]


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("v3-paysign-jsapi-miniprogram-official", "prepay_id=wx201410272009395522657a690389285100"),
        ("v3-paysign-app-official", "wx201410272009395522657a690389285100"),
    ],
)
def test_official_pay_sheet_signature_is_reproduced_byte_for_byte(name, package):
    signature = pay_sign(
        official_key(),
        "wx2421b1c4370ec43b",
        "1554208460",
        "593BEC0C930BF1AFEB40B4A08C8FB242",
        package,
    )
    assert signature == WECHAT[name]["signature_b64"]


@pytest.mark.parametrize(
    ("name", "pem"),
    [
        ("java-rsa-sign", WECHAT["java-keys"]["merchant_private_key_pem"]),
        ("go-rsa-sign", WECHAT["go-rsa-sign"]["private_key_pem"]),
    ],
)
def test_plain_signatures_of_the_official_clients(name, pem):
    vector, key = WECHAT[name], keys.private_key(pem)
    assert keys.sign(key, vector["message"].encode()) == vector["signature_b64"]
    assert keys.verify(key.public_key(), vector["message"].encode(), vector["signature_b64"])
    assert not keys.verify(key.public_key(), b"other", vector["signature_b64"])


@pytest.mark.parametrize("name", ["java-aes-256-gcm", "java-certificates-download", "go-aes-gcm"])
def test_sealed_resources_open(name):
    vector = WECHAT[name]
    opened = decrypt_resource(
        vector["api_v3_key"].encode(),
        {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": vector["nonce"],
            "associated_data": vector["associated_data"],
            "ciphertext": vector["ciphertext_b64"],
        },
    )
    expected = vector.get("plaintext") or vector["plaintext_certificate_pem"]
    assert opened.decode().strip() == expected.strip()


def test_downloaded_certificate_gives_its_own_serial():
    vector = WECHAT["java-certificates-download"]
    serial, _key = keys.certificate(vector["plaintext_certificate_pem"])
    assert normal_serial(serial) == normal_serial(vector["serial_no"])


def test_key_material_of_one_account_belongs_together():
    material = java_keys()
    merchant = keys.private_key(material["merchant_private_key_pem"])
    for prefix, private in (
        ("merchant", merchant),
        ("wechatpay", keys.private_key(material["wechatpay_private_key_pem"])),
    ):
        serial, public = keys.certificate(material[f"{prefix}_certificate_pem"])
        assert serial == material[f"{prefix}_certificate_serial"]
        assert public.public_numbers() == private.public_key().public_numbers()
    published = keys.public_key(material["wechatpay_public_key_pem"])
    assert published.public_numbers() == public.public_numbers()


def test_official_go_callback_verifies_without_a_signature_type_header():
    vector = WECHAT["go-notify-full-callback"]
    serial, key = keys.certificate(vector["wechatpay_certificate_pem"])
    assert serial == vector["headers"]["Wechatpay-Serial"]
    assert "Wechatpay-Signature-Type" not in vector["headers"]
    now = datetime.fromtimestamp(1624523846, UTC)
    platform, body = {normal_serial(serial): key}, vector["body"].encode()
    check_signature(platform, vector["headers"], body, now)
    opened = decrypt_resource(vector["api_v3_key"].encode(), json.loads(body)["resource"])
    assert json.loads(opened) == json.loads(vector["decrypted"])
    with pytest.raises(BadNotice) as bad:
        check_signature(platform, vector["headers"], body + b" ", now)
    assert (bad.value.reason, bad.value.http) == ("bad_signature", 401)


def test_sixteen_byte_key_is_refused_when_the_merchant_is_loaded():
    with pytest.raises(ProviderError) as error:
        load_account(wechat_merchant(apiv3_key=WECHAT["go-notify-full-callback"]["api_v3_key"]))
    assert (error.value.code, error.value.reason) == ("BAD_CONFIG", "config")


def test_payment_callback_of_an_independent_implementation():
    vector = WECHAT["gen-callback-transaction-success"]
    account = load_account(wechat_merchant())
    notice = parse(account, vector["headers"], vector["body"].encode(), CALLBACK_NOW)
    assert notice.kind == "payment"
    assert notice.event_key == "EV-2018022511223320873"
    assert notice.out_trade_no == "1217752501201407033233368018"
    assert notice.channel_txn == "1217752501201407033233368018"
    assert (notice.amount_fen, notice.currency) == (100, "CNY")
    assert notice.paid_at == datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    assert notice.payer == "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
    assert notice.merchant_ids == {"appid": "wxd678efh567hg6787", "mchid": "1234567891"}
    assert notice.payload["attach"] == "自定义数据"


def test_refund_callback_of_an_independent_implementation_with_empty_associated_data():
    vector = WECHAT["gen-callback-refund-success"]
    account = load_account(wechat_merchant())
    notice = parse(account, vector["headers"], vector["body"].encode(), CALLBACK_NOW)
    assert (notice.kind, notice.refund_state) == ("refund", "succeeded")
    assert notice.out_trade_no == "20150806125346"
    assert notice.out_refund_no == "7752501201407033233368018"
    assert notice.channel_txn == "1008450740201411110005820873"
    assert notice.amount_fen == 999
    assert notice.paid_at == datetime(2018, 6, 8, 2, 34, 56, tzinfo=UTC)


def test_callback_verifies_with_the_platform_certificate_too():
    vector, material = WECHAT["gen-callback-transaction-success"], java_keys()
    config = wechat_config(
        verifiers=[{"serial": SERIAL, "certificate_pem": material["wechatpay_certificate_pem"]}]
    )
    del config["public_key_id"], config["public_key_pem"]
    account = load_account(MerchantConfig(1, "证书模式", "wechatpay", config))
    notice = parse(account, vector["headers"], vector["body"].encode(), CALLBACK_NOW)
    assert notice.kind == "payment"


def test_statement_of_real_rows():
    vector = WECHAT["tradebill-ALL-csv"]
    content = "\r\n".join([",".join(vector["header"]), vector["first_row"], *vector["tail"]])
    (row,) = wechatpay_bill.parse(b"\xef\xbb\xbf" + content.encode())
    assert row.kind == "refund"
    assert row.out_trade_no == "autotest_20190216081946_82335"
    assert row.channel_txn == "4200000263201902167700134212"
    assert row.out_refund_no == "REF4200000263201902167700963919"
    assert row.channel_refund_no == "50000709672019011908420787722"
    assert (row.amount_fen, row.fee_millifen, row.state) == (1, 0, "SUCCESS")
    assert row.at == datetime(2019, 2, 18, 21, 1, 46, tzinfo=UTC)
    assert wechatpay_bill.split_row(vector["tail"][1])[0] == "45.0"
