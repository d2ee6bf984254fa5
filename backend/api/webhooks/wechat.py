"""WeChat's message push: the address check (GET) and events (POST)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from backend import clock
from backend.identity.queries import app_named
from backend.reminders.channels.wechat_push import BadPush, parse_push
from backend.telemetry import log
from backend.usecases.record_push import record_push
from backend.web import policy

blp = Blueprint("notify_wechat", __name__)


@blp.route("/notify/wechat/<string(maxlength=64):app_name>", methods=["GET", "POST"])
@policy("public")
def notify(app_name: str) -> Response:
    """Answer `success` only after the events are stored; anything else is repeated by WeChat."""
    raw = request.get_data(cache=False)
    app = app_named(app_name)
    if app is None:
        return _text("unknown app", 404)
    try:
        push = parse_push(app.config, request.args, raw, now=clock.wire_now())
    except BadPush as bad:
        log.warning("push_refused", app=app_name, reason=bad.reason)
        return _text("refused", bad.http)
    if request.method == "GET" and push.echostr is None:
        return _text("refused", 400)
    record_push(app=app, push=push)
    return _text(push.reply, 200)


def _text(body: str, status: int) -> Response:
    return Response(body, status=status, content_type="text/plain; charset=utf-8")
