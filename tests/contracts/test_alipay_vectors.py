"""Alipay's published vectors against our signer, form verifier and answer scanner.

Not applicable: the three `cert_sn_*` vectors (serial numbers of certificate mode; apps here run
in key mode, which covers every payment call). `java_rsa` is an SHA-1 signature: it is genuine,
and our verifier must refuse it, since only RSA2 is accepted.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from urllib.parse import urlencode

import pytest

from backend.payments.providers import keys
from backend.payments.providers.alipay_account import Account
from backend.payments.providers.alipay_notice import check_signature, parse, string_to_sign
from backend.payments.providers.alipay_transport import top_level
from backend.payments.providers.base import BadNotice
from tests.contracts.provider_support import key_pair, pkcs8, vectors

ALIPAY = MappingProxyType(vectors("alipay"))
FORMS = [v for v in ALIPAY.values() if v["kind"] == "notify_verify"]
EXTRACTS = [v for v in ALIPAY.values() if v["kind"] == "response_extract"]
SIGNATURES = [v for v in ALIPAY.values() if v["kind"] == "sign"]
NOT_APPLICABLE = {name for name in ALIPAY if name.startswith("cert_sn_")}


def by_id(vector):
    return vector["id"]


def account_trusting(public_key):
    private = pkcs8(key_pair("alipay app"))
    return Account(
        app_id="any",
        seller_id="any",
        private_key=keys.private_key(private),
        private_key_text=private,
        platform=(keys.public_key(public_key),),
    )


def test_every_vector_is_accounted_for():
    applied = [*FORMS, *EXTRACTS, *SIGNATURES, ALIPAY["node_response_sync"]]
    assert {by_id(vector) for vector in applied} | NOT_APPLICABLE == set(ALIPAY)
    assert len(NOT_APPLICABLE) == 3


@pytest.mark.parametrize("vector", FORMS, ids=by_id)
def test_form_signatures(vector):
    form, account = vector["params"], account_trusting(vector["public_key"])
    keep = vector["sign_type_in_content"]
    assert string_to_sign(form, keep_sign_type=keep) == vector["content"].encode()
    if vector["expect"] and vector["alg"] == "RSA2":
        check_signature(account, form, keep_sign_type=keep)
        return
    with pytest.raises(BadNotice) as bad:
        check_signature(account, form, keep_sign_type=keep)
    assert (bad.value.reason, bad.value.http) == ("bad_signature", 401)


def test_sha1_signature_is_refused_even_under_the_name_rsa2():
    vector = ALIPAY["java_rsa"]
    account = account_trusting(vector["public_key"])
    assert not account.verifies(vector["content"].encode(), vector["sign"])
    with pytest.raises(BadNotice):
        check_signature(account, vector["params"] | {"sign_type": "RSA2"}, keep_sign_type=True)


def test_real_trade_notice_is_read_from_its_raw_form():
    vector = ALIPAY["node_trade_notify_v1_0"]
    raw = urlencode(vector["params"]).encode()
    notice = parse(account_trusting(vector["public_key"]), raw)
    assert notice.kind == "payment"
    assert notice.out_trade_no == "20190815155618536-564-57"
    assert notice.channel_txn == "2019081522001468450512505578"
    assert (notice.amount_fen, notice.currency) == (10, "CNY")
    assert notice.merchant_ids == {
        "app_id": "2019073166072302",
        "seller_id": "2088531891668739",
    }
    assert notice.paid_at.isoformat() == "2019-08-15T07:56:24+00:00"
    assert notice.payload["subject"] == "语雀空间 500人规模"


@pytest.mark.parametrize("vector", SIGNATURES, ids=by_id)
def test_signatures_are_reproduced_byte_for_byte(vector):
    private = keys.private_key(vector["private_key_pkcs8"])
    assert keys.sign(private, vector["content"].encode()) == vector["sign"]
    public = keys.public_key(vector["public_key"])
    assert keys.verify(public, vector["content"].encode(), vector["sign"])


def test_signed_answer_of_the_real_gateway():
    vector = ALIPAY["node_response_sync"]
    members = top_level(vector["raw_response"])
    node = members["alipay_open_file_upload_response"]
    assert node == vector["content"]
    account = account_trusting(vector["public_key"])
    assert account.verifies(node.encode(), json.loads(members["sign"]))
    assert not account.verifies(node.replace("Success", "success").encode(), vector["sign"])


@pytest.mark.parametrize("vector", EXTRACTS, ids=by_id)
def test_answer_text_is_cut_out_exactly(vector):
    assert top_level(vector["raw_response"])[vector["node"]] == vector["expect_content"]
