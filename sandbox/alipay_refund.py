"""Alipay refunds: at once, named by out_request_no, told through the trade's own notify_url."""

from __future__ import annotations

from .alipay_trade import PAID, close, existing, shown
from .alipay_wire import Problem, fen, notify, yuan
from .state import now_ms, plain_time
from .web import Sandbox


def refund(box: Sandbox, merchant: dict, content: dict, params: dict) -> dict:
    order = existing(box, merchant, content)
    wanted = fen(content.get("refund_amount"))
    number = str(content.get("out_request_no") or order["out_trade_no"])
    with box.book.lock:
        key = f"alipay|{order['key']}|{number}"
        row = box.book.get("refunds", key)
        if row is not None and row["amount_fen"] != wanted:
            raise Problem("ACQ.DISCORDANT_REPEAT_REQUEST", "不一致的请求")
        if row is None:
            if order["state"] not in PAID[:1]:
                raise Problem("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
            if order["refunded_fen"] + wanted > order["amount_fen"] or wanted < 1:
                raise Problem("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限")
            if wanted < order["amount_fen"] and not content.get("out_request_no"):
                raise Problem("ACQ.INVALID_PARAMETER", "部分退款必须传out_request_no")
            _make(box, order, key, number, wanted, str(content.get("refund_reason") or ""))
    body = shown(box, order) | {
        "fund_change": "N" if row else "Y",
        "refund_fee": yuan(order["refunded_fen"]),
        "gmt_refund_pay": plain_time(box.book.business_ms()),
    }
    body.pop("total_amount")
    return body


def _make(box: Sandbox, order: dict, key: str, number: str, wanted: int, reason: str) -> None:
    order["refunded_fen"] += wanted
    now = plain_time(box.book.business_ms())
    more = {"out_biz_no": number, "refund_fee": yuan(order["refunded_fen"]), "gmt_refund": now}
    if order["refunded_fen"] == order["amount_fen"]:
        order |= {"state": "TRADE_CLOSED", "closed_at": now_ms()}
        more["gmt_close"] = now
    box.book.put("orders", order["key"], order)
    box.book.put("refunds", key, {
        "key": key, "channel": "alipay", "merchant": order["merchant"], "order": order["key"],
        "out_trade_no": order["out_trade_no"], "out_refund_no": number, "amount_fen": wanted,
        "refund_id": order["transaction_id"], "state": "SUCCESS", "asked_at": now_ms(),
        "asked_ms": box.book.business_ms(), "done_at": now_ms(),
        "done_ms": box.book.business_ms(), "reason": reason, "notify_url": order["notify_url"],
        "outcome": "SUCCESS",
    })  # fmt: skip
    notify(box, order, more)


def query(box: Sandbox, merchant: dict, content: dict, params: dict) -> dict:
    order = existing(box, merchant, content)
    row = box.book.get("refunds", f"alipay|{order['key']}|{content.get('out_request_no', '')}")
    if row is None:
        return {}
    return {
        "out_trade_no": order["out_trade_no"], "trade_no": order["transaction_id"],
        "out_request_no": row["out_refund_no"], "total_amount": yuan(order["amount_fen"]),
        "refund_amount": yuan(row["amount_fen"]), "refund_status": "REFUND_SUCCESS",
        "gmt_refund_pay": plain_time(row["done_ms"]),
    }  # fmt: skip


def cancel(box: Sandbox, merchant: dict, content: dict, params: dict) -> dict:
    """Undo a bar-code payment: close if unpaid, refund all if paid."""
    number = {"out_trade_no": content.get("out_trade_no"), "trade_no": content.get("trade_no")}
    try:
        order = existing(box, merchant, content)
    except Problem:
        return number | {"retry_flag": "N"}
    body = {"out_trade_no": order["out_trade_no"], "trade_no": order["transaction_id"]}
    if order["state"] == "WAIT_BUYER_PAY":
        close(box, merchant, content, params)
        return body | {"retry_flag": "N", "action": "close"}
    if order["state"] == "TRADE_SUCCESS":
        rest = yuan(order["amount_fen"] - order["refunded_fen"])
        again = content | {"refund_amount": rest, "out_request_no": "cancel" + str(order["seq"])}
        refund(box, merchant, again, params)
        return body | {"retry_flag": "N", "action": "refund"}
    return body | {"retry_flag": "N"}
