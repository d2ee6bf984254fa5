"""An Alipay app's keys, checked once when they are loaded (key mode, RSA2).

The classic failure is the app's own public key where Alipay's belongs: that is refused here,
because with it nothing Alipay says would ever verify.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from backend.payments.providers import keys
from backend.payments.providers.base import MerchantConfig, ProviderError


@dataclass(frozen=True)
class Account:
    """What signing and verifying need. Alipay names no serial: every key in `platform` (the
    current one first, then one kept during a rotation) is tried."""

    app_id: str
    seller_id: str
    private_key: RSAPrivateKey = field(repr=False)
    private_key_text: str = field(repr=False)
    platform: tuple[RSAPublicKey, ...] = field(repr=False)

    def verifies(self, message: bytes, signature: str) -> bool:
        """Tell whether the message carries an RSA2 signature of Alipay."""
        return any(keys.verify(key, message, signature) for key in self.platform)


def load_account(merchant: MerchantConfig) -> Account:
    """Check and load an `alipay` merchant dict. Raises ProviderError(refused, BAD_CONFIG)."""
    config = merchant.config
    try:
        private_text = _text(config, "private_key_pem")
        private = keys.private_key(private_text)
        platform = [keys.public_key(_text(config, "alipay_public_key_pem"))]
        for verifier in config.get("verifiers") or ():
            platform.append(keys.public_key(_text(verifier, "public_key_pem")))
        own = private.public_key().public_numbers()
        if any(key.public_numbers() == own for key in platform):
            raise ValueError("alipay_public_key_pem is the app's own key, not Alipay's")
        return Account(
            app_id=_text(config, "app_id"),
            seller_id=_text(config, "seller_id"),
            private_key=private,
            private_key_text=private_text,
            platform=tuple(platform),
        )
    except ValueError as error:
        raise ProviderError(
            "refused", "BAD_CONFIG", reason="config", detail=f"{merchant.name}: {error}"
        ) from error


def _text(config: dict, name: str) -> str:
    value = config.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is missing")
    return value.strip()
