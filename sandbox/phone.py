"""The page ``/phone``: an owner's phone with its messages and the cashiers that wait on it."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from markupsafe import Markup, escape

from . import accounts, cashier, wechat_push
from .accounts import Refused
from .orders import CannotPay, pay
from .state import china_time, now_ms
from .tickets import order_from
from .web import here

bp = Blueprint("phone", __name__)
LABELS = {
    "thing": "事项", "amount": "金额", "date": "日期", "time": "时间", "character_string": "编号",
    "phrase": "状态", "name": "姓名", "phone_number": "电话", "number": "数量",
}  # fmt: skip
TITLES = {
    "bill_issued": "账单通知", "due_in_7": "缴费提醒", "due_in_1": "缴费提醒",
    "overdue_3": "缴费提醒", "overdue_warm": "缴费提醒", "promise_tomorrow": "预约缴费提醒",
    "receipt": "缴费成功通知", "paid_twice": "重复缴费通知", "credit_refunded": "退款通知",
}  # fmt: skip
LINK = re.compile(r"https?://[\w\-.:/?=&%#~+@!$*;]+[\w/]")


def linked(text: str) -> Markup:
    """The text with its web addresses made clickable."""
    parts, at = [], 0
    for found in LINK.finditer(text):
        url = escape(found[0])
        parts += [escape(text[at : found.start()]), Markup(f'<a href="{url}">{url}</a>')]
        at = found.end()
    return Markup("").join([*parts, escape(text[at:])])


def _message(row: dict) -> dict:
    """What the template shows of one message."""
    sms = row["channel"] in ("sms", "voice")
    shown = {
        "id": row["id"], "kind": row["channel"], "sms": sms, "text": linked(row["text"]),
        "at": china_time(row["received_at"]).strftime("%m月%d日 %H:%M"), "fields": [], "link": "",
        "event": row["event"],
    }  # fmt: skip
    if sms:
        return shown
    app = here().book.get("apps", row["app"]) or {}
    shown["sender"] = "服务通知" if row["channel"] == "wechat_subscribe" else row["app"]
    shown["title"] = TITLES.get(row["event"], row["event"])
    for key, entry in (row["data"] or {}).items():
        kind = re.sub(r"\d+$", "", key)
        big = kind == "amount"
        shown["fields"].append((LABELS.get(kind, key), entry.get("value", ""), big))
    page = row["page"] or row["miniprogram"].get("pagepath", "")
    shown["page"] = page
    shown["link"] = row["url"] if urlsplit(row["url"]).scheme in ("http", "https") else ""
    shown["mini"] = app.get("kind") == "miniprogram" or bool(row["miniprogram"])
    return shown


def _screen(person: dict) -> tuple[str, str]:
    """(HTML of the changing part of the phone, a version that changes with it)."""
    book = here().book
    numbers = book.by_person.get(person["id"], [])[-60:]
    rows = [book.get("messages", n) for n in numbers]
    shown = [_message(r) for r in reversed(rows) if r and r["accepted"]]
    html = render_template(
        "screen.html", person=person, cashiers=cashier.pending(person["id"]), messages=shown
    )
    return html, hashlib.sha1(html.encode()).hexdigest()[:12]


@bp.errorhandler(Refused)
def _refused(error: Refused):
    return redirect(url_for("phone.people", error=str(error)))


@bp.get("/phone")
def people():
    book = here().book
    rows = sorted(book.rows("people"), key=lambda p: -len(book.by_person.get(p["id"], [])))[:200]
    shown = [p | {"count": len(book.by_person.get(p["id"], []))} for p in rows]
    return render_template("people.html", people=shown, error=request.args.get("error", ""))


@bp.post("/phone")
def add():
    form = request.form
    wanted = {"phone": form.get("phone", ""), "nickname": form.get("nickname", ""), "follows": True}
    person = accounts.add_person(here().book, wanted)
    return redirect(url_for("phone.one", who=person["id"]))


@bp.get("/phone/<who>")
def one(who: str):
    person = accounts.find_person(here().book, who)
    html, version = _screen(person)
    page = render_template(
        "phone.html", person=person, screen=Markup(html), version=version,
        clock=china_time(now_ms()).strftime("%H:%M"), apps=_apps(person),
        note=request.args.get("note", ""),
    )  # fmt: skip
    answer = make_response(page)
    answer.set_cookie(cashier.COOKIE, person["id"], samesite="Lax")
    return answer


def _apps(person: dict) -> list[dict]:
    rows = here().book.rows("apps")
    return [a | {"followed": a["appid"] in person["follows"]} for a in rows]


@bp.get("/phone/<who>/screen")
def screen(who: str):
    html, version = _screen(accounts.find_person(here().book, who))
    if request.args.get("version") == version:
        return "", 204
    return html, 200, {"X-Version": version}


@bp.post("/phone/<who>/pay")
def pay_or_cancel(who: str):
    box, person = here(), accounts.find_person(here().book, who)
    order, note = box.book.get("orders", request.form.get("key", "")), ""
    if order is None:
        note = "订单不存在"
    elif request.form.get("action") == "confirm":
        try:
            pay(box, order, person["id"])
        except CannotPay as why:
            note = str(why)
    else:
        cashier.dismiss(order)
    return redirect(url_for("phone.one", who=person["id"], note=note or None))


@bp.post("/phone/<who>/scan")
def scan(who: str):
    """Scan a QR code's text, paste a payment link, or open a web address."""
    person, text = accounts.find_person(here().book, who), request.form.get("text", "").strip()
    note = None
    try:
        name = "wap_url" if "/gateway.do?" in text else "qr_code"
        cashier.adopt(order_from(here(), {name: text}), person["id"])
    except (Refused, CannotPay) as why:
        if urlsplit(text).scheme in ("http", "https"):
            return redirect(text)
        note = f"无法识别：{why}"
    return redirect(url_for("phone.one", who=person["id"], note=note))


@bp.post("/phone/<who>/follow")
def follow(who: str):
    box, person = here(), accounts.find_person(here().book, who)
    app = accounts.find_app(box.book, request.form.get("appid", ""))
    wanted = app["appid"] not in person["follows"]
    with box.book.lock:
        others = [a for a in person["follows"] if a != app["appid"]]
        person["follows"] = others + ([app["appid"]] if wanted else [])
        box.book.put("people", person["id"], person)
    wechat_push.followed(box, app, person, wanted)
    return redirect(url_for("phone.one", who=person["id"]))
