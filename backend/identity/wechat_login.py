"""Who is holding the phone: WeChat's login code, and the phone number the owner lets us have.

Both codes are single-use and short-lived. They are called by plain requests: the message client
would add an access token to the login, and a fault of the token would then lock everybody out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import structlog

from backend.errors import Refusal

log = structlog.get_logger(__name__)

# errcode → (our code, http, Chinese reason, what to do)
_LOGIN_CODES = {
    "40029": ("wechat_code_invalid", 401, "登录凭证无效或已用过。", "请重新打开小程序登录。"),
    "40163": ("wechat_code_used", 401, "登录凭证已用过。", "请重新打开小程序登录。"),
    "41008": ("wechat_code_missing", 422, "缺少登录凭证。", "请重新打开小程序登录。"),
    "45011": ("wechat_busy", 429, "登录太频繁。", "请一分钟后再试。"),
    "40226": ("wechat_blocked", 403, "该微信账号被微信限制登录。", "请联系物业服务中心办理。"),
    "1400001": ("wechat_phone_quota", 503, "手机号快速验证暂不可用。", "请改用短信验证码绑定。"),
}  # fmt: skip


@dataclass(frozen=True)
class WechatIdentity:
    """openid is of this app; unionid joins the apps of one company, None if not linked."""

    openid: str
    unionid: str | None


class TokenRefused(Exception):
    """The platform refused our access token; the caller may get another one and try once more."""


def code_to_session(
    app: Mapping[str, Any], js_code: str, *, api_base: str, timeout: float = 5.0
) -> WechatIdentity:
    """Exchange a `wx.login` code for the owner's ids (`sns/jscode2session`).

    app: the mini-program's app file dict (appid, secret). The session key is not kept: nothing
    here needs it. Raises Refusal `wechat_code_invalid` (401), `wechat_code_used`, `wechat_busy`,
    `wechat_blocked`, `wechat_unavailable` (503).
    """
    if not js_code or len(js_code) > 128:
        raise _refusal("41008")
    answer = _call(
        "get",
        f"{api_base}/sns/jscode2session",
        timeout=timeout,
        params={
            "appid": app["appid"],
            "secret": app["secret"],
            "js_code": js_code,
            "grant_type": "authorization_code",
        },
    )
    if not answer.get("openid"):
        raise _refusal(str(answer.get("errcode", "?")))
    return WechatIdentity(openid=answer["openid"], unionid=answer.get("unionid") or None)


def phone_number(
    app: Mapping[str, Any], code: str, token: str, *, api_base: str, timeout: float = 5.0
) -> str:
    """Exchange a phone code for the owner's mainland mobile number (11 digits).

    token: the app's access token (`TokenProvider.get`). A code is good once, for 5 minutes.
    Raises TokenRefused, and Refusal `wechat_code_invalid`, `wechat_phone_foreign` (a number
    outside the mainland cannot be matched with the roster), `wechat_phone_quota`,
    `wechat_unavailable`.
    """
    if not code or len(code) > 256:
        raise _refusal("41008")
    answer = _call(
        "post",
        f"{api_base}/wxa/business/getuserphonenumber",
        timeout=timeout,
        params={"access_token": token},
        json={"code": code},
    )
    errcode = str(answer.get("errcode", "?"))
    if errcode in ("40001", "40014", "42001"):
        raise TokenRefused(errcode)
    info = answer.get("phone_info")
    if errcode != "0" or not isinstance(info, dict):
        raise _refusal(errcode)
    if str(info.get("countryCode", "86")) != "86" or not info.get("purePhoneNumber"):
        raise Refusal(
            "wechat_phone_foreign",
            message_zh="该微信绑定的不是中国大陆手机号，无法与业主资料核对。",
            http=422,
            what_to_do="请改用短信验证码或房号绑定。",
        )
    return str(info["purePhoneNumber"])


def _call(method: str, url: str, *, timeout: float, **kwargs: Any) -> dict[str, Any]:
    """Call and return the JSON object. The URL carries the secret, so errors are not chained."""
    try:
        response = requests.request(method, url, timeout=timeout, **kwargs)
        answer = response.json()
    except (requests.RequestException, ValueError) as error:
        log.warning("wechat_login_unreachable", error=type(error).__name__)
        raise _unavailable() from None
    if not isinstance(answer, dict):
        raise _unavailable()
    return answer


def _refusal(errcode: str) -> Refusal:
    known = _LOGIN_CODES.get(errcode)
    if known is None:
        log.warning("wechat_login_refused", code=errcode)
        return _unavailable()
    code, http, message_zh, what_to_do = known
    return Refusal(code, message_zh=message_zh, http=http, what_to_do=what_to_do)


def _unavailable() -> Refusal:
    return Refusal(
        "wechat_unavailable",
        message="WeChat login is not available",
        message_zh="微信登录暂时不可用。",
        http=503,
        what_to_do="请稍后重试；急需缴费可用网页快捷缴费。",
    )
