"""What WeChat tells us by itself: follows, delivery results, subscription choices.

The platform posts to one address per app. In safe mode the body is encrypted and its signature
covers it; in plain mode the signature covers only a timestamp, so a plain body is believed only
for an app that has no key. The platform repeats a push it thinks lost: `key` is the same then.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import xmltodict
from wechatpy.crypto import WeChatCrypto

from backend.reminders.channels.wechat_app import WechatApp

_MAX_BODY = 64 * 1024


class BadPush(Exception):
    """Not from the platform, or not readable; answer `http` and do nothing."""

    def __init__(self, reason: str, *, http: int = 401) -> None:
        super().__init__(reason)
        self.reason = reason
        self.http = http


@dataclass(frozen=True)
class PushEvent:
    """One thing that happened.

    kind: `follow` · `unfollow` · `template_result` (service account: delivered or why not) ·
        `subscribe_choice` (accepted adds a grant for template_id, otherwise its grants are void) ·
        `subscribe_result` (mini-program: delivered or why not) · `other`.
    key: the same for a repetition of the same push. openid: in the app that received the push.
    msg_id: the vendor_id of the message a result speaks of. code: the platform's status text.
    """

    kind: str
    key: str
    openid: str
    at: datetime
    template_id: str | None = None
    accepted: bool | None = None
    msg_id: str | None = None
    delivered: bool | None = None
    code: str = ""


@dataclass(frozen=True)
class Push:
    """A verified push: events to apply, or for the address check the text to echo."""

    events: tuple[PushEvent, ...] = field(default=())
    echostr: str | None = None

    @property
    def reply(self) -> str:
        """The body to answer with (text/plain)."""
        return self.echostr if self.echostr is not None else "success"


def parse_push(
    config: Mapping[str, Any], query: Mapping[str, str], body: bytes, *, now: datetime | None = None
) -> Push:
    """Verify and read a push of `/notify/wechat/<app>` (GET address check or POST).

    config: the app file's dict. query: the URL's parameters. now: the wire clock; when given, a
    push signed more than 10 minutes away from it is refused. Raises BadPush.
    """
    app = WechatApp.of(config)
    if not app.token:
        raise BadPush("no_token")
    _check_age(query.get("timestamp", ""), now)
    if "echostr" in query and not body:
        _check_signature(app, query, given="signature")
        return Push(echostr=query["echostr"])
    if len(body) > _MAX_BODY:
        raise BadPush("too_large", http=413)
    message = _open(app, query, _read(body))
    return Push(events=tuple(_events(message)))


def _check_age(timestamp: str, now: datetime | None) -> None:
    if not timestamp.isascii() or not timestamp.isdigit():
        raise BadPush("bad_timestamp")
    if now is not None and abs(now.timestamp() - int(timestamp)) > 600:
        raise BadPush("stale")


def _check_signature(
    app: WechatApp, query: Mapping[str, str], *, given: str, signed: tuple[str, ...] = ()
) -> None:
    parts = sorted([app.token, query.get("timestamp", ""), query.get("nonce", ""), *signed])
    expected = hashlib.sha1("".join(parts).encode()).hexdigest()
    if not hmac.compare_digest(expected.encode(), query.get(given, "").encode()):
        raise BadPush("bad_signature")


def _open(app: WechatApp, query: Mapping[str, str], outer: dict[str, Any]) -> dict[str, Any]:
    """Return the inner message: decrypted in safe mode, as it is in plain mode."""
    if app.aes_key is None:
        _check_signature(app, query, given="signature")
        return outer
    encrypted = outer.get("Encrypt")
    if not isinstance(encrypted, str):
        raise BadPush("not_encrypted")  # a plain body would bypass the signature over it
    _check_signature(app, query, given="msg_signature", signed=(encrypted,))
    crypto = WeChatCrypto(app.token, app.aes_key, app.appid)
    try:
        inner = crypto.decrypt_message(
            outer, query["msg_signature"], query["timestamp"], query.get("nonce", "")
        )
    except Exception:  # another appid, and whatever the library lets through: padding, struct
        raise BadPush("undecryptable") from None
    return _read(inner if isinstance(inner, bytes) else inner.encode())


def _read(body: bytes) -> dict[str, Any]:
    """Read XML or JSON, whichever the account is set to."""
    try:
        text = body.decode("utf-8").strip()
        if text.startswith("{"):
            message = json.loads(text)
        else:
            message = xmltodict.parse(text, disable_entities=True).get("xml")
    except Exception:  # hostile XML raises expat, value and recursion errors
        raise BadPush("malformed", http=400) from None
    if not isinstance(message, dict):
        raise BadPush("malformed", http=400)
    return message


def _events(message: dict[str, Any]) -> list[PushEvent]:
    name = str(message.get("Event") or "").lower()
    if name in _LISTS:
        return [_choice(message, name, item) for item in _items(message, _LISTS[name])]
    if name == "templatesendjobfinish":
        status = str(message.get("Status") or "")
        return [
            _event(
                message,
                "template_result",
                msg_id=str(message.get("MsgID") or message.get("MsgId") or ""),
                delivered=status == "success",
                code=status,
            )
        ]
    return [_event(message, _SIMPLE.get(name, "other"), code=name)]


_SIMPLE = {"subscribe": "follow", "unsubscribe": "unfollow"}
_LISTS = {
    "subscribe_msg_popup_event": "SubscribeMsgPopupEvent",
    "subscribe_msg_change_event": "SubscribeMsgChangeEvent",
    "subscribe_msg_sent_event": "SubscribeMsgSentEvent",
}


def _items(message: dict[str, Any], wrapper: str) -> list[dict[str, Any]]:
    """Return the list of a subscription event: wrapped in XML, bare in JSON, one or many."""
    holder = message.get(wrapper) or message
    items = holder.get("List") if isinstance(holder, dict) else None
    items = items if isinstance(items, list) else [items]
    return [item for item in items if isinstance(item, dict)]


def _choice(message: dict[str, Any], name: str, item: dict[str, Any]) -> PushEvent:
    template = str(item.get("TemplateId") or "")
    if name == "subscribe_msg_sent_event":
        error = str(item.get("ErrorCode") or "0")
        return _event(
            message,
            "subscribe_result",
            template_id=template,
            msg_id=str(item.get("MsgID") or item.get("MsgId") or ""),
            delivered=error == "0",
            code=str(item.get("ErrorStatus") or error),
        )
    status = str(item.get("SubscribeStatusString") or "")
    return _event(
        message,
        "subscribe_choice",
        template_id=template,
        accepted=status == "accept",
        code=status,
    )


def _event(message: dict[str, Any], kind: str, **more: Any) -> PushEvent:
    openid = str(message.get("FromUserName") or "")
    stamp = str(message.get("CreateTime") or "0")
    parts = [kind, openid, stamp, more.get("template_id") or "", more.get("msg_id") or ""]
    return PushEvent(
        kind=kind,
        key=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32],
        openid=openid,
        at=datetime.fromtimestamp(int(stamp) if stamp.isdigit() else 0, UTC),
        **more,
    )
