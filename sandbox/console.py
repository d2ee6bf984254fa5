"""The merchant's and the tester's console under ``/_sandbox``: accounts, people, paying, faults.

No authentication: the sandbox listens on the loopback address only. See README.md for the shapes.
"""

from __future__ import annotations

from flask import Blueprint, jsonify, request

from . import accounts, wechat_push
from .accounts import Refused
from .orders import CannotPay, find, pay
from .state import now_ms
from .tickets import order_from
from .web import DEFAULTS, here

bp = Blueprint("console", __name__, url_prefix="/_sandbox")


def _body() -> dict:
    return request.get_json(silent=True) or {}


@bp.errorhandler(Refused)
@bp.errorhandler(ValueError)
def _refused(error: Exception):
    return jsonify(error=str(error)), 400


@bp.errorhandler(CannotPay)
def _cannot_pay(error: CannotPay):
    return jsonify(error=str(error)), 409


@bp.get("/health")
def health():
    return jsonify(ok=True, now=now_ms())


# --- accounts -------------------------------------------------------------------------------
@bp.post("/merchants")
def merchants():
    return jsonify(accounts.merchant_file(accounts.open_merchant(here().book, _body())))


@bp.get("/merchants")
def merchant_list():
    return jsonify([accounts.merchant_file(m) for m in here().book.rows("merchants")])


@bp.get("/merchants/<name>/certificate")
def merchant_certificate(name: str):
    row = here().book.get("merchants", name) or {}
    names = ("certificate_serial", "certificate_pem")
    return jsonify({n: row[n] for n in names if n in row}), 200 if row else 404


@bp.post("/apps")
def apps():
    return jsonify(accounts.app_file(accounts.open_app(here().book, _body())))


@bp.get("/apps")
def app_list():
    return jsonify([accounts.app_file(a) for a in here().book.rows("apps")])


@bp.post("/apps/<name>/verify-push")
def verify_push(name: str):
    app = accounts.find_app(here().book, name)
    return jsonify(ok=wechat_push.verify_url(app))


@bp.post("/tokens/expire")
def expire_tokens():
    book, appid = here().book, accounts.find_app(here().book, _body()["appid"])["appid"]
    with book.lock:
        for key, row in list(book.tables["tokens"].items()):
            if row["appid"] == appid:
                book.put("tokens", key, row | {"ends_at": 0})
    return jsonify(ok=True)


@bp.post("/sms")
def sms():
    return jsonify(accounts.sms_file(accounts.open_sms(here().book, _body())))


# --- people ---------------------------------------------------------------------------------
@bp.post("/people")
def people():
    book, body = here().book, request.get_json(silent=True) or {}
    if isinstance(body, list):
        return jsonify([accounts.person_shown(book, accounts.add_person(book, b)) for b in body])
    return jsonify(accounts.person_shown(book, accounts.add_person(book, body)))


@bp.get("/people")
def people_list():
    book = here().book
    return jsonify([accounts.person_shown(book, p) for p in book.rows("people")])


@bp.get("/people/<who>")
def person_one(who: str):
    return jsonify(accounts.person_shown(here().book, accounts.find_person(here().book, who)))


def _code(kind: str, who: str, prefix: str) -> str:
    from .keys import token

    book, person = here().book, accounts.find_person(here().book, who)
    appid = accounts.find_app(book, _body().get("appid", ""))["appid"]
    code = prefix + token(31)
    row = {"kind": kind, "person": person["id"], "appid": appid, "ends_at": now_ms() + 300_000}
    book.put("codes", code, row | {"used": False})
    return code


@bp.post("/people/<who>/login-code")
def login_code(who: str):
    code = _code("login", who, "0")
    return jsonify(code=code, js_code=code)


@bp.post("/people/<who>/phone-code")
def phone_code(who: str):
    return jsonify(code=_code("phone", who, "e"))


@bp.post("/people/<who>/follow")
def follow(who: str):
    book, person, body = here().book, accounts.find_person(here().book, who), _body()
    app = accounts.find_app(book, body.get("appid", ""))
    wanted = bool(body.get("follow", True))
    with book.lock:
        others = [a for a in person["follows"] if a != app["appid"]]
        person["follows"] = others + ([app["appid"]] if wanted else [])
        book.put("people", person["id"], person)
    wechat_push.followed(here(), app, person, wanted)
    return jsonify(accounts.person_shown(book, person))


