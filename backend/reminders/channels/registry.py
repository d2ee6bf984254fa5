"""Which channels a company has, built once from what its operator registered.

The rest of the product asks for a channel by name and never learns the vendor. Vendor libraries
are imported when the first of their channels is built: the SMS library takes half a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from backend.reminders.channels.base import Channel


@dataclass(frozen=True)
class Bases:
    """Where the platforms are (settings WECHAT_API_BASE and SMS_ENDPOINT)."""

    wechat: str
    sms: str


def build_channels(
    *,
    apps: Sequence[Mapping[str, Any]],
    sms: Mapping[str, Any] | None,
    bases: Bases,
    redis: Redis | None,
    miniprogram_state: str = "formal",
) -> dict[str, Channel]:
    """Return name → channel for one company; absent what is not registered.

    apps: the dicts of `flask app add` (at most one of each kind is used, the first). sms: the
    dict of `flask sms add`. redis: for sharing WeChat tokens between processes; None works.
    Raises ValueError for a registration that cannot work.
    """
    by_kind: dict[str, Mapping[str, Any]] = {}
    for config in apps:
        by_kind.setdefault(str(config.get("kind")), config)
    channels: dict[str, Channel] = {}
    if by_kind:
        channels |= _wechat(by_kind, bases=bases, redis=redis, state=miniprogram_state)
    if sms is not None:
        channels["sms"] = _sms(sms, bases=bases)
    return channels


def _wechat(
    by_kind: Mapping[str, Mapping[str, Any]], *, bases: Bases, redis: Redis | None, state: str
) -> dict[str, Channel]:
    from backend.reminders.channels.wechat import SubscribeChannel, TemplateChannel
    from backend.reminders.channels.wechat_app import WechatApp

    apps = {kind: WechatApp.of(config) for kind, config in by_kind.items()}
    mini, official = apps.get("miniprogram"), apps.get("official_account")
    channels: dict[str, Channel] = {}
    if official:
        channels["wechat_template"] = TemplateChannel(
            app=official,
            api_base=bases.wechat,
            redis=redis,
            miniprogram_appid=mini.appid if mini else None,
        )
    if mini:
        channels["wechat_subscribe"] = SubscribeChannel(
            app=mini, api_base=bases.wechat, redis=redis, state=state
        )
    return channels


def _sms(config: Mapping[str, Any], *, bases: Bases) -> Channel:
    if config.get("vendor", "aliyun") != "aliyun":
        raise ValueError(f"no SMS vendor {config['vendor']!r}; known: aliyun")
    from backend.reminders.channels.sms import SmsChannel

    return SmsChannel(config=config, endpoint=bases.sms)
