"""The cashiers a browser sees: Alipay's wap and QR page, WeChat's H5 page.

The payer is whoever's phone page was opened last in this browser (a cookie), or a stranger.
"""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request

from . import alipay_wire
from .accounts import Refused
from .orders import CannotPay, find, pay, refresh
from .state import now_ms
from .tickets import order_from
from .web import here

bp = Blueprint("cashier", __name__)
COOKIE = "sandbox_person"
WAITING = ("NOTPAY", "WAIT_BUYER_PAY")


def payer() -> str | None:
    """The person this browser belongs to, or None."""
    number = request.values.get("person") or request.cookies.get(COOKIE, "")
    return number if here().book.get("people", number) else None


def adopt(order: dict, person: str | None) -> dict:
    """Note on whose phone an order without a fixed payer was opened."""
    book = here().book
    with book.lock:
        if person and order["method"] not in ("jsapi", "bar", "create"):
            order["person"] = person
        order.pop("dismissed", None)
        return book.put("orders", order["key"], order)


def card(order: dict) -> dict:
    """What the cashier template shows of an order."""
    alipay = order["channel"] == "alipay"
    merchant = here().book.get("merchants", order["merchant"]) or {}
    return {
        "key": order["key"], "brand": "alipay" if alipay else "wechatpay",
        "brand_name": "支付宝" if alipay else "微信支付",
        "merchant": merchant.get("title") or order["merchant"],
        "description": order["description"], "number": order["out_trade_no"],
        "amount": f"{order['amount_fen'] // 100:,}.{order['amount_fen'] % 100:02d}",
        "open": order["state"] in WAITING, "paid": order["paid_at"] is not None,
    }  # fmt: skip


def _page(order: dict, *, error: str = "", back: str = "") -> Response | str:
    return render_template("cashier.html", order=card(order), error=error, back=back)


def _order_of_token(token: str) -> dict:
    book = here().book
    for order in book.rows("orders"):
        if order.get("token") == token:
            return order
    raise Refused("收银台链接已失效")


@bp.errorhandler(Refused)
def _gone(error: Refused):
    return render_template("cashier.html", order=None, error=str(error), back=""), 404


@bp.get("/cashier/alipay")
def alipay():
    order = refresh(here(), _order_of_token(request.args.get("token", "")))
    return _page(adopt(order, payer()))


@bp.get("/alipay/qr/<token>")
def alipay_qr(token: str):
    """The QR code opened by a phone camera: scanning it brings the trade into being."""
    order = order_from(here(), {"qr_code": token})
    return _page(adopt(order, payer()))


@bp.get("/cashier/wechat-h5")
def wechat_h5():
    order = order_from(here(), {"prepay_id": request.args.get("prepay_id", "")})
    return _page(adopt(refresh(here(), order), payer()), back=request.args.get("redirect_url", ""))


@bp.post("/cashier/act")
def act():
    """The payer pressed confirm or cancel on a cashier page."""
    box, form = here(), request.form
    order = box.book.get("orders", form.get("key", "")) or find(box.book, form.get("key", ""))
    if order is None:
        raise Refused("订单不存在")
    back = form.get("back", "")
    if form.get("action") == "cancel":
        where = order.get("quit_url") or back
        return redirect(where) if where else _page(order, error="已取消支付，订单仍可继续支付")
    try:
        order = pay(box, order, payer())
    except CannotPay as why:
        return _page(order, error=str(why), back=back), 409
    if order.get("return_url"):
        return redirect(alipay_wire.return_link(box, order))
    return redirect(back) if back else _page(order)


def pending(person: str) -> list[dict]:
    """The orders waiting on this person's phone, newest first."""
    box, found = here(), []
    for key in reversed(list(box.book.orders_of.get(person, {}))):
        order = box.book.get("orders", key)
        if order and order["state"] in WAITING and not order.get("dismissed"):
            order = refresh(box, order)
            ended = order["expire_at"] and box.book.business_ms() >= order["expire_at"]
            if order["state"] in WAITING and not ended:
                found.append(card(order))
        if len(found) >= 20:
            break
    return found


def dismiss(order: dict) -> None:
    """The payer closed the sheet: the order stays open but no longer waits on the phone."""
    book = here().book
    with book.lock:
        book.put("orders", order["key"], order | {"dismissed": now_ms()})
