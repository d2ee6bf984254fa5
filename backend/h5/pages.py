"""The pages of quick pay: code, bills, cashier, result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import (
    Blueprint,
    Response,
    current_app,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from werkzeug.exceptions import HTTPException

from backend.db import db
from backend.errors import Refusal
from backend.h5 import forms, views
from backend.reports.owner import payment_view, require_order
from backend.usecases.pay_bills import pay_by_code
from backend.usecases.watch_payment import watch_payment
from backend.web import limiter, parse_id, policy, with_svg

blp = Blueprint("pay", __name__, url_prefix="/pay", template_folder="templates")
blp.after_request(forms.keep_cookie)
ASSETS = Path(__file__).parent / "assets"


def _missed(response: Response) -> bool:
    return response.status_code == 404


guesses = limiter.shared_limit("20/hour;60/day", scope="pay-code", deduct_when=_missed)


@blp.get("/")
@policy("public")
def start() -> str:
    """Ask for the query code."""
    return render_template("pay/start.html", code=request.args.get("c", "")[:40])


@blp.get("/bills")
@policy("public")
@guesses
def bills() -> str:
    """Show the open bills of a code; all are chosen to begin with."""
    household = _household(request.args.get("c", ""))
    return render_template(
        "pay/bills.html",
        household=household,
        code=household.code.code,
        token=forms.token_for(household.code.code),
        in_wechat=views.inside_wechat(_agent()),
        link=_link(household.code.code),
        **views.bill_list(household),
    )


@blp.post("/start")
@policy("public")
@guesses
def pay() -> Any:
    """Open the payment and go to the cashier, or show what fits this browser instead."""
    household = _household(request.form.get("c", ""))
    code, channel = household.code.code, request.form.get("channel", "")
    forms.require_token(code)
    method = views.method_for(channel, _agent())
    if method is None:
        return render_template("pay/elsewhere.html", code=code, link=_link(code))
    chosen = views.chosen_bills(household, [parse_id(i) for i in request.form.getlist("bill")])
    started = pay_by_code(
        pay_code=household.code,
        company_id=household.company_id,
        bills=chosen,
        channel=channel,
        method=method,
        client_ip=request.remote_addr,
    )
    params, order = with_svg(started["params"]), started["order"]
    cashier = params.get("h5_url") or params.get("pay_url")
    if cashier:
        return redirect(cashier, 303)
    return render_template(
        "pay/scan.html",
        code=code,
        order=payment_view(order),
        svg=params.get("qr_svg", ""),
        content="" if current_app.config["SETTINGS"].is_production else params.get("qr_code", ""),
        channel=channel,
        in_wechat=views.inside_wechat(_agent()),
        link=_link(code),
    )


@blp.get("/status/<string(maxlength=64):number>")
@policy("public")
@guesses
def status(number: str) -> str:
    """Show what became of a payment, as the server knows it."""
    payment = _payment(number)
    return render_template("pay/status.html", payment=payment, code=request.args.get("c", ""))


@blp.get("/status/<string(maxlength=64):number>/state")
@policy("public")
@guesses
def state(number: str) -> Response:
    """The same in short, for the page's own polling."""
    payment = _payment(number)
    return jsonify({name: payment[name] for name in ("state", "paid", "state_text")})


@blp.get("/done")
@policy("public")
def done() -> str:
    """Where a cashier returns to that was opened from the mini-program; it says nothing."""
    return render_template("pay/done.html")


@blp.get("/assets/<path:name>")
@policy("public")
def assets(name: str) -> Response:
    """The page's style and script."""
    return send_from_directory(ASSETS, name, max_age=3600)


@blp.errorhandler(Refusal)
def refused(refusal: Refusal) -> tuple[str, int]:
    """A refusal as a page: what, and what to do."""
    db.session.rollback()
    return _refused(refusal)


@blp.errorhandler(HTTPException)
def failed(error: HTTPException) -> Any:
    """Too many tries, bad addresses: the same page."""
    status_code = error.code or 500
    text = "尝试次数过多，请一小时后再试。" if status_code == 429 else "页面暂时无法打开。"
    refusal = Refusal("page", message_zh=text, http=status_code, what_to_do="请稍后重试。")
    return _refused(refusal)


def _refused(refusal: Refusal) -> tuple[str, int]:
    """The way back: to the bills of a code that was found, else to the field as it was filled in.

    Whether a code is known is asked once, by the counted view; this page must not tell it again.
    """
    typed = request.args.get("c", "")
    if not typed and refusal.http in (404, 429):  # others may be about the body itself
        typed = request.form.get("c", "")
    page = render_template(
        "pay/refused.html", refusal=refusal, known=g.get("pay_code", ""), typed=typed[:40]
    )
    return page, refusal.http


def _household(text: str) -> views.Household:
    household = views.household_of(text)
    g.pay_code = household.code.code
    return household


def _payment(number: str) -> dict[str, Any]:
    household = _household(request.args.get("c", ""))
    payer = f"code:{household.code.code}"
    require_order(out_trade_no=number, payer=payer)
    watch_payment(number)
    return payment_view(require_order(out_trade_no=number, payer=payer))


def _agent() -> str:
    return request.headers.get("User-Agent", "")[:400]


def _link(code: str) -> str:
    """The address to type elsewhere: the public one, whatever name a proxy calls us by."""
    return current_app.config["SETTINGS"].public_base_url + url_for("pay.bills", c=code)
