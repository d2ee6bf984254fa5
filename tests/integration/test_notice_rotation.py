"""What a process remembers of a merchant never outlives the merchant's configuration."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import text

from backend.db import db
from backend.estate import privacy
from backend.payments import inbox
from backend.payments.models import Merchant
from tests.factories.estate import Estate, make_bill, make_estate
from tests.integration.test_payment_loop import hand_over, make_merchant, open_order


@pytest.fixture
def estate(ctx, sandbox) -> Estate:
    sandbox.reset()
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="loop-mini")
    return make_estate()


def paid_order(estate: Estate, sandbox, home: int) -> str:
    number, _ = open_order(estate, sandbox, [make_bill(estate, estate.homes[home])])
    sandbox.post("/_sandbox/pay", out_trade_no=number)
    return number


def stored() -> list[str]:
    numbers = list(db.session.scalars(text("SELECT out_trade_no FROM inbox ORDER BY id")))
    db.session.rollback()
    return numbers


def change_config(name: str, **changes: object) -> dict:
    """Store the merchant's configuration with changes; return what it was."""
    merchant = db.session.scalar(db.select(Merchant).where(Merchant.name == name))
    before = privacy.decrypt_json(merchant.company_id, merchant.config_enc)
    merchant.config_enc = privacy.encrypt_json(merchant.company_id, before | changes)
    db.session.commit()
    return before


def strangers_key() -> str:
    key = rsa.generate_private_key(65537, 2048).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_platform_key_taken_away_is_not_believed_once_more(estate, sandbox):
    merchant = make_merchant(estate, sandbox)
    first, second = paid_order(estate, sandbox, 0), paid_order(estate, sandbox, 1)
    assert hand_over(sandbox, merchant, "wechatpay", first) == 200
    assert inbox.remembered(merchant, "wechatpay") is not None

    before = change_config(merchant, public_key_pem=strangers_key())
    assert hand_over(sandbox, merchant, "wechatpay", second) == 401
    assert stored() == [first]

    change_config(merchant, **before)
    assert hand_over(sandbox, merchant, "wechatpay", second) == 200
    assert stored() == [first, second]


def test_a_merchant_that_is_gone_is_unknown(estate, sandbox):
    merchant = make_merchant(estate, sandbox)
    first, second = paid_order(estate, sandbox, 0), paid_order(estate, sandbox, 1)
    assert hand_over(sandbox, merchant, "wechatpay", first) == 200

    row = db.session.scalar(db.select(Merchant).where(Merchant.name == merchant))
    row.name = f"{merchant}-closed"
    db.session.commit()
    assert hand_over(sandbox, merchant, "wechatpay", second) == 404
    assert inbox.remembered(merchant, "wechatpay") is None
    assert stored() == [first]


def test_a_notice_for_another_of_our_accounts_is_stored_and_quarantined_at_once(estate, sandbox):
    merchant = make_merchant(estate, sandbox)
    first, second = paid_order(estate, sandbox, 0), paid_order(estate, sandbox, 1)
    assert hand_over(sandbox, merchant, "wechatpay", first) == 200

    change_config(merchant, mchid="1900009999")
    assert hand_over(sandbox, merchant, "wechatpay", second) == 500
    judged = db.session.execute(
        text("SELECT out_trade_no, state, reason FROM check_v1.inbox WHERE state <> 'received'")
    ).all()
    assert [tuple(row) for row in judged] == [(second, "quarantined", "mchid_mismatch")]
