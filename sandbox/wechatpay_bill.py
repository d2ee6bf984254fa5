"""WeChat Pay statements: the tradebill answer and the file behind its URL.

Unlike the real platform, today's statement can be had at any hour, so that tests need not wait.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from decimal import Decimal

from flask import Blueprint, Response, request

from . import keys
from .state import Book, china_time, now_ms, plain_time
from .web import base_url, here
from .wechatpay_wire import Problem, answer, serve

bp = Blueprint("wechatpay_bill", __name__)
HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
    "付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,"
    "退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMMARY = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
FEE_RATE = Decimal("0.006")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@bp.get("/v3/bill/tradebill")
def tradebill() -> Response:
    day = request.args.get("bill_date", "")

    def run(merchant: dict) -> Response:
        if not DAY.fullmatch(day) or day > _today(here().book):
            raise Problem("PARAM_ERROR", "账单日期bill_date错误")
        kind = request.args.get("bill_type", "ALL")
        if kind not in ("ALL", "SUCCESS", "REFUND"):
            raise Problem("PARAM_ERROR", "bill_type错误")
        text = trade_csv(here().book, merchant, day, kind)
        if text is None:
            raise Problem("NO_STATEMENT_EXIST", "请求的账单文件不存在")
        data, token = text.encode("utf-8-sig"), keys.token(40)
        zipped = request.args.get("tar_type") == "GZIP"
        ticket = {
            "kind": "bill", "merchant": merchant["name"], "day": day, "bill_type": kind,
            "gzip": zipped, "text": text, "ends_at": now_ms() + 300_000,
        }  # fmt: skip
        here().book.put("tickets", token, ticket)
        url = f"{base_url()}/v3/billdownload/file?token={token}"
        digest = hashlib.sha1(data).hexdigest()
        return answer({"hash_type": "SHA1", "hash_value": digest, "download_url": url})

    return serve("bill", run, day)


@bp.get("/v3/billdownload/file")
def download() -> Response:
    def run(merchant: dict) -> Response:
        ticket = here().book.get("tickets", request.args.get("token", ""))
        if not ticket or ticket.get("merchant") != merchant["name"] or ticket["ends_at"] < now_ms():
            raise Problem("PARAM_ERROR", "下载链接已失效")
        data = ticket["text"].encode("utf-8-sig")
        if ticket["gzip"]:
            return Response(gzip.compress(data), mimetype="application/x-gzip")
        return Response(data, mimetype="text/plain")

    return serve("bill_file", run)


def _today(book: Book) -> str:
    return china_time(book.business_ms()).strftime("%Y-%m-%d")


def _yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"


def _day_of(ms: int) -> str:
    return china_time(ms).strftime("%Y-%m-%d")


def trade_csv(book: Book, merchant: dict, day: str, kind: str = "ALL") -> str | None:
    """The statement of a day as text without BOM, or None if there was no trade."""
    orders = [o for o in book.rows("orders") if o["merchant"] == merchant["name"]]
    bought = [o for o in orders if o["paid_at"] and _day_of(o["success_ms"]) == day]
    refunds = [
        r
        for r in book.rows("refunds")
        if r["merchant"] == merchant["name"]
        and r["state"] != "CLOSED"
        and _day_of(r["asked_ms"]) == day
    ]
    if kind == "REFUND":
        bought = []
    if kind == "SUCCESS":
        refunds = []
    lines = [(o["success_ms"], _row(o, None)) for o in bought]
    lines += [(r["asked_ms"], _row(book.get("orders", r["order"]), r)) for r in refunds]
    if not lines:
        return None
    fee = sum((o["amount_fen"] * FEE_RATE / 100 for o in bought), Decimal(0))
    sold, back = sum(o["amount_fen"] for o in bought), sum(r["amount_fen"] for r in refunds)
    totals = [
        f"{len(lines)}.0", _yuan(sold), _yuan(back), "0.00", f"{fee:.2f}", _yuan(sold), _yuan(back)
    ]  # fmt: skip
    rows = [_line(cells) for _, cells in sorted(lines, key=lambda pair: pair[0])]
    return "\r\n".join([HEADER, *rows, SUMMARY, _line(totals), ""])


def _line(cells: list[str]) -> str:
    return ",".join(f"`{cell}" for cell in cells)


def _row(order: dict, refund: dict | None) -> list[str]:
    kind = {"jsapi": "JSAPI", "h5": "MWEB", "native": "NATIVE"}[order["method"]]
    head = [
        plain_time(refund["asked_ms"] if refund else order["success_ms"]), order["appid"],
        order["account"], "0", "", order["transaction_id"], order["out_trade_no"],
        order["payer_openid"], kind, "REFUND" if refund else "SUCCESS", "OTHERS", "CNY",
    ]  # fmt: skip
    if refund:
        amount = _yuan(refund["amount_fen"])
        state = {"ABNORMAL": "FAIL"}.get(refund["state"], refund["state"])
        middle = ["0.00", "0.00", refund["refund_id"], refund["out_refund_no"], amount, "0.00",
                  "ORIGINAL", state]  # fmt: skip
        tail = ["0.00000", "0.60%", "0.00", amount, ""]
    else:
        amount = _yuan(order["amount_fen"])
        middle = [amount, "0.00", "0", "", "0.00", "0.00", "", ""]
        fee = f"{order['amount_fen'] * FEE_RATE / 100:.5f}"
        tail = [fee, "0.60%", amount, "0.00", ""]
    return head + middle + [order["description"], order["attach"]] + tail