@bp.post("/people/<who>/grant")
def grant(who: str):
    book, person, body = here().book, accounts.find_person(here().book, who), _body()
    app = accounts.find_app(book, body.get("appid", ""))
    template = body.get("template_id") or app["templates"][body["event"]]["id"]
    result, more = body.get("result", "accept"), int(body.get("n", 1))
    key = f"{app['appid']}|{person['id']}|{template}"
    with book.lock:
        row = book.get("grants", key) or {"key": key, "left": 0, "blocked": False}
        row["left"] += more if result == "accept" else 0
        row["blocked"] = result == "ban"
        book.put("grants", key, row)
    wechat_push.granted(here(), app, person, template, result)
    return jsonify(left=row["left"], template_id=template)


# --- paying ---------------------------------------------------------------------------------
@bp.post("/pay")
def pay_order():
    body, box = _body(), here()
    order = order_from(box, body)
    who = body.get("person")
    person = accounts.find_person(box.book, str(who))["id"] if who else None
    if body.get("result", "confirm") == "cancel":
        return jsonify(result="cancelled", out_trade_no=order["out_trade_no"])
    return jsonify(result="paid", **pay(box, order, person))


@bp.post("/auth-code")
def auth_code():
    body, book = _body(), here().book
    person = accounts.find_person(book, str(body.get("person", "")))
    code = "28" + book.number(16)
    row = {"kind": "bar", "person": person["id"], "appid": "", "ends_at": now_ms() + 300_000}
    book.put("codes", code, row | {"used": False, "ask": bool(body.get("ask"))})
    return jsonify(auth_code=code)


@bp.post("/refund-outcome")
def refund_outcome():
    from .wechatpay_refund import settle_again

    book, body = here().book, _body()
    outcome = body.get("outcome", "SUCCESS")
    if outcome not in ("SUCCESS", "ABNORMAL", "CLOSED", "PROCESSING"):
        raise ValueError("outcome must be SUCCESS, ABNORMAL, CLOSED or PROCESSING")
    if body.get("out_refund_no"):
        keys = [
            k
            for k, r in list(book.tables["refunds"].items())
            if r["out_refund_no"] == body["out_refund_no"] and r["channel"] == "wechatpay"
        ]
        for key in keys:
            settle_again(here(), key, outcome)
        return jsonify(changed=len(keys))
    with book.lock:
        row = book.get("meta", "refund_outcomes") or {"value": {}}
        row["value"][body["out_trade_no"]] = outcome
        book.put("meta", "refund_outcomes", row)
    return jsonify(ok=True)


# --- misbehaviour, settings, reset ----------------------------------------------------------
@bp.route("/faults", methods=["GET", "POST", "DELETE"])
def faults():
    all_faults = here().faults
    if request.method == "POST":
        return jsonify(all_faults.add(_body()))
    if request.method == "DELETE":
        return jsonify(removed=all_faults.remove(where=request.args.get("where")))
    return jsonify(all_faults.list())


@bp.delete("/faults/<int:number>")
def fault_gone(number: int):
    return jsonify(removed=here().faults.remove(number=number))


@bp.route("/settings", methods=["GET", "POST"])
def settings():
    box = here()
    if request.method == "POST":
        wanted = _body()
        unknown = set(wanted) - set(DEFAULTS)
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}; known: {sorted(DEFAULTS)}")
        box.settings.update(wanted)
        box.book.put("meta", "settings", {"value": box.settings})
    return jsonify(box.settings)


@bp.route("/clock", methods=["GET", "POST"])
def clock():
    book = here().book
    if request.method == "POST":
        offset = int(float(_body().get("offset_seconds", 0)) * 1000)
        book.put("meta", "clock", {"offset_ms": offset})
    offset = (book.get("meta", "clock") or {"offset_ms": 0})["offset_ms"]
    return jsonify(offset_seconds=offset / 1000, now=now_ms(), business_now=book.business_ms())


@bp.post("/reset")
def reset():
    box = here()
    box.notifier.clear()
    box.faults.remove()
    box.book.reset(everything=bool(_body().get("everything")))
    for name in ("refund_outcomes", "clock", "settings"):
        if name in box.book.tables["meta"]:
            box.book.put("meta", name, {"value": {}})
    box.settings.update(DEFAULTS)
    box.requests.clear()
    box.counts.clear()
    return jsonify(ok=True)


@bp.post("/notify/resend")
def resend():
    box, body = here(), _body()
    order = find(box.book, body.get("out_trade_no", ""))
    rows = [
        d
        for d in box.book.rows("deliveries")
        if order and d["about"].get("out_trade_no") == order["out_trade_no"]
        and d["point"].endswith(".notify")
    ]  # fmt: skip
    if not rows:
        return jsonify(error="no callback for this order"), 404
    return jsonify(box.notifier.deliver(rows[-1], kind="resend"))
