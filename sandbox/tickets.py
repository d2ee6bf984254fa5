"""What a payer holds in his hand (prepay id, QR code, cashier link) and the order behind it."""

from __future__ import annotations

from urllib.parse import parse_qs, parse_qsl, urlsplit

from .accounts import Refused
from .alipay_wire import Problem
from .orders import CannotPay, find
from .state import now_ms
from .web import Sandbox


def order_from(box: Sandbox, body: dict) -> dict:
    """The order named by out_trade_no, prepay_id, qr_code, wap_url or h5_url. Raises Refused.

    Scanning a code or opening a cashier link has the same effect as on a phone: an Alipay trade
    begins to exist.
    """
    from . import alipay_trade

    if body.get("out_trade_no"):
        order = find(
            box.book, body["out_trade_no"],
            channel=body.get("channel", ""), merchant=body.get("merchant", ""),
        )  # fmt: skip
    elif body.get("wap_url"):
        parts = urlsplit(body["wap_url"])
        base = f"{parts.scheme}://{parts.netloc}"
        try:
            order = alipay_trade.open_wap(box, dict(parse_qsl(parts.query, True)), base)
        except Problem as problem:
            raise CannotPay(f"{problem.sub_code} {problem}") from None
    else:
        order = box.book.get("orders", _ticket(box, body)["order"])
    if order is None:
        raise Refused("没有这笔订单")
    if order["channel"] == "alipay":
        alipay_trade.begin(box, order)
    return order


def _ticket(box: Sandbox, body: dict) -> dict:
    text = body.get("prepay_id") or body.get("qr_code") or body.get("h5_url") or ""
    text = text.removeprefix("prepay_id=")
    parts = urlsplit(text)
    if parts.query:
        values = parse_qs(parts.query)
        text = (values.get("pr") or values.get("prepay_id") or [""])[0]
    elif parts.path:
        text = parts.path.rsplit("/", 1)[-1]
    ticket = box.book.get("tickets", text)
    if ticket is None:
        raise Refused("二维码、链接或prepay_id无法识别")
    if ticket["ends_at"] < now_ms():
        raise Refused("二维码或prepay_id已过期")
    return ticket
