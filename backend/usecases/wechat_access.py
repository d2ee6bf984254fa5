"""Calls to WeChat that need an app's access token: the owner's phone number, a follower's unionid.

The token comes from the shared provider; a token the platform refuses is replaced once.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import TypeVar

import requests
from flask import current_app
from redis import Redis

from backend.errors import Refusal
from backend.identity import wechat_login
from backend.identity.queries import App
from backend.identity.wechat_login import TokenRefused
from backend.reminders.channels.attempt import NotSent
from backend.reminders.channels.wechat_app import WechatApp
from backend.reminders.channels.wechat_token import TokenProvider
from backend.telemetry import log

T = TypeVar("T")
_providers: dict[tuple[str, str], TokenProvider] = {}
_lock = threading.Lock()


def phone_number(app: App, code: str) -> str:
    """Return the mobile number behind a phone code. Raises Refusal (see identity.wechat_login)."""
    base = current_app.config["SETTINGS"].wechat_api_base
    return _with_token(
        app, lambda token: wechat_login.phone_number(app.config, code, token, api_base=base)
    )


def unionid_of_follower(app: App, openid: str) -> str | None:
    """Ask who a follower is across the company's apps; None when WeChat does not say.

    Only the service account's own user interface knows: a follow event carries just the openid.
    """
    base = current_app.config["SETTINGS"].wechat_api_base

    def ask(token: str) -> str | None:
        answer = requests.get(
            f"{base}/cgi-bin/user/info",
            params={"access_token": token, "openid": openid, "lang": "zh_CN"},
            timeout=3,
        ).json()
        if str(answer.get("errcode", "0")) in ("40001", "40014", "42001"):
            raise TokenRefused(str(answer["errcode"]))
        return answer.get("unionid") or None

    try:
        return _with_token(app, ask)
    except (requests.RequestException, ValueError, Refusal) as error:
        log.warning("follower_unknown", app=app.name, error=type(error).__name__)
        return None


def _with_token(app: App, call: Callable[[str], T]) -> T:
    provider = _provider(app)
    try:
        token = provider.get()
        try:
            return call(token)
        except TokenRefused:
            return call(provider.replace(token))
    except (NotSent, TokenRefused) as error:
        log.warning("wechat_token_unavailable", app=app.name, error=type(error).__name__)
        raise Refusal(
            "wechat_unavailable",
            message="no access token to be had",
            message_zh="微信接口暂时不可用。",
            http=503,
            what_to_do="请稍后重试，或改用房号绑定。",
        ) from None


def _provider(app: App) -> TokenProvider:
    secret = hashlib.sha256(str(app.config.get("secret")).encode()).hexdigest()
    settings = current_app.config["SETTINGS"]
    key = (app.appid, secret + settings.wechat_api_base)
    with _lock:
        if key not in _providers:
            url = settings.redis_url
            redis = url and Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
            _providers[key] = TokenProvider(
                app=WechatApp.of(app.config),
                redis=redis or None,
                api_base=settings.wechat_api_base,
            )
        return _providers[key]
