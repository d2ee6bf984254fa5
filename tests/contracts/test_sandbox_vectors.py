"""The sandbox's own signing and encrypting against the platforms' published vectors."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from wechatpy.crypto import WeChatCrypto

from sandbox import keys, wechat_fields, wechat_push
from sandbox.wechatpay_wire import encrypt
from tests.contracts.sandbox_kit import vectors


def test_request_signatures_are_the_official_ones() -> None:
    known = vectors("wechat")
    first = known["v3-request-sign-official"]
    for name in ("v3-request-sign-official", "v3-paysign-jsapi-miniprogram-official"):
        message = known[name]["message"].encode()
        assert keys.sign(first["private_key_pem"], message) == known[name]["signature_b64"]


@pytest.mark.parametrize(
    "name", ["gen-callback-transaction-success", "gen-callback-refund-success"]
)
def test_a_callback_by_another_implementation_verifies(name: str) -> None:
    known = vectors("wechat")
    heads, body = known[name]["headers"], known[name]["body"]
    text = f"{heads['Wechatpay-Timestamp']}\n{heads['Wechatpay-Nonce']}\n{body}\n"
    public = known["java-keys"]["wechatpay_public_key_pem"]
    assert keys.verify(public, text.encode(), heads["Wechatpay-Signature"])
    assert not keys.verify(public, text.encode() + b" ", heads["Wechatpay-Signature"])
    assert not keys.verify(public, text.encode(), keys.spoil(heads["Wechatpay-Signature"]))
    assert not keys.verify(public, text.encode(), "WECHATPAY/SIGNTEST/abc")


def test_encryption_opens_with_plain_aes_gcm() -> None:
    key = vectors("wechat")["java-keys"]["api_v3_key"]
    sealed = encrypt({"apiv3_key": key}, '{"状态":"成功"}', "transaction")
    opened = AESGCM(key.encode()).decrypt(
        sealed["nonce"].encode(), base64.b64decode(sealed["ciphertext"]), b"transaction"
    )
    assert opened.decode() == '{"状态":"成功"}'


@pytest.mark.parametrize(
    "name", ["java_rsa2_test_key_leftpad5000", "java_rsa2_test_key_sorted_params"]
)
def test_alipay_signatures_are_the_official_ones(name: str) -> None:
    row = vectors("alipay")[name]
    pem = f"-----BEGIN PRIVATE KEY-----\n{row['private_key_pkcs8']}\n-----END PRIVATE KEY-----\n"
    assert keys.sign(pem, row["content"].encode()) == row["sign"]


def test_wechatpy_reads_our_pushes() -> None:
    app = {"aes_key": keys.token(43), "appid": "wx0123456789abcdef", "token": "t0ken"}
    for length in range(0, 33):  # every padding length
        sealed = wechat_push.encrypt(app, "<xml>好" + "x" * length + "</xml>")
        proof = wechat_push.signature(app["token"], "1795226400", "42", sealed)
        opened = WeChatCrypto(app["token"], app["aes_key"], app["appid"]).decrypt_message(
            f"<xml><Encrypt>{sealed}</Encrypt></xml>", proof, "1795226400", "42"
        )
        assert opened == "<xml>好" + "x" * length + "</xml>"


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("thing1", "一" * 20, "一" * 21),
        ("amount2", "¥12.30", "十二元"),
        ("amount2", "1234567890元", "12345678901"),
        ("date3", "2026年11月21日", "11-21"),
        ("time4", "2019年10月1日 15:01", "later"),
        ("character_string5", "1-1-101", "一栋"),
        ("character_string5", "x" * 32, "x" * 33),
        ("phrase6", "待缴费", "请尽快缴纳"[:5] + "吧"),
        ("name7", "张女士", "一" * 11),
        ("phone_number8", "0755-1234567", "1" * 18),
        ("number9", "3", "三"),
        ("thing1", "x", ""),
    ],
)
def test_template_fields_have_wechats_types(key: str, good: str, bad: str) -> None:
    assert wechat_fields.problem(key, good) is None
    assert wechat_fields.problem(key, bad) is not None
