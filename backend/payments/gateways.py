"""From a merchant row to its provider: decrypted once, one client kept per merchant."""

from __future__ import annotations

import threading
from typing import Any

from flask import current_app

from backend.db import db
from backend.errors import Refusal
from backend.estate import privacy
from backend.payments.models import Merchant
from backend.payments.providers.base import MerchantConfig, Provider
from backend.payments.providers.registry import provider_for

_providers: dict[tuple[int, bytes], Provider] = {}
_lock = threading.Lock()


def provider_of(merchant: Merchant) -> Provider:
    """Return the (cached) provider of a merchant; a changed config makes a new one."""
    key = (merchant.id, bytes(merchant.config_enc[:24]))
    with _lock:
        provider = _providers.get(key)
        if provider is None:
            provider = provider_for(config_of(merchant), bases())
            _providers[key] = provider
    return provider


def config_of(merchant: Merchant) -> MerchantConfig:
    """Return the decrypted account of a merchant."""
    config = privacy.decrypt_json(merchant.company_id, merchant.config_enc)
    return MerchantConfig(
        id=merchant.id, name=merchant.name, channel=merchant.channel, config=config
    )


def bases() -> dict[str, Any]:
    """Return the platforms' base addresses, named as in the settings."""
    settings = current_app.config["SETTINGS"]
    return {
        "wechatpay_api_base": settings.wechatpay_api_base,
        "alipay_gateway": settings.alipay_gateway,
    }


def merchant_named(name: str, channel: str) -> Merchant | None:
    """Return the merchant a callback path names, None if there is none of that channel."""
    return db.session.scalar(
        db.select(Merchant).where(Merchant.name == name, Merchant.channel == channel)
    )


def merchant_for(*, payee_id: int, channel: str) -> Merchant:
    """Return the active merchant of a payee. Raises Refusal `E-C55` if it has none (C55)."""
    merchant = db.session.scalar(
        db.select(Merchant)
        .where(
            Merchant.payee_id == payee_id, Merchant.channel == channel, Merchant.active.is_(True)
        )
        .order_by(Merchant.id.desc())
        .limit(1)
    )
    if merchant is None:
        raise Refusal(
            "E-C55",
            message="no merchant account of this payee for the channel",
            message_zh="收款单位尚未开通该支付方式，已拒绝发起支付。",
            what_to_do="请换一种支付方式，或联系物业服务中心。",
        )
    return merchant
