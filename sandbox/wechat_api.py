"""api.weixin.qq.com: log-in, access tokens, phone number, template and subscribe messages."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable

from flask import Blueprint, Response, g, request

from . import keys, wechat_fields, wechat_push
from .accounts import find_app
from .state import now_ms
from .web import guard, here

bp = Blueprint("wechat_api", __name__)
MESSAGES = {
    "-1": "system error", "40001": "invalid credential, access_token is invalid or not latest",
    "40003": "invalid openid", "40013": "invalid appid", "40029": "invalid code",
    "40037": "invalid template_id", "40125": "invalid appsecret", "40163": "code been used",
    "41002": "appid missing", "41028": "invalid form id", "41030": "invalid page",
    "42001": "access_token expired", "43004": "require subscribe", "43101": "user refuse to accept "
    "the msg", "43117": "frequency limit", "45009": "reach max api daily quota limit",
    "48001": "api unauthorized",
}  # fmt: skip


class Problem(Exception):
    """An errcode for the caller."""

    def __init__(self, code: int, message: str = ""):
        super().__init__(message)
        self.code, self.message = code, message


def _json(body: dict, mimetype: str = "application/json") -> Response:
    return Response(json.dumps(body, ensure_ascii=False), mimetype=mimetype)


def _error(code: str, message: str = "") -> Response:
    if code == "http_500":
        return Response("<html>502 Bad Gateway</html>", 502, mimetype="text/html")
    text = message or MESSAGES.get(code, "error")
    return _json({"errcode": int(code), "errmsg": f"{text} rid: {keys.token(24).lower()}"})


def serve(point: str, handle: Callable[[], Response], key: str = "") -> Response:
    def run() -> Response:
        try:
            return handle()
        except Problem as problem:
            return _error(str(problem.code), problem.message)

    return guard(f"wechat.{point}", run, _error, key)


def _app_by_secret(appid: str, secret: str) -> dict:
    app = next((a for a in here().book.rows("apps") if a["appid"] == appid), None)
    if app is None:
        raise Problem(40013)
    if app["secret"] != secret:
        raise Problem(40125)
    return app


# --- log-in and phone -----------------------------------------------------------------------
@bp.get("/sns/jscode2session")
def code_to_session() -> Response:
    args, book = request.args, here().book

    def run() -> Response:
        app = _app_by_secret(args.get("appid", ""), args.get("secret", ""))
        person = _use_code(args.get("js_code", ""), "login", app)
        session_key = base64.b64encode(os.urandom(16)).decode()
        openid = book.openid(app["appid"], person["id"])
        body = {"session_key": session_key, "openid": openid, "unionid": person["unionid"]}
        return _json(body, "text/plain")

    return serve("login", run)


def _use_code(code: str, kind: str, app: dict) -> dict:
    book = here().book
    with book.lock:
        row = book.get("codes", code)
        if not row or row["kind"] != kind or row["appid"] != app["appid"]:
            raise Problem(40029)
        if row["used"]:
            raise Problem(40163)
        if row["ends_at"] < now_ms():
            raise Problem(40029)
        book.put("codes", code, row | {"used": True})
    return book.get("people", row["person"])


@bp.post("/wxa/business/getuserphonenumber")
def phone_number() -> Response:
    def run() -> Response:
        app = _app_by_token()
        code = (request.get_json(silent=True, force=True) or {}).get("code", "")
        phone = _use_code(code, "phone", app)["phone"]
        info = {
            "phoneNumber": phone, "purePhoneNumber": phone, "countryCode": "86",
            "watermark": {"timestamp": now_ms() // 1000, "appid": app["appid"]},
        }  # fmt: skip
        return _json({"errcode": 0, "errmsg": "ok", "phone_info": info})

    return serve("phone", run)


# --- tokens ---------------------------------------------------------------------------------
@bp.post("/cgi-bin/stable_token")
def stable_token() -> Response:
    def run() -> Response:
        body = request.get_json(silent=True, force=True) or {}
        app = _app_by_secret(body.get("appid", ""), body.get("secret", ""))
        return _token(app, "stable", fresh=bool(body.get("force_refresh")), overlap=True)

    return serve("token", run)


@bp.get("/cgi-bin/token")
def plain_token() -> Response:
    def run() -> Response:
        args = request.args
        if args.get("grant_type") != "client_credential":
            raise Problem(40002, "invalid grant_type")
        app = _app_by_secret(args.get("appid", ""), args.get("secret", ""))
        return _token(app, "plain", fresh=True, overlap=False)

    return serve("plain_token", run)


def _token(app: dict, kind: str, *, fresh: bool, overlap: bool) -> Response:
    """Stable: the same token until 5 minutes before its end. Plain: the old one dies at once."""
    book, now = here().book, now_ms()
    with book.lock:
        mine = [
            (k, t)
            for k, t in book.tables["tokens"].items()
            if t["appid"] == app["appid"] and t["kind"] == kind and t["ends_at"] > now
        ]
        live = [(k, t) for k, t in mine if t["ends_at"] > now + 300_000]
        if fresh or not live:
            for key, row in mine:
                end = min(row["ends_at"], now + 300_000) if overlap else now
                book.put("tokens", key, row | {"ends_at": end})
            key = f"{book.number(2)}_{keys.token(134)}"
            row = {"appid": app["appid"], "kind": kind, "ends_at": now + 7_200_000}
            live = [(key, book.put("tokens", key, row))]
    token, row = live[-1]
    return _json({"access_token": token, "expires_in": (row["ends_at"] - now) // 1000})


def _app_by_token() -> dict:
    row = here().book.get("tokens", request.args.get("access_token", ""))
    if row is None:
        raise Problem(40001)
    if row["ends_at"] <= now_ms():
        raise Problem(42001)
    return find_app(here().book, row["appid"])


@bp.get("/cgi-bin/user/info")
def user_info() -> Response:
    """A follower of a service account; only here does it learn his unionid."""

    def run() -> Response:
        app, openid = _app_by_token(), request.args.get("openid", "")
        if app["kind"] != "official_account":
            raise Problem(48001)
        person = here().book.person_of(app["appid"], openid)
        if person is None:
            raise Problem(40003)
        if app["appid"] not in person["follows"]:
            return _json({"subscribe": 0, "openid": openid})
        more = {"language": "zh_CN", "unionid": person["unionid"], "remark": ""}
        return _json({"subscribe": 1, "openid": openid} | more)

    return serve("user_info", run)


# --- messages -------------------------------------------------------------------------------
@bp.post("/cgi-bin/message/template/send")
def template_send() -> Response:
    body = request.get_json(silent=True, force=True) or {}
    return serve("template", lambda: _template(body), _about(body))


@bp.post("/cgi-bin/message/subscribe/send")
def subscribe_send() -> Response:
    body = request.get_json(silent=True, force=True) or {}
    return serve("subscribe", lambda: _subscribe(body), _about(body))


def _about(body: dict) -> str:
    return f"{body.get('touser', '')} {body.get('client_msg_id', '')}".strip()


def _receiver(app: dict, kind: str, body: dict) -> tuple[dict, dict, str]:
    """(person, template, event) of a message, or the errcode WeChat gives."""
    if app["kind"] != kind:
        raise Problem(48001)
    person = here().book.person_of(app["appid"], str(body.get("touser", "")))
    if person is None:
        raise Problem(40003)
    for event, template in app["templates"].items():
        if template["id"] == body.get("template_id"):
            return person, template, event
    raise Problem(40037)


def _refused(row: dict, code: int, message: str = "") -> Problem:
    """Book the refused message and raise its errcode."""
    _book(row | {"accepted": False, "result": str(code)})
    return Problem(code, message)


def _book(row: dict) -> dict:
    with here().book.lock:
        number = f"m{here().book.seq + 1}"
        return here().book.put("messages", number, {
            "id": number, **row, "arrived_at": g.arrived_at, "received_at": now_ms(),
        })  # fmt: skip


def _row(app: dict, person: dict, event: str, template: dict, body: dict, channel: str) -> dict:
    data = body.get("data")
    good = isinstance(data, dict) and all(isinstance(v, dict) for v in data.values())
    return {
        "channel": channel, "app": app["name"], "to": body["touser"], "person": person["id"],
        "template": template["id"], "event": event, "data": data,
        "text": wechat_fields.text_of(template, data) if good and data else "",
        "out_id": str(body.get("client_msg_id") or ""), "page": body.get("page") or "",
        "url": body.get("url") or "", "miniprogram": body.get("miniprogram") or {},
    }  # fmt: skip


def _template(body: dict) -> Response:
    box, app = here(), _app_by_token()
    person, template, event = _receiver(app, "official_account", body)
    row = _row(app, person, event, template, body, "wechat_template")
    if app["appid"] not in person["follows"]:
        raise _refused(row, 43004)
    wrong = wechat_fields.refuse(template, body.get("data"))
    if wrong:
        raise _refused(row, 47003, wrong)
    with box.book.lock:
        known = _same_message(row)
        msgid = known["msgid"] if known else int(box.book.number(18))
        if not known:
            row = _book(row | {"accepted": True, "result": "0", "msgid": msgid})
    if not known:
        wechat_push.template_done(box, app, body["touser"], msgid, "success")
    return _json({"errcode": 0, "errmsg": "ok", "msgid": msgid})


def _same_message(row: dict) -> dict | None:
    """The message already sent to this openid with this client_msg_id in the last ten minutes."""
    if not row["out_id"]:
        return None
    book, since = here().book, now_ms() - 600_000
    for number in reversed(book.by_person.get(row["person"], [])):
        old = book.get("messages", number)
        if old["received_at"] < since:
            return None
        same = (old["to"], old["out_id"]) == (row["to"], row["out_id"])
        if same and old["accepted"] and old["channel"] == "wechat_template":
            return old
    return None


def _subscribe(body: dict) -> Response:
    box, app = here(), _app_by_token()
    person, template, event = _receiver(app, "miniprogram", body)
    row = _row(app, person, event, template, body, "wechat_subscribe")
    wrong = wechat_fields.refuse(template, body.get("data"))
    if wrong:
        raise _refused(row, 47003, wrong)
    key = f"{app['appid']}|{person['id']}|{template['id']}"
    with box.book.lock:
        grant = box.book.get("grants", key)
        if not grant or grant["left"] < 1 or grant["blocked"]:
            raise _refused(row, 43101)
        box.book.put("grants", key, grant | {"left": grant["left"] - 1})
        msgid = int(box.book.number(18))
        _book(row | {"accepted": True, "result": "0", "msgid": msgid})
    wechat_push.subscribe_sent(box, app, body["touser"], template["id"], msgid)
    return _json({"errcode": 0, "errmsg": "ok", "msgid": msgid})
