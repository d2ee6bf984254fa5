"""WeChat Pay v3: ordering, asking, closing. Refunds and statements are in modules beside this."""

from __future__ import annotations

import json
import re
from datetime import datetime

from flask import Blueprint, Response, request

from . import keys
from .orders import expired, new_order, refresh
from .state import now_ms, rfc3339
from .web import Sandbox, base_url, here
from .wechatpay_wire import Problem, answer, notify, serve

bp = Blueprint("wechatpay", __name__)
NUMBER = re.compile(r"[0-9A-Za-z_\-*|]{6,32}")
TWO_HOURS = 7_200_000
DESCRIPTIONS = {
    "NOTPAY": "订单未支付", "SUCCESS": "支付成功", "CLOSED": "订单已关闭", "REFUND": "转入退款",
}  # fmt: skip


@bp.post("/v3/pay/transactions/<method>")
def prepay(method: str) -> Response:
    body = request.get_json(silent=True) or {}
    return serve("prepay", lambda merchant: _prepay(merchant, method, body), _number(body))


def _number(body: dict) -> str:
    return str(body.get("out_trade_no", ""))


def _prepay(merchant: dict, method: str, body: dict) -> Response:
    if method not in ("jsapi", "h5", "native"):
        raise Problem("NO_AUTH", "商户无权限")
    wanted = _checked(merchant, method, body)
    box = here()
    with box.book.lock:
        key = f"{merchant['mchid']}|{wanted['out_trade_no']}"
        order = box.book.get("orders", key)
        if order is None:
            order = new_order(box.book, key, wanted)
        else:
            order = _same_again(box, order, wanted)
            if order.pop("dismissed", False):
                box.book.put("orders", key, order)
        token = "wx" + rfc3339(now_ms())[:10].replace("-", "") + keys.token(26).lower()
        ticket = {"kind": method, "order": key, "at": now_ms(), "ends_at": now_ms() + TWO_HOURS}
        box.book.put("tickets", token, ticket)
    if method == "jsapi":
        return answer({"prepay_id": token})
    if method == "native":
        return answer({"code_url": f"weixin://wxpay/bizpayurl?pr={token}"})
    return answer({"h5_url": f"{base_url()}/cashier/wechat-h5?prepay_id={token}"})


def _checked(merchant: dict, method: str, body: dict) -> dict:
    """The order's fields, or Problem PARAM_ERROR as the platform words it."""
    _check_parties(merchant, body)
    amount, url = body.get("amount") or {}, str(body.get("notify_url", ""))
    total, openid = amount.get("total"), (body.get("payer") or {}).get("openid", "")
    if type(total) is not int or total < 1:
        raise Problem("PARAM_ERROR", "输入源“/body/amount/total”映射到数值字段“总金额”规则校验失败")
    if amount.get("currency", "CNY") != "CNY":
        raise Problem("PARAM_ERROR", "货币类型只支持CNY")
    if not re.match(r"https?://[^?]+$", url) or len(url) > 255:
        raise Problem("PARAM_ERROR", "回调地址notify_url格式错误：不得携带参数，长度不超过255")
    person = here().book.person_of(body["appid"], openid)
    if method == "jsapi" and person is None:
        raise Problem("PARAM_ERROR", "无效的openid：与appid不匹配")
    if method == "h5" and not (body.get("scene_info") or {}).get("payer_client_ip"):
        raise Problem("PARAM_ERROR", "H5支付需要scene_info.payer_client_ip")
    return {
        "channel": "wechatpay", "merchant": merchant["name"], "account": merchant["mchid"],
        "appid": body["appid"], "out_trade_no": _number(body), "method": method,
        "amount_fen": total, "description": body["description"], "attach": body.get("attach", ""),
        "notify_url": url, "openid": openid, "person": person["id"] if person else "",
        "state": "NOTPAY", "time_expire": body.get("time_expire"),
        "expire_at": _expiry(body.get("time_expire")),
    }  # fmt: skip


def _check_parties(merchant: dict, body: dict) -> None:
    """Merchant, app, number and texts of an order."""
    if body.get("mchid") != merchant["mchid"]:
        raise Problem("INVALID_REQUEST", "请求中的mchid与签名商户号不一致")
    if body.get("appid") not in merchant["appids"]:
        raise Problem("APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配，请检查后再试")
    if not NUMBER.fullmatch(_number(body)):
        raise Problem("PARAM_ERROR", "输入源“/body/out_trade_no”映射到值字段“商户订单号”格式错误")
    if not 1 <= len(str(body.get("description", ""))) <= 127:
        raise Problem("PARAM_ERROR", "输入源“/body/description”长度必须为1到127")
    if len(str(body.get("attach", ""))) > 128:
        raise Problem("PARAM_ERROR", "附加数据attach过长")


def _expiry(text: str | None) -> int | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or "T" not in text:
        raise Problem("PARAM_ERROR", "time_expire格式错误，应为rfc3339")
    moment = int(instant.timestamp() * 1000)
    if moment <= here().book.business_ms():
        raise Problem("PARAM_ERROR", "time_expire时间过短，必须晚于当前时间")
    return moment


