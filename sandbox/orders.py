"""Payment orders of both channels, and the act of paying one."""

from __future__ import annotations

from .state import Book, china_time, now_ms
from .web import Sandbox

SEVEN_DAYS = 7 * 86_400_000


class CannotPay(Exception):
    """The payer sees this text instead of a success page."""


def new_order(book: Book, key: str, wanted: dict) -> dict:
    """A fresh order row; ``wanted`` carries channel, merchant, number, amount, state ..."""
    row = {
        "key": key, "transaction_id": "", "created_at": now_ms(), "paid_at": None,
        "success_ms": None, "created_ms": book.business_ms(), "closed_at": None,
        "refunded_fen": 0, "payer": "", "payer_openid": "", **wanted,
    }  # fmt: skip
    return book.put("orders", key, row)


def expired(book: Book, order: dict) -> bool:
    """Whether the last moment to pay has passed."""
    return bool(order["expire_at"]) and book.business_ms() >= order["expire_at"]


def refresh(box: Sandbox, order: dict) -> dict:
    """Apply what time alone does to an order: closing after its life."""
    if order["channel"] == "alipay":
        from . import alipay_trade

        return alipay_trade.refresh(box, order)
    if order["state"] == "NOTPAY" and now_ms() > order["created_at"] + SEVEN_DAYS:
        order |= {"state": "CLOSED", "closed_at": now_ms()}
        box.book.put("orders", order["key"], order)
    return order


def pay(box: Sandbox, order: dict, person: str | None) -> dict:
    """Pay the order at the platform as ``person``; its callback is queued. Raises CannotPay."""
    from . import alipay_trade, wechatpay

    side = wechatpay if order["channel"] == "wechatpay" else alipay_trade
    book = box.book
    with book.lock:
        order = refresh(box, order)
        why = side.may_pay(box, order, person)
        if why:
            raise CannotPay(why)
        payer = person or order["person"] or "p0"
        done = "SUCCESS" if order["channel"] == "wechatpay" else "TRADE_SUCCESS"
        order |= {
            "state": done, "paid_at": now_ms(), "success_ms": book.business_ms(), "payer": payer,
            "transaction_id": transaction_number(book, order), "payer_openid":
            order.get("openid") or book.openid(order["appid"], payer),
        }  # fmt: skip
        book.put("orders", order["key"], order)
    side.paid(box, order)
    return order


def transaction_number(book: Book, order: dict) -> str:
    """A platform transaction number of 28 digits: WeChat's starts 4200, Alipay's with the day."""
    day = china_time(book.business_ms()).strftime("%Y%m%d")
    if order["channel"] == "wechatpay":
        return f"4200{book.number(6)}{day}{book.number(10)}"
    return order["transaction_id"] or f"{day}2200{book.number(16)}"


def find(book: Book, number: str, *, channel: str = "", merchant: str = "") -> dict | None:
    """The order with this out_trade_no; with several merchants the newest that fits."""
    found = [book.get("orders", key) for key in book.by_number.get(number, [])]
    fits = [
        o
        for o in found
        if o and channel in ("", o["channel"]) and merchant in ("", o["merchant"], o["account"])
    ]
    return fits[-1] if fits else None
