"""Alipay trades: the QR code, the wap cashier, the bar code; asking, closing and notifying.

A trade made by precreate does not exist for query or close until its code is scanned (``state``
INIT in the book), although the code can be paid for two hours: the trap of the real platform.
"""

from __future__ import annotations

import json
import re
from datetime import datetime

from . import keys
from .alipay_wire import Problem, authenticate, fen, logon_id, notify, yuan
from .orders import expired, new_order
from .state import CHINA, now_ms, plain_time
from .web import Sandbox, base_url

NUMBER = re.compile(r"[0-9A-Za-z_]{1,64}")
TWO_HOURS = 7_200_000
PAID = ("TRADE_SUCCESS", "TRADE_FINISHED")


def order_for(box: Sandbox, merchant: dict, content: dict, params: dict, method: str) -> dict:
    """Find or make the order of this request; the same number needs the same amount and subject."""
    number, subject = str(content.get("out_trade_no", "")), str(content.get("subject", ""))
    if not NUMBER.fullmatch(number) or not 1 <= len(subject) <= 256:
        raise Problem("ACQ.INVALID_PARAMETER", "out_trade_no或subject参数无效")
    total = fen(content.get("total_amount"))
    if total < 1:
        raise Problem("ACQ.INVALID_PARAMETER", "total_amount参数无效")
    key = f"{merchant['app_id']}|{number}"
    order = box.book.get("orders", key)
    if order is None:
        return new_order(box.book, key, {
            "channel": "alipay", "merchant": merchant["name"], "account": merchant["app_id"],
            "appid": merchant["app_id"], "out_trade_no": number, "method": method,
            "amount_fen": total, "description": subject, "state": "INIT",
            "attach": content.get("passback_params", ""), "openid": "", "person": "",
            "notify_url": params.get("notify_url", ""), "return_url": params.get("return_url", ""),
            "quit_url": content.get("quit_url", ""), "expire_at": _expiry(box, content),
            "token": keys.token(24).lower(), "body": content.get("body", ""), "waiting_at": None,
        })  # fmt: skip
    order = refresh(box, order)
    if order["state"] in PAID:
        raise Problem("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
    if order["state"] == "TRADE_CLOSED":
        raise Problem("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
    if (order["amount_fen"], order["description"]) != (total, subject):
        raise Problem("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
    return order


def _expiry(box: Sandbox, content: dict) -> int | None:
    text = content.get("time_expire")
    if text:
        try:
            moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
        except ValueError:
            raise Problem("ACQ.INVALID_PARAMETER", "time_expire格式错误") from None
        return int(moment.timestamp() * 1000)
    match = re.fullmatch(r"(\d+)([mhd])", str(content.get("timeout_express", "")))
    if not match:
        return None
    unit = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}[match[2]]
    return box.book.business_ms() + int(match[1]) * unit


def begin(box: Sandbox, order: dict) -> dict:
    """The payer has opened the cashier or scanned the code: from now on the trade exists."""
    with box.book.lock:
        order = refresh(box, order)
        if order["state"] == "INIT" and not expired(box.book, order):
            from .orders import transaction_number

            order |= {"state": "WAIT_BUYER_PAY", "waiting_at": now_ms()}
            order["transaction_id"] = transaction_number(box.book, order)
            box.book.put("orders", order["key"], order)
            if order["expire_at"]:
                watch(box, order)
    return order


def watch(box: Sandbox, order: dict) -> None:
    """Close the trade when its time is over, even if nobody asks."""
    delay = (order["expire_at"] - box.book.business_ms()) / 1000 + 0.01
    box.notifier.at(max(0.0, delay), refresh, box, order)


def refresh(box: Sandbox, order: dict) -> dict:
    """Close an unpaid trade whose time is over, and push that where Alipay does."""
    with box.book.lock:
        if order["state"] != "WAIT_BUYER_PAY" or not expired(box.book, order):
            return order
        _close(box, order)
    return order


def _close(box: Sandbox, order: dict) -> None:
    order |= {"state": "TRADE_CLOSED", "closed_at": now_ms()}
    box.book.put("orders", order["key"], order)
    if order["method"] == "wap":
        notify(box, order, {"gmt_close": plain_time(box.book.business_ms())})


# --- the operations of the gateway: (box, merchant, biz_content, params) -> response ----------
def precreate(box: Sandbox, merchant: dict, content: dict, params: dict) -> dict:
    with box.book.lock:
        order = order_for(box, merchant, content, params, "precreate")
        ticket = {"kind": "qr", "order": order["key"], "ends_at": now_ms() + TWO_HOURS}
        if box.book.get("tickets", order["token"]) is None:
            box.book.put("tickets", order["token"], ticket)
    return {
        "out_trade_no": order["out_trade_no"],
        "qr_code": f"{base_url()}/alipay/qr/{order['token']}",
    }


def create(box: Sandbox, merchant: dict, content: dict, params: dict) -> dict:
    buyer = content.get("buyer_id") or content.get("buyer_open_id")
    person = next((p for p in box.book.rows("people") if p["buyer_id"] == buyer), None)
    if person is None:
        raise Problem("ACQ.BUYER_NOT_EXIST", "买家不存在")
    with box.book.lock:
        order = begin(box, order_for(box, merchant, content, params, "create"))
        order["person"] = person["id"]
        box.book.put("orders", order["key"], order)
    return {"out_trade_no": order["out_trade_no"], "trade_no": order["transaction_id"]}


def open_wap(box: Sandbox, params: dict, base: str) -> dict:
    """The browser arrives at the gateway with a signed wap.pay link. Raises Problem."""
    merchant = authenticate(box.book, params)
    content = json.loads(params.get("biz_content") or "{}")
    with box.book.lock:
        order = order_for(box, merchant, content, params, "wap")
        if expired(box.book, order):
            raise Problem("ACQ.TRADE_HAS_CLOSE", "交易已超时")
        return begin(box, order)


def bar_code(box: Sandbox, merchant: dict, content: dict, params: dict) -> dict:
    from .orders import CannotPay, pay

    code = box.book.get("codes", str(content.get("auth_code", "")))
    if content.get("scene") != "bar_code" or not code or code["kind"] != "bar":
        raise Problem("ACQ.PAYMENT_AUTH_CODE_INVALID", "获取顾客账户信息失败，请顾客刷新付款码")
    with box.book.lock:
        if code["used"] or code["ends_at"] < now_ms():
            raise Problem("ACQ.PAYMENT_AUTH_CODE_INVALID", "付款码已失效，请顾客刷新")
        order = begin(box, order_for(box, merchant, content, params, "bar"))
        box.book.put("codes", content["auth_code"], code | {"used": True})
        order["person"] = code["person"]
        box.book.put("orders", order["key"], order)
    if code.get("ask"):
        return {"code": "10003", "msg": "order success pay inprocess",
                "out_trade_no": order["out_trade_no"]}  # fmt: skip
    try:
        order = pay(box, order, code["person"])
    except CannotPay as error:
        raise Problem("ACQ.TRADE_STATUS_ERROR", str(error)) from None
    return shown(box, order) | {"gmt_payment": plain_time(order["success_ms"])}


def existing(box: Sandbox, merchant: dict, content: dict) -> dict:
    """The trade by out_trade_no or trade_no. Raises Problem ACQ.TRADE_NOT_EXIST."""
    key = box.book.by_txn.get(str(content.get("trade_no") or "-"))
    key = key or f"{merchant['app_id']}|{content.get('out_trade_no', '')}"
    order = box.book.get("orders", key)
    if order is None or order["account"] != merchant["app_id"] or order["state"] == "INIT":
        raise Problem("ACQ.TRADE_NOT_EXIST", "交易不存在")
    return refresh(box, order)


def shown(box: Sandbox, order: dict) -> dict:
    person = box.book.get("people", order["payer"] or order["person"]) or {}
    body = {
        "out_trade_no": order["out_trade_no"], "trade_no": order["transaction_id"],
        "total_amount": yuan(order["amount_fen"]),
        "buyer_logon_id": logon_id(person), "buyer_user_id": person.get("buyer_id", ""),
    }  # fmt: skip
    if order["paid_at"]:
        total = yuan(order["amount_fen"])
        body |= {
            "receipt_amount": total, "buyer_pay_amount": total, "invoice_amount": total,
            "point_amount": "0.00",
            "fund_bill_list": [{"amount": total, "fund_channel": "ALIPAYACCOUNT"}],
        }  # fmt: skip
    return body


def query(box: Sandbox, merchant: dict, content: dict, params: dict) -> dict:
    order = existing(box, merchant, content)
    body = shown(box, order) | {"trade_status": order["state"]}
    if order["paid_at"]:
        body["send_pay_date"] = plain_time(order["success_ms"])
    return body


def close(box: Sandbox, merchant: dict, content: dict, params: dict) -> dict:
    with box.book.lock:
        order = existing(box, merchant, content)
        if order["paid_at"]:
            raise Problem("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
        if order["state"] == "TRADE_CLOSED":
            raise Problem("ACQ.TRADE_STATUS_ERROR", "交易已关闭")
        _close(box, order)
    return {"out_trade_no": order["out_trade_no"], "trade_no": order["transaction_id"]}


# --- paying and telling ---------------------------------------------------------------------
def may_pay(box: Sandbox, order: dict, person: str | None) -> str | None:
    """Why the payer may not pay now, or None."""
    if order["state"] != "WAIT_BUYER_PAY":
        texts = {"INIT": "二维码已失效", "TRADE_CLOSED": "交易已关闭"}
        return texts.get(order["state"], "交易已支付")
    if order["method"] in ("bar", "create") and person not in (None, order["person"]):
        return "付款账号不一致"
    return None


def paid(box: Sandbox, order: dict) -> None:
    """Tell the merchant that the trade was paid."""
    notify(box, order, {})
