"""A WeChat Pay merchant's keys, checked once when they are loaded.

A wrong key must fail when the merchant is added, not at the first callback: the APIv3 key is 32
bytes, the private key is RSA, and there is at least one platform key to believe. During a
switch from platform certificate to public key, callbacks arrive signed by either at random, so
all keys are held side by side and chosen by serial (facts of the platform, public-key mode).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from backend.payments.providers import keys
from backend.payments.providers.base import MerchantConfig, ProviderError

APIV3_KEY_BYTES = 32


@dataclass(frozen=True)
class Account:
    """What signing, verifying and decrypting need. `platform` maps serial -> public key;
    `main_serial` is the one named in requests. `sub_mchid` set means service-provider mode."""

    mchid: str
    appid: str
    cert_serial: str
    private_key: RSAPrivateKey = field(repr=False)
    apiv3_key: bytes = field(repr=False)
    platform: dict[str, RSAPublicKey] = field(repr=False)
    main_serial: str
    sub_mchid: str | None = None


def load_account(merchant: MerchantConfig) -> Account:
    """Check and load a `wechatpay` merchant dict. Raises ProviderError(refused, BAD_CONFIG)."""
    config = merchant.config
    try:
        platform = _platform_keys(config)
        return Account(
            mchid=_text(config, "mchid"),
            appid=_text(config, "appid"),
            cert_serial=_text(config, "cert_serial"),
            private_key=keys.private_key(_text(config, "private_key_pem")),
            apiv3_key=_apiv3_key(_text(config, "apiv3_key")),
            platform=platform,
            main_serial=next(iter(platform)),
            sub_mchid=config.get("sub_mchid") or None,
        )
    except ValueError as error:
        raise ProviderError(
            "refused", "BAD_CONFIG", reason="config", detail=f"{merchant.name}: {error}"
        ) from error


def normal_serial(serial: str) -> str:
    """Return a serial as dict key: certificate serials are hex of any case and zero padding."""
    if serial.startswith("PUB_KEY_ID_"):
        return serial
    return serial.upper().lstrip("0")


def _platform_keys(config: dict) -> dict[str, RSAPublicKey]:
    found: dict[str, RSAPublicKey] = {}
    if config.get("public_key_id"):
        found[normal_serial(config["public_key_id"])] = keys.public_key(
            _text(config, "public_key_pem")
        )
    for verifier in config.get("verifiers") or ():
        serial, key = _verifier(verifier)
        found.setdefault(normal_serial(serial), key)
    if not found:
        raise ValueError("public_key_id with public_key_pem, or verifiers, must be given")
    return found


def _verifier(verifier: dict) -> tuple[str, RSAPublicKey]:
    if verifier.get("certificate_pem"):
        serial, key = keys.certificate(verifier["certificate_pem"])
        return verifier.get("serial") or serial, key
    return _text(verifier, "serial"), keys.public_key(_text(verifier, "public_key_pem"))


def _apiv3_key(text: str) -> bytes:
    key = text.encode()
    if len(key) != APIV3_KEY_BYTES:
        raise ValueError(f"apiv3_key must be {APIV3_KEY_BYTES} bytes")
    return key


def _text(config: dict, name: str) -> str:
    value = config.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is missing")
    return value.strip()
