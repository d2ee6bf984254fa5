"""One tap to pay, and what became of it: the answer always comes from the server."""

from __future__ import annotations

from typing import Any

from flask import request

from backend.api import schemas
from backend.money import yuan_text
from backend.reports.owner import payment_view, require_order
from backend.usecases.pay_bills import pay_as_owner
from backend.usecases.watch_payment import watch_payment
from backend.web import Blueprint, current_key, current_owner, idempotent, policy, with_svg

blp = Blueprint("owner_payments", __name__, url_prefix="/api/v1", description="缴费")


@blp.post("/payments")
@policy("owner")
@idempotent(binds=True)
@blp.arguments(schemas.PayIn)
@blp.response(201, schemas.StartedOut)
def start_payment(body: dict[str, Any]) -> Any:
    """Open a payment for any subset of the owner's bills."""
    me, key = current_owner(), current_key()
    started = pay_as_owner(
        account_id=me.account_id,
        company_id=me.company_id,
        client_ip=request.remote_addr,
        reference=key.reference,
        bind=key.bind,
        **body,
    )
    order = started["order"]
    return {
        "payment": {
            "out_trade_no": order.out_trade_no,
            "state": order.state,
            "amount_fen": order.amount_fen,
            "amount_text": yuan_text(order.amount_fen),
            "time_expire": order.time_expire,
        },
        "params": with_svg(started["params"]),
    }


@blp.get("/payments/<string(maxlength=64):out_trade_no>")
@policy("owner")
@blp.response(200, schemas.PaymentOut)
def get_payment(out_trade_no: str) -> Any:
    """What became of one of the owner's own payments."""
    payer = current_owner().key
    require_order(out_trade_no=out_trade_no, payer=payer)
    watch_payment(out_trade_no)
    return payment_view(require_order(out_trade_no=out_trade_no, payer=payer))
