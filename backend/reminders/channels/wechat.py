"""WeChat as a way to reach an owner: service-account template, mini-program subscribe message.

Both are one JSON call with an access token. wechatpy carries the call; the token is ours, its
endless retry is off, and every call has a deadline. A template message bears our own id as
`client_msg_id`, so the platform drops a repetition; a subscribe message has no such key, so a
doubt about it stays a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import requests
from redis import Redis
from wechatpy.client import WeChatClient
from wechatpy.exceptions import WeChatClientException

from backend.reminders.channels.base import (
    Attempt,
    Channel,
    NotSent,
    VendorRefusal,
    VendorTemplate,
    Verdict,
)
from backend.reminders.channels.wechat_app import WechatApp
from backend.reminders.channels.wechat_fields import BadField, fit_all
from backend.reminders.channels.wechat_token import TokenProvider

_TOKEN_CODES = frozenset({"40001", "40014", "42001"})

# errcode → what it means for this message. Only codes about the *recipient* lead to the next
# channel; codes about the set-up stop, because every other message would fail the same way.
_COMMON_CODES: dict[str, Verdict] = {
    "-1": Verdict("refused", "retry", "微信系统繁忙，稍后重试。"),
    "40001": Verdict("refused", "retry", "access_token 失效，已换新仍被拒。"),
    "40014": Verdict("refused", "retry", "access_token 不合法，已换新仍被拒。"),
    "42001": Verdict("refused", "retry", "access_token 过期，已换新仍被拒。"),
    "45009": Verdict("refused", "retry", "接口当日调用次数已用完。"),
    "45011": Verdict("refused", "retry", "接口调用太频繁。"),
    "40003": Verdict("refused", "next_channel", "openid 无效或不属于该应用。"),
    "40037": Verdict("refused", "stop", "模板编号无效，请检查应用的模板配置。"),
    "41028": Verdict("refused", "stop", "表单参数无效，请联系技术人员。"),
    "47003": Verdict("refused", "stop", "模板字段不符合微信要求，请联系技术人员。"),
    "48001": Verdict("refused", "stop", "应用没有该接口权限。"),
    "40164": Verdict("refused", "stop", "服务器 IP 不在公众平台白名单。"),
    "50001": Verdict("refused", "stop", "应用没有该接口权限。"),
    "50002": Verdict("refused", "next_channel", "该微信用户受限。"),
}


class _Client(WeChatClient):
    """wechatpy bound to our base address; our token goes in as a parameter of each call."""

    def __init__(self, *, app: WechatApp, api_base: str) -> None:
        self.API_BASE_URL = f"{api_base}/cgi-bin/"
        super().__init__(app.appid, app.secret, timeout=2, auto_retry=False)
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=8, max_retries=0)
        self._http.mount("https://", adapter)
        self._http.mount("http://", adapter)

    def fetch_access_token(self) -> None:
        """Refuse: a token fetched here would fight the shared one."""
        raise RuntimeError("the token is passed with each call")


class WechatChannel(Channel):
    """What both kinds of message share; see `Channel` for the interface."""

    endpoint: ClassVar[str]
    kind: ClassVar[str]
    codes: ClassVar[Mapping[str, Verdict]] = _COMMON_CODES

    def __init__(
        self, *, app: WechatApp, api_base: str, redis: Redis | None, tokens: TokenProvider | None
    ) -> None:
        if app.kind != self.kind:
            raise ValueError(f"{self.name} needs an app of kind {self.kind}")
        self.app = app
        self._tokens = tokens or TokenProvider(app=app, redis=redis, api_base=api_base)
        self._client = _Client(app=app, api_base=api_base)

    def template_for(
        self, event: str, *, page: str | None = None, url: str | None = None
    ) -> VendorTemplate | None:
        found = self.app.fields_of(event)
        return VendorTemplate(found[0], found[1], page=page, url=url) if found else None

    def body(
        self,
        *,
        recipient: str,
        template: VendorTemplate,
        data: dict[str, dict[str, str]],
        out_id: str,
    ) -> dict[str, Any]:
        """Return the request of this kind of message."""
        raise NotImplementedError

    def deliver(
        self,
        *,
        recipient: str,
        template: VendorTemplate,
        data: Mapping[str, str],
        out_id: str,
        attempt: Attempt,
    ) -> str | None:
        try:
            fields = fit_all(data, template.fields)
        except BadField as error:
            raise NotSent("bad_field", f"模板字段不合要求：{error}", next="stop") from None
        body = self.body(recipient=recipient, template=template, data=fields, out_id=out_id)
        token = self._tokens.get(timeout=attempt.seconds_left)
        try:
            return self._post(body, token, attempt)
        except VendorRefusal as refusal:
            if refusal.code not in _TOKEN_CODES:
                raise
        # Once only: a platform that keeps refusing tokens must not be asked without end.
        attempt.take_back()
        return self._post(body, self._tokens.replace(token, timeout=attempt.seconds_left), attempt)

    def _post(self, body: dict[str, Any], token: str, attempt: Attempt) -> str | None:
        attempt.begin_write()
        try:
            answer = self._client.post(
                self.endpoint,
                data=body,
                params={"access_token": token},
                timeout=attempt.seconds_left,
            )
        except WeChatClientException as error:
            if error.errcode is None:
                raise VendorRefusal(f"http_{error.response.status_code}") from None
            raise VendorRefusal(str(error.errcode)) from None
        if not isinstance(answer, dict) or answer.get("errcode") != 0:
            raise ValueError("not an answer of the message interface")
        return str(answer["msgid"]) if answer.get("msgid") else None


class TemplateChannel(WechatChannel):
    """Service-account template message to a follower (S24, C74: the first channel).

    A tap opens the mini-program page if one is linked (`miniprogram_appid`), else the url.
    Delivery is reported later by TEMPLATESENDJOBFINISH, matched on the returned msgid.
    """

    name = "wechat_template"
    kind = "official_account"
    endpoint = "message/template/send"
    resend_is_safe = True
    codes: ClassVar[Mapping[str, Verdict]] = _COMMON_CODES | {
        "43004": Verdict("refused", "next_channel", "业主未关注服务号。"),
        "43101": Verdict("refused", "next_channel", "业主拒绝接收消息。"),
        "43116": Verdict("refused", "next_channel", "业主已屏蔽该模板消息。"),
        "43117": Verdict("refused", "next_channel", "对该用户发送过于频繁，被微信限制。"),
        "43119": Verdict("refused", "next_channel", "业主已拒收该模板消息。"),
    }

    def __init__(
        self,
        *,
        app: WechatApp,
        api_base: str,
        redis: Redis | None = None,
        tokens: TokenProvider | None = None,
        miniprogram_appid: str | None = None,
    ) -> None:
        super().__init__(app=app, api_base=api_base, redis=redis, tokens=tokens)
        self._miniprogram_appid = miniprogram_appid

    def body(
        self,
        *,
        recipient: str,
        template: VendorTemplate,
        data: dict[str, dict[str, str]],
        out_id: str,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "touser": recipient,
            "template_id": template.id,
            "client_msg_id": out_id,
            "data": data,
        }
        if template.url:
            body["url"] = template.url
        if self._miniprogram_appid and template.page:
            body["miniprogram"] = {"appid": self._miniprogram_appid, "pagepath": template.page}
        return body


class SubscribeChannel(WechatChannel):
    """Mini-program one-time subscribe message: one accept of the owner, one message (C19).

    The platform has no balance to read: the caller keeps the count of grants and sets it to zero
    on 43101.
    """

    name = "wechat_subscribe"
    kind = "miniprogram"
    endpoint = "message/subscribe/send"
    codes: ClassVar[Mapping[str, Verdict]] = _COMMON_CODES | {
        "43101": Verdict(
            "refused", "next_channel", "用户未授权该订阅消息，改用下一渠道（E-C19）。"
        ),
        "41030": Verdict("refused", "stop", "小程序线上版本没有该页面，请检查版本。"),
        "43117": Verdict("refused", "next_channel", "对该用户发送过于频繁，被微信限制。"),
    }

    def __init__(
        self,
        *,
        app: WechatApp,
        api_base: str,
        redis: Redis | None = None,
        tokens: TokenProvider | None = None,
        state: str = "formal",
    ) -> None:
        super().__init__(app=app, api_base=api_base, redis=redis, tokens=tokens)
        self._state = state

    def body(
        self,
        *,
        recipient: str,
        template: VendorTemplate,
        data: dict[str, dict[str, str]],
        out_id: str,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "touser": recipient,
            "template_id": template.id,
            "data": data,
            "miniprogram_state": self._state,
            "lang": "zh_CN",
        }
        if template.page:
            body["page"] = template.page
        return body
