"""WeChat Pay v3 refunds: accepted at once, finished a moment later, told by callback."""

from __future__ import annotations

import re

from flask import Blueprint, Response, request

from .state import now_ms, rfc3339
from .web import Sandbox, here
from .wechatpay_wire import Problem, answer, notify, serve

bp = Blueprint("wechatpay_refund", __name__)
YEAR_MS = 365 * 86_400_000
NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")


@bp.post("/v3/refund/domestic/refunds")
def refund() -> Response:
    body = request.get_json(silent=True) or {}
    key = f"{body.get('out_refund_no', '')} {body.get('out_trade_no', '')}"
    return serve("refund", lambda merchant: _refund(merchant, body), key)


def _refund(merchant: dict, body: dict) -> Response:
    box, number = here(), str(body.get("out_refund_no", ""))
    if not NUMBER.fullmatch(number) or len(str(body.get("reason") or "")) > 80:
        raise Problem("PARAM_ERROR", "out_refund_no或reason格式错误")
    with box.book.lock:
        order = _paid_order(box, merchant, body)
        wanted = _amounts(order, body)
        key = f"wechatpay|{merchant['mchid']}|{number}"
        row = box.book.get("refunds", key)
        if row is not None:
            if (row["order"], row["amount_fen"]) != (order["key"], wanted):
                raise Problem("INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")
            return answer(shown(row, order))
        row = _accept(box, order, key, number, wanted, body)
    box.notifier.at(box.settings["refund_ms"] / 1000, finish, box, key)
    return answer(shown(row, order))


def _paid_order(box: Sandbox, merchant: dict, body: dict) -> dict:
    key = box.book.by_txn.get(body.get("transaction_id") or "-")
    key = key or f"{merchant['mchid']}|{body.get('out_trade_no', '')}"
    order = box.book.get("orders", key)
    if order is None or order["account"] != merchant["mchid"]:
        raise Problem("RESOURCE_NOT_EXISTS", "订单不存在")
    if order["state"] not in ("SUCCESS", "REFUND"):
        raise Problem("INVALID_REQUEST", "订单未支付，不能退款")
    if box.book.business_ms() - order["success_ms"] > YEAR_MS:
        raise Problem("INVALID_REQUEST", "订单已经超过可退款的最大期限")
    return order


def _amounts(order: dict, body: dict) -> int:
    amount = body.get("amount") or {}
    wanted, total = amount.get("refund"), amount.get("total")
    if type(wanted) is not int or wanted < 1 or amount.get("currency") != "CNY":
        raise Problem("PARAM_ERROR", "退款金额amount.refund或currency错误")
    if total != order["amount_fen"]:
        raise Problem("INVALID_REQUEST", "原订单金额与请求不一致")
    return wanted


def _accept(box: Sandbox, order: dict, key: str, number: str, wanted: int, body: dict) -> dict:
    others = [
        r for r in box.book.rows("refunds") if r["order"] == order["key"] and r["state"] != "CLOSED"
    ]
    if sum(r["amount_fen"] for r in others) + wanted > order["amount_fen"]:
        raise Problem("INVALID_REQUEST", "申请退款金额大于订单可退金额")
    if len(others) >= 50:
        raise Problem("INVALID_REQUEST", "退款次数超过50次")
    outcomes = box.book.get("meta", "refund_outcomes") or {"value": {}}
    return box.book.put("refunds", key, {
        "key": key, "channel": "wechatpay", "merchant": order["merchant"], "order": order["key"],
        "out_trade_no": order["out_trade_no"], "out_refund_no": number, "amount_fen": wanted,
        "refund_id": "5030" + box.book.number(24), "state": "PROCESSING", "asked_at": now_ms(),
        "asked_ms": box.book.business_ms(), "done_at": None, "done_ms": None,
        "reason": body.get("reason") or "", "notify_url": body.get("notify_url") or "",
        "outcome": outcomes["value"].get(order["out_trade_no"], "SUCCESS"),
    })  # fmt: skip


def finish(box: Sandbox, key: str) -> None:
    """Bring a refund to the outcome chosen for it (SUCCESS unless the console said otherwise)."""
    with box.book.lock:
        row = box.book.get("refunds", key)
        if row is None or row["state"] != "PROCESSING" or row["outcome"] == "PROCESSING":
            return
        order = box.book.get("orders", row["order"])
        row |= {"state": row["outcome"], "done_at": now_ms(), "done_ms": box.book.business_ms()}
        box.book.put("refunds", key, row)
        if row["state"] == "SUCCESS":
            order["refunded_fen"] += row["amount_fen"]
            order["state"] = "REFUND"
            box.book.put("orders", order["key"], order)
    merchant = box.book.get("merchants", row["merchant"])
    plain = shown(row, order)
    plain["refund_status"] = plain.pop("status")
    plain |= {"mchid": merchant["mchid"]}
    for name in ("channel", "funds_account", "create_time"):
        plain.pop(name)
    keep = ("total", "refund", "payer_total", "payer_refund")
    plain["amount"] = {name: plain["amount"][name] for name in keep}
    notify(
        box, merchant, row["notify_url"], f"REFUND.{row['state']}", plain,
        out_trade_no=row["out_trade_no"], out_refund_no=row["out_refund_no"],
    )  # fmt: skip


def settle_again(box: Sandbox, key: str, outcome: str) -> None:
    """Console: give a waiting or abnormal refund its (new) outcome and tell the merchant."""
    with box.book.lock:
        row = box.book.get("refunds", key)
        row |= {"state": "PROCESSING", "outcome": outcome}
        box.book.put("refunds", key, row)
    finish(box, key)


@bp.get("/v3/refund/domestic/refunds/<number>")
def query(number: str) -> Response:
    def run(merchant: dict) -> Response:
        row = here().book.get("refunds", f"wechatpay|{merchant['mchid']}|{number}")
        if row is None:
            raise Problem("RESOURCE_NOT_EXISTS", "退款单不存在")
        return answer(shown(row, here().book.get("orders", row["order"])))

    return serve("refund_query", run, number)


def shown(row: dict, order: dict) -> dict:
    """The refund as the platform shows it (fen)."""
    body = {
        "refund_id": row["refund_id"], "out_refund_no": row["out_refund_no"],
        "transaction_id": order["transaction_id"], "out_trade_no": row["out_trade_no"],
        "channel": "ORIGINAL", "user_received_account": "支付用户零钱",
        "create_time": rfc3339(row["asked_ms"]), "status": row["state"],
        "funds_account": "UNSETTLED",
        "amount": {
            "total": order["amount_fen"], "refund": row["amount_fen"],
            "payer_total": order["amount_fen"], "payer_refund": row["amount_fen"],
            "settlement_refund": row["amount_fen"], "settlement_total": order["amount_fen"],
            "discount_refund": 0, "currency": "CNY",
        },
    }  # fmt: skip
    if row["state"] == "SUCCESS":
        body["success_time"] = rfc3339(row["done_ms"])
    return body