def _same_again(box: Sandbox, order: dict, wanted: dict) -> dict:
    """Ordering the same number again needs the same parameters and an open order."""
    order = refresh(box, order)
    if order["state"] in ("SUCCESS", "REFUND"):
        raise Problem("ORDER_PAID", "该订单已支付")
    if order["state"] == "CLOSED":
        raise Problem("ORDER_CLOSED", "该订单已关闭，请重新下单")
    same = "appid amount_fen description attach notify_url openid time_expire method".split()
    if any(order[name] != wanted[name] for name in same):
        raise Problem("INVALID_REQUEST", "请求重入时，参数与首次请求时不一致")
    return order


# --- asking and closing ---------------------------------------------------------------------
@bp.get("/v3/pay/transactions/out-trade-no/<number>")
def query_by_number(number: str) -> Response:
    return serve("query", lambda merchant: _query(merchant, number), number)


@bp.get("/v3/pay/transactions/id/<txn>")
def query_by_txn(txn: str) -> Response:
    def find(merchant: dict) -> Response:
        order = here().book.get("orders", here().book.by_txn.get(txn, ""))
        own = order is not None and order["account"] == merchant["mchid"]
        return _query(merchant, order["out_trade_no"] if own else "")

    return serve("query", find, txn)


def _order(merchant: dict, number: str) -> dict:
    order = here().book.get("orders", f"{merchant['mchid']}|{number}")
    if order is None:
        raise Problem("ORDER_NOT_EXIST", "订单不存在")
    return refresh(here(), order)


def _query(merchant: dict, number: str) -> Response:
    if request.args.get("mchid") != merchant["mchid"]:
        raise Problem("PARAM_ERROR", "缺少mchid，或与签名商户号不一致")
    return answer(transaction(here(), _order(merchant, number)))


def transaction(box: Sandbox, order: dict) -> dict:
    """The order as query and callback show it (fen)."""
    amount = {"total": order["amount_fen"], "currency": "CNY", "payer_currency": "CNY"}
    shown = {
        "appid": order["appid"], "mchid": order["account"], "out_trade_no": order["out_trade_no"],
        "trade_state": order["state"], "trade_state_desc": DESCRIPTIONS[order["state"]],
        "attach": order["attach"], "amount": amount, "promotion_detail": [],
    }  # fmt: skip
    if order["paid_at"]:
        amount["payer_total"] = order["amount_fen"]
        shown |= {
            "transaction_id": order["transaction_id"],
            "trade_type": {"jsapi": "JSAPI", "h5": "MWEB", "native": "NATIVE"}[order["method"]],
            "bank_type": "OTHERS",
            "success_time": rfc3339(order["success_ms"]),
            "payer": {"openid": order["payer_openid"]},
        }
    return shown


@bp.post("/v3/pay/transactions/out-trade-no/<number>/close")
def close(number: str) -> Response:
    body = request.get_json(silent=True) or {}

    def run(merchant: dict) -> Response:
        if body.get("mchid") != merchant["mchid"]:
            raise Problem("PARAM_ERROR", "mchid与签名商户号不一致")
        with here().book.lock:
            order = _order(merchant, number)
            if order["state"] in ("SUCCESS", "REFUND"):
                raise Problem("ORDER_PAID", "该订单已支付")
            if order["state"] == "NOTPAY":
                order |= {"state": "CLOSED", "closed_at": now_ms()}
                here().book.put("orders", order["key"], order)
        return answer(None, 204)

    return serve("close", run, number)


def paid(box: Sandbox, order: dict) -> None:
    """Tell the merchant that the order was paid."""
    merchant = box.book.get("merchants", order["merchant"])
    notify(
        box, merchant, order["notify_url"], "TRANSACTION.SUCCESS", transaction(box, order),
        out_trade_no=order["out_trade_no"],
    )  # fmt: skip


def may_pay(box: Sandbox, order: dict, person: str | None) -> str | None:
    """Why this person may not pay the order now, or None."""
    if order["state"] != "NOTPAY":
        return f"订单状态为{DESCRIPTIONS[order['state']]}"
    if expired(box.book, order):
        return "订单已过期"
    if order["method"] == "jsapi" and person not in (None, order["person"]):
        return "下单账号与支付账号不一致"
    return None


@bp.get("/v3/certificates")
def certificates() -> Response:
    from .wechatpay_wire import encrypt

    def run(merchant: dict) -> Response:
        sealed = encrypt(merchant, merchant["certificate_pem"], "certificate")
        entry = {
            "serial_no": merchant["certificate_serial"],
            "effective_time": rfc3339(merchant["opened_at"]),
            "expire_time": rfc3339(merchant["opened_at"] + 5 * 365 * 86_400_000),
            "encrypt_certificate": sealed,
        }
        return answer(json.loads(json.dumps({"data": [entry]})))

    return serve("certificates", run)
