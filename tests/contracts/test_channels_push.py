"""WeChat message push: what the sandbox sends is read, anything else is refused."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest
from wechatpy.crypto import WeChatCrypto

from backend.reminders.channels.wechat_push import BadPush, Push, parse_push

CONFIG = {
    "name": "oa", "kind": "official_account", "appid": "wx1234567890abcdef", "secret": "s",
    "token": "push-token", "aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
}  # fmt: skip
PLAIN = CONFIG | {"aes_key": None}
NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))


def sign(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def plain_query(**more: str) -> dict[str, str]:
    signature = sign(CONFIG["token"], STAMP, "nonce")
    return {"timestamp": STAMP, "nonce": "nonce", "signature": signature} | more


def sealed(inner: str, config: dict = CONFIG) -> tuple[dict[str, str], bytes]:
    """A safe-mode push made by the platform's published algorithm (wechatpy's own sealing)."""
    crypto = WeChatCrypto(config["token"], config["aes_key"], config["appid"])
    xml = crypto.encrypt_message(inner, "nonce", STAMP)
    signature = xml.split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    return plain_query(msg_signature=signature, encrypt_type="aes"), xml.encode()


def event(name: str, inner: str = "", openid: str = "o-1") -> str:
    return (
        f"<xml><FromUserName>{openid}</FromUserName><CreateTime>{STAMP}</CreateTime>"
        f"<MsgType>event</MsgType><Event>{name}</Event>{inner}</xml>"
    )


def only(push: Push):
    [found] = push.events
    return found


def test_the_address_check_is_echoed_only_for_the_right_signature():
    push = parse_push(CONFIG, plain_query(echostr="123"), b"", now=NOW)
    assert (push.reply, push.events) == ("123", ())
    with pytest.raises(BadPush) as refused:
        parse_push(CONFIG, plain_query(echostr="123", signature="0" * 40), b"", now=NOW)
    assert (refused.value.reason, refused.value.http) == ("bad_signature", 401)


@pytest.mark.parametrize(("name", "kind"), [("subscribe", "follow"), ("unsubscribe", "unfollow")])
def test_following_and_leaving_are_told_apart(name, kind):
    found = only(parse_push(CONFIG, *sealed(event(name)), now=NOW))
    assert (found.kind, found.openid, found.at) == (kind, "o-1", NOW)


@pytest.mark.parametrize(("status", "delivered"), [("success", True), ("failed:user block", False)])
def test_a_delivery_result_carries_the_vendors_id(status, delivered):
    inner = f"<MsgID>200163836</MsgID><Status>{status}</Status>"
    found = only(parse_push(CONFIG, *sealed(event("TEMPLATESENDJOBFINISH", inner)), now=NOW))
    assert found.kind == "template_result"
    assert (found.msg_id, found.delivered, found.code) == ("200163836", delivered, status)


@pytest.mark.covers("C19")
def test_subscription_choices_come_one_or_many_in_xml_or_json():
    item = (
        "<List><TemplateId>{}</TemplateId><SubscribeStatusString>{}</SubscribeStatusString></List>"
    )
    both = item.format("T1", "accept") + item.format("T2", "reject")
    inner = f"<SubscribeMsgPopupEvent>{both}</SubscribeMsgPopupEvent>"
    push = parse_push(CONFIG, *sealed(event("subscribe_msg_popup_event", inner)), now=NOW)
    assert [(e.kind, e.template_id, e.accepted) for e in push.events] == [
        ("subscribe_choice", "T1", True),
        ("subscribe_choice", "T2", False),
    ]
    assert len({e.key for e in push.events}) == 2
    body = {
        "FromUserName": "o-1", "CreateTime": int(STAMP), "Event": "subscribe_msg_change_event",
        "List": {"TemplateId": "T1", "SubscribeStatusString": "reject"},
    }  # fmt: skip
    found = only(parse_push(PLAIN, plain_query(), json.dumps(body).encode(), now=NOW))
    assert (found.kind, found.template_id, found.accepted) == ("subscribe_choice", "T1", False)


def test_a_subscribe_result_says_whether_it_arrived():
    inner = (
        "<SubscribeMsgSentEvent><List><TemplateId>T1</TemplateId><MsgID>77</MsgID>"
        "<ErrorCode>{}</ErrorCode><ErrorStatus>{}</ErrorStatus></List></SubscribeMsgSentEvent>"
    )
    for code, status, delivered in (("0", "success", True), ("43101", "user refuse", False)):
        name = "subscribe_msg_sent_event"
        found = only(parse_push(CONFIG, *sealed(event(name, inner.format(code, status))), now=NOW))
        assert (found.kind, found.msg_id, found.delivered) == ("subscribe_result", "77", delivered)


def test_a_repeated_push_has_the_same_key_and_another_one_has_not():
    first = only(parse_push(CONFIG, *sealed(event("subscribe")), now=NOW))
    again = only(parse_push(CONFIG, *sealed(event("subscribe")), now=NOW))
    other = only(parse_push(CONFIG, *sealed(event("subscribe", openid="o-2")), now=NOW))
    assert first.key == again.key != other.key


def bad(config, query, body, **more) -> str:
    with pytest.raises(BadPush) as refused:
        parse_push(config, query, body, now=more.get("now", NOW))
    return refused.value.reason


def test_what_is_not_from_the_platform_changes_nothing():
    query, body = sealed(event("subscribe"))
    assert bad(CONFIG, query | {"msg_signature": "0" * 40}, body) == "bad_signature"
    assert bad(CONFIG, query | {"msg_signature": "签名"}, body) == "bad_signature"
    assert bad(CONFIG, query | {"nonce": "other"}, body) == "bad_signature"
    assert bad(CONFIG, query, body, now=NOW + timedelta(minutes=11)) == "stale"
    assert bad(CONFIG, query | {"timestamp": "soon"}, body) == "bad_timestamp"
    assert bad(CONFIG | {"token": ""}, query, body) == "no_token"
    assert bad(CONFIG, query, b"x" * 70_000) == "too_large"


def test_a_plain_body_is_not_believed_where_a_key_is_set():
    assert bad(CONFIG, plain_query(), event("unsubscribe").encode()) == "not_encrypted"
    assert only(parse_push(PLAIN, plain_query(), event("subscribe").encode(), now=NOW))


def test_a_message_sealed_for_another_app_is_refused():
    query, body = sealed(event("subscribe"), CONFIG | {"appid": "wxfedcba0987654321"})
    assert bad(CONFIG, query, body) == "undecryptable"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<xml>", b"\xff\xfe", b"[1]", b"<a/>", b"{",
        b'<!DOCTYPE x [<!ENTITY a "b">]><xml><Event>&a;</Event></xml>',
    ],
)  # fmt: skip
def test_unreadable_bodies_are_malformed(body):
    assert bad(PLAIN, plain_query(), body) == "malformed"


@contextmanager
def address():
    """An address that keeps (path, body) of every POST and answers as the product does."""
    seen: list[tuple[str, bytes]] = []

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"success")

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Keep)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/push", seen
    finally:
        server.shutdown()
        server.server_close()


def test_the_sandboxs_real_pushes_are_read(sandbox, wait_for):
    with address() as (url, seen):
        app = sandbox.post("/_sandbox/apps", kind="official_account", name="ch-push", push_url=url)
        person = sandbox.post("/_sandbox/people", phone="13900006603")["id"]
        sandbox.post(f"/_sandbox/people/{person}/follow", appid=app["appid"], follow=True)
        wait_for(lambda: seen, 5)
        sandbox.post("/_sandbox/apps", kind="official_account", name="ch-push", push_url="")
    path, body = seen[0]
    query = dict(parse_qsl(urlsplit(path).query))
    found = only(parse_push(app, query, body, now=datetime.now(UTC)))
    openid = sandbox.get(f"/_sandbox/people/{person}")["openids"][app["appid"]]
    assert (found.kind, found.openid) == ("follow", openid)
