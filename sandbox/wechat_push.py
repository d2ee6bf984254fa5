"""WeChat's message push to the app's server, in the encrypted "safe mode" XML form."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import struct
import time
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from . import keys
from .web import Sandbox


def signature(*parts: str) -> str:
    """SHA-1 over the sorted parts: WeChat's signature and msg_signature."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def encrypt(app: dict, xml: str) -> str:
    """AES-256-CBC of random(16) + length + xml + appid, padded to 32, base64."""
    key = base64.b64decode(app["aes_key"] + "=")
    body = xml.encode()
    plain = os.urandom(16) + struct.pack(">I", len(body)) + body + app["appid"].encode()
    pad = 32 - len(plain) % 32
    plain += bytes([pad]) * pad
    maker = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(maker.update(plain) + maker.finalize()).decode()


def sign_push(box: Sandbox, row: dict, *, kind: str) -> tuple[str, dict, str]:
    """URL, headers and body of one attempt."""
    app = box.book.get("apps", row["about"]["app"])
    sealed, stamp, nonce = encrypt(app, row["body"]), str(int(time.time())), box.book.number(9)
    proof = signature(app["token"], stamp, nonce, sealed)
    if kind == "spoiled":
        proof = proof[::-1]
    query = urlencode({
        "signature": signature(app["token"], stamp, nonce), "timestamp": stamp, "nonce": nonce,
        "openid": row["about"]["openid"], "encrypt_type": "aes", "msg_signature": proof,
    })  # fmt: skip
    body = (
        f"<xml><ToUserName><![CDATA[{app['original_id']}]]></ToUserName>"
        f"<Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
    )
    url = row["url"] + ("&" if "?" in row["url"] else "?") + query
    return url, {"Content-Type": "text/xml"}, body


def accepts(status: int, answer: bytes) -> bool:
    return status == 200 and answer.strip() in (b"", b"success")


def event(box: Sandbox, app: dict, openid: str, name: str, inner: str) -> None:
    """Queue one event push; nothing is sent for an app without a push URL."""
    xml = (
        f"<xml><ToUserName><![CDATA[{app['original_id']}]]></ToUserName>"
        f"<FromUserName><![CDATA[{openid}]]></FromUserName><CreateTime>{int(time.time())}"
        f"</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{name}]]></Event>"
        f"{inner}</xml>"
    )
    box.notifier.send(
        point="wechat.push", ladder="wechat", url=app["push_url"], body=xml, channel="wechat",
        app=app["name"], event=name, openid=openid,
    )  # fmt: skip


def followed(box: Sandbox, app: dict, person: dict, now: bool) -> None:
    """The person follows (or stops following) the official account."""
    openid = box.book.openid(app["appid"], person["id"])
    inner = "<EventKey><![CDATA[]]></EventKey>"
    event(box, app, openid, "subscribe" if now else "unsubscribe", inner)


def granted(box: Sandbox, app: dict, person: dict, template: str, result: str) -> None:
    """The person answered the one-time subscription question."""
    openid = box.book.openid(app["appid"], person["id"])
    inner = (
        "<SubscribeMsgPopupEvent><List>"
        f"<TemplateId><![CDATA[{template}]]></TemplateId>"
        f"<SubscribeStatusString><![CDATA[{result}]]></SubscribeStatusString>"
        "<PopupScene>0</PopupScene></List></SubscribeMsgPopupEvent>"
    )
    event(box, app, openid, "subscribe_msg_popup_event", inner)


def template_done(box: Sandbox, app: dict, openid: str, msgid: int, status: str) -> None:
    """What became of a template message: success, or a failure text."""
    inner = f"<MsgID>{msgid}</MsgID><Status><![CDATA[{status}]]></Status>"
    event(box, app, openid, "TEMPLATESENDJOBFINISH", inner)


def subscribe_sent(box: Sandbox, app: dict, openid: str, template: str, msgid: int) -> None:
    """What became of a subscribe message."""
    inner = (
        "<SubscribeMsgSentEvent><List>"
        f"<TemplateId><![CDATA[{template}]]></TemplateId><MsgID>{msgid}</MsgID>"
        "<ErrorCode>0</ErrorCode><ErrorStatus><![CDATA[success]]></ErrorStatus>"
        "</List></SubscribeMsgSentEvent>"
    )
    event(box, app, openid, "subscribe_msg_sent_event", inner)


def verify_url(app: dict) -> bool:
    """What the WeChat console does when a push URL is saved: GET it, expect echostr back."""
    stamp, nonce, echo = str(int(time.time())), keys.token(10), keys.token(19)
    query = urlencode({
        "signature": signature(app["token"], stamp, nonce), "timestamp": stamp, "nonce": nonce,
        "echostr": echo,
    })  # fmt: skip
    parts = urlsplit(app["push_url"])
    link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    try:
        link.request("GET", f"{parts.path}?{query}")
        answer = link.getresponse()
        return answer.status == 200 and answer.read(200).decode() == echo
    except OSError:
        return False
    finally:
        link.close()
