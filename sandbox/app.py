"""The Flask application: every platform on the root paths of one host."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, jsonify

from . import (
    alipay,
    alipay_trade,
    alipay_wire,
    aliyun,
    book,
    cashier,
    console,
    phone,
    wechat_api,
    wechat_push,
    wechatpay,
    wechatpay_bill,
    wechatpay_refund,
    wechatpay_wire,
)
from .web import Sandbox


def create_app(state_dir: str | Path = "var/sandbox") -> Flask:
    """Build the app over the state directory and start its notifier threads."""
    app = Flask("sandbox", template_folder=str(Path(__file__).parent / "templates"))
    app.json.ensure_ascii = False
    app.json.sort_keys = False
    box = app.extensions["sandbox"] = Sandbox(state_dir)
    box.notifier.signers = {
        "wechatpay": lambda row, kind: wechatpay_wire.sign_callback(box, row, kind=kind),
        "alipay": lambda row, kind: alipay_wire.sign_callback(box, row, kind=kind),
        "aliyun": lambda row, kind: aliyun.plain_callback(row),
        "wechat": lambda row, kind: wechat_push.sign_push(box, row, kind=kind),
    }
    box.notifier.accepts = {
        "wechatpay": wechatpay_wire.accepts,
        "alipay": alipay_wire.accepts,
        "aliyun": aliyun.accepts,
        "wechat": wechat_push.accepts,
    }
    modules = (alipay, aliyun, book, cashier, console, phone, wechat_api, wechatpay)
    for module in (*modules, wechatpay_bill, wechatpay_refund):
        app.register_blueprint(module.bp)
    app.register_blueprint(book.raw)

    @app.get("/healthz")
    def healthz():
        return jsonify(ok=True)

    box.notifier.start()
    resume(box)
    return app


def resume(box: Sandbox) -> None:
    """Take up what a restart interrupted: refunds, delivery reports, trades about to expire."""
    for key, row in list(box.book.tables["refunds"].items()):
        if row["state"] == "PROCESSING":
            box.notifier.at(0.2, wechatpay_refund.finish, box, key)
    for number, row in list(box.book.tables["messages"].items()):
        if row.get("delivery") == "WAIT":
            act = aliyun.receipt if row["channel"] == "sms" else aliyun.voice_report
            box.notifier.at(0.2, act, box, number)
    for order in box.book.rows("orders"):
        if order["state"] == "WAIT_BUYER_PAY" and order["expire_at"]:
            alipay_trade.watch(box, order)
