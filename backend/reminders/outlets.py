"""A company's channels and whom they reach: resolved at the moment of sending, never earlier.

A phone may have changed since a message was planned (C22); only the liable party of the bills is
ever addressed (C21), on his own number or his own WeChat.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from flask import current_app
from redis import Redis
from sqlalchemy import text

from backend.db import db
from backend.estate import privacy
from backend.reminders import rules
from backend.reminders.channels.base import Channel, VendorTemplate
from backend.reminders.channels.registry import Bases, build_channels

_kept: dict[tuple[int, bytes], dict[str, Channel]] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Outlet:
    """One usable way to a person: channel, address (never logged), the approved template."""

    channel: Channel
    recipient: str
    template: VendorTemplate
    appid: str | None = None


def channels_of(company_id: int) -> dict[str, Channel]:
    """Return the company's channels, built once and rebuilt when a registration changes."""
    apps, sms = db.session.execute(_REGISTERED, {"c": company_id}).one()
    stored = [bytes(row) for row in apps or ()]
    mark = b"".join(row[:24] for row in stored) + (bytes(sms[:24]) if sms else b"")
    with _lock:
        channels = _kept.get((company_id, mark))
    if channels is None:
        channels = build_channels(
            apps=[privacy.decrypt_json(company_id, row) for row in stored],
            sms=privacy.decrypt_json(company_id, sms) if sms else None,
            bases=_bases(),
            redis=_redis(),
            miniprogram_state="formal",
        )
        with _lock:
            _kept[(company_id, mark)] = channels
    return channels


def _bases() -> Bases:
    settings = current_app.config["SETTINGS"]
    return Bases(wechat=settings.wechat_api_base, sms=settings.sms_endpoint)


def _redis() -> Redis | None:
    url = current_app.config["SETTINGS"].redis_url
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5) if url else None


_REGISTERED = text(
    "SELECT (SELECT array_agg(config_enc ORDER BY id) FROM wechat_app WHERE company_id = :c), "
    "(SELECT config_enc FROM sms_account WHERE company_id = :c ORDER BY id DESC LIMIT 1)"
)
_REACHABLE = text(
    """
    SELECT phone.value_enc AS mobile, o.appid, o.openid, o.following, a.kind,
           (SELECT g.granted - g.used FROM subscribe_grant g WHERE g.appid = o.appid
            AND g.openid = o.openid AND g.template_id = :template) AS grants
    FROM (SELECT (SELECT value_enc FROM contact_point WHERE party_id = :party AND kind = 'mobile'
                  AND state = 'valid' ORDER BY rank, id LIMIT 1)) AS phone(value_enc)
    LEFT JOIN (binding b JOIN owner_openid o ON o.account_id = b.account_id
               JOIN wechat_app a ON a.appid = o.appid)
           ON b.party_id = :party AND b.house_id = :house AND b.ended_at IS NULL
    ORDER BY b.bound_at DESC
    """
)
"""One row for each WeChat identity of the party at the house, or one without any."""


def outlet_for(
    *, company_id: int, house_id: int, party_id: int, event: str, tried: list[str]
) -> Outlet | None:
    """Return the best untried way to the party for an event: template → subscribe → SMS (C19)."""
    channels = channels_of(company_id)
    templates = {
        name: template
        for name, channel in channels.items()
        if (template := channel.template_for(event)) is not None
    }
    people = db.session.execute(
        _REACHABLE,
        {
            "party": party_id,
            "house": house_id,
            "template": templates[rules.SUBSCRIBE].id if rules.SUBSCRIBE in templates else "",
        },
    ).all()
    follower = next((p for p in people if p.kind == "official_account" and p.following), None)
    granted = next((p for p in people if p.kind == "miniprogram" and (p.grants or 0) > 0), None)
    mobile = people[0].mobile
    reach = rules.Reach(
        follows=follower is not None,
        grants=granted.grants if granted else 0,
        mobile=mobile is not None,
    )
    for name in rules.channel_plan(reach, available=templates, tried=tried):
        address = _address(name, follower, granted, company_id, mobile)
        return Outlet(channels[name], address[0], templates[name], address[1])
    return None


def _address(
    name: str, follower: Any, granted: Any, company_id: int, mobile: Any
) -> tuple[str, str | None]:
    if name == rules.TEMPLATE:
        return follower.openid, follower.appid
    if name == rules.SUBSCRIBE:
        return granted.openid, granted.appid
    return privacy.decrypt(company_id, mobile), None


def recipient_again(
    *, company_id: int, house_id: int, party_id: int, event: str, channel_name: str
) -> Outlet | None:
    """Return the way a message went, for asking the vendor about it."""
    others = [name for name in rules.CHANNEL_ORDER if name != channel_name]
    return outlet_for(
        company_id=company_id, house_id=house_id, party_id=party_id, event=event, tried=others
    )


def spend_grant(*, appid: str, openid: str, template_id: str) -> None:
    """Count one subscription message as sent."""
    db.session.execute(
        text(
            "UPDATE subscribe_grant SET used = used + 1 WHERE appid = :a AND openid = :o "
            "AND template_id = :t AND used < granted"
        ),
        {"a": appid, "o": openid, "t": template_id},
    )


def void_grants(*, appid: str, openid: str, template_id: str) -> None:
    """43101: the platform says there is no accept left; our counter follows it (C19)."""
    db.session.execute(
        text(
            "UPDATE subscribe_grant SET used = granted WHERE appid = :a AND openid = :o "
            "AND template_id = :t"
        ),
        {"a": appid, "o": openid, "t": template_id},
    )


def unfollow(*, appid: str, openid: str) -> None:
    """43004: not following any more."""
    db.session.execute(
        text("UPDATE owner_openid SET following = false WHERE appid = :a AND openid = :o"),
        {"a": appid, "o": openid},
    )
