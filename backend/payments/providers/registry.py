"""Which provider speaks for a merchant account; the only place that knows the platforms' names.

A provider holds loaded keys and is kept while its configuration stays the same; a rotated key
makes a new one on the next call, so no process needs a restart.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping

from backend.payments.providers.base import MerchantConfig, Provider, ProviderError

_BASES = {"wechatpay": "wechatpay_api_base", "alipay": "alipay_gateway"}

_lock = threading.Lock()
_kept: dict[tuple[int, str], tuple[str, Provider]] = {}


def provider_for(merchant: MerchantConfig, settings_bases: Mapping[str, str]) -> Provider:
    """Return the provider of a merchant account; calling it also validates the account's keys.

    settings_bases: {"wechatpay_api_base": …, "alipay_gateway": …}, named as in `Settings`.
    Raises ProviderError(refused): BAD_CONFIG for unusable keys, UNKNOWN_CHANNEL for a channel
    without a platform (see `offline`).
    """
    base = _base(merchant, settings_bases)
    identity = _identity(merchant, base)
    key = (merchant.id, merchant.channel)
    with _lock:
        known = _kept.get(key)
    if known and known[0] == identity:
        return known[1]
    provider = _build(merchant, base)
    with _lock:
        _kept[key] = (identity, provider)
    return provider


def _base(merchant: MerchantConfig, settings_bases: Mapping[str, str]) -> str:
    name = _BASES.get(merchant.channel)
    if name is None:
        raise ProviderError("refused", "UNKNOWN_CHANNEL", reason="config", detail=merchant.channel)
    return settings_bases[name]


def _build(merchant: MerchantConfig, base: str) -> Provider:
    """Import the platform's module only where it is used: each brings a large library."""
    if merchant.channel == "wechatpay":
        from backend.payments.providers.wechatpay import WechatPayProvider

        return WechatPayProvider(merchant, base)
    from backend.payments.providers.alipay import AlipayProvider

    return AlipayProvider(merchant, base)


def _identity(merchant: MerchantConfig, base: str) -> str:
    text = json.dumps([merchant.name, base, merchant.config], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
