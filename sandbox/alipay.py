"""The Alipay gateway: one address, the operation named by ``method``, RSA2 both ways."""

from __future__ import annotations

import json

from flask import Blueprint, Response, g, redirect, request

from . import alipay_bill, alipay_refund, alipay_trade, keys
from .accounts import merchant_by
from .alipay_wire import Problem, authenticate
from .web import base_url, guard, here

bp = Blueprint("alipay", __name__)
OPERATIONS = {
    "alipay.trade.precreate": ("precreate", alipay_trade.precreate),
    "alipay.trade.create": ("create", alipay_trade.create),
    "alipay.trade.pay": ("pay", alipay_trade.bar_code),
    "alipay.trade.query": ("query", alipay_trade.query),
    "alipay.trade.close": ("close", alipay_trade.close),
    "alipay.trade.cancel": ("cancel", alipay_refund.cancel),
    "alipay.trade.refund": ("refund", alipay_refund.refund),
    "alipay.trade.fastpay.refund.query": ("refund_query", alipay_refund.query),
    "alipay.data.dataservice.bill.downloadurl.query": ("bill", alipay_bill.url_query),
}


@bp.route("/gateway.do", methods=["GET", "POST"])
def gateway() -> Response:
    params = request.args.to_dict() | request.form.to_dict()
    method = params.get("method", "")
    if method == "alipay.trade.wap.pay":
        key = _content(params).get("out_trade_no", "")
        return guard("alipay.wap", lambda: _wap(params), lambda code: _page(code), str(key))
    point, operation = OPERATIONS.get(method, ("unknown", None))
    key = str(_content(params).get("out_trade_no", ""))
    refuse = lambda code: _refuse(params, code)  # noqa: E731
    return guard(f"alipay.{point}", lambda: _run(params, operation), refuse, key)


def _content(params: dict) -> dict:
    try:
        content = json.loads(params.get("biz_content") or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _run(params: dict, operation) -> Response:
    try:
        g.merchant = merchant = authenticate(here().book, params)
    except Problem as problem:
        body = {
            "code": problem.code, "msg": "Invalid Arguments", "sub_code": problem.sub_code,
            "sub_msg": str(problem),
        }  # fmt: skip
        return _text(json.dumps({"error_response": body}, ensure_ascii=False))
    if operation is None:
        return _answer(params, {
            "code": "40006", "msg": "Insufficient Permissions",
            "sub_code": "isv.insufficient-isv-permissions", "sub_msg": "权限不足",
        })  # fmt: skip
    try:
        result = operation(here(), merchant, _content(params), params)
    except Problem as problem:
        result = {"code": problem.code, "msg": "Business Failed", "sub_code": problem.sub_code,
                  "sub_msg": str(problem)}  # fmt: skip
    return _answer(params, {"code": "10000", "msg": "Success"} | result)


def _refuse(params: dict, code: str) -> Response:
    if code == "http_500":
        return Response("Internal Server Error", 500, mimetype="text/html")
    g.merchant = merchant_by(here().book, app_id=params.get("app_id", ""))
    if code == "20000":
        body = {"code": "20000", "msg": "Service Currently Unavailable",
                "sub_code": "isp.unknow-error", "sub_msg": "系统繁忙"}  # fmt: skip
    else:
        body = {"code": "40004", "msg": "Business Failed", "sub_code": code, "sub_msg": code}
    return _answer(params, body)


def _answer(params: dict, body: dict) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    merchant = g.get("merchant")
    if merchant is None:
        return _text(f'{{"error_response":{text}}}')
    sign = keys.sign(merchant["platform_private_pem"], text.encode())
    if g.get("spoil"):
        sign = keys.spoil(sign)
    node = params["method"].replace(".", "_") + "_response"
    return _text(f'{{"{node}":{text},"sign":"{sign}"}}')


def _text(text: str) -> Response:
    return Response(text, content_type="text/html;charset=utf-8")


def _wap(params: dict) -> Response:
    try:
        order = alipay_trade.open_wap(here(), params, base_url())
    except Problem as problem:
        return _page(f"{problem.sub_code} {problem}")
    return redirect(f"{base_url()}/cashier/alipay?token={order['token']}")


def _page(text: str) -> Response:
    status = 500 if text == "http_500" else 200
    html = f"<!doctype html><meta charset=utf-8><title>支付宝</title><h3>系统忙</h3><p>{text}</p>"
    return Response(html, status, mimetype="text/html")


@bp.get("/alipay/bill")
def bill_file() -> Response:
    def run() -> Response:
        data = alipay_bill.file_of(here(), request.args.get("token", ""))
        if data is None:
            return Response("expired", 404)
        return Response(data, mimetype="application/zip")

    return guard("alipay.bill_file", run, lambda code: Response(code, 500))
