"""Payments, refunds, and what waits for a person."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from admin.api.common import OFFICE, OVERSEERS, PREFIX, PageIn, ReasonIn, scope
from backend.payments.models import LIVE, PAID
from backend.reports import payments as reports
from backend.reports import texts
from backend.reports.exceptions import list_exceptions as exceptions
from backend.usecases import approve_refund as second
from backend.usecases import refund_payment as first
from backend.web import (
    Blueprint,
    Choice,
    Empty,
    Fen,
    Id,
    Instant,
    Schema,
    Text,
    current_key,
    idempotent,
    policy,
)

blp = Blueprint("money", __name__, url_prefix=PREFIX, description="Payments and refunds")


class PaymentsIn(PageIn):
    """state: only orders in it."""

    state = Choice(*LIVE, "closed", *PAID, load_default=None)


class PaymentRowOut(Schema):
    """A payment order; refunded_fen counts refunds that were not closed or rejected."""

    out_trade_no = ma.fields.String(required=True)
    channel_text = ma.fields.String(required=True)
    state = ma.fields.String(required=True)
    state_text = ma.fields.String(required=True)
    amount_fen = ma.fields.Integer(required=True)
    amount_text = ma.fields.String(required=True)
    refunded_fen = ma.fields.Integer(required=True)
    at = Instant(required=True)
    house_id = Id(required=True)
    house_code = ma.fields.String(required=True)
    community_name = ma.fields.String(required=True)


class PaymentsOut(Schema):
    """Payment orders, newest first."""

    items = ma.fields.List(ma.fields.Nested(PaymentRowOut), required=True)
    next_cursor = ma.fields.String(allow_none=True)


class RefundIn(Schema):
    """Unspent credit of an order's payer, in fen, and why."""

    out_trade_no = Text(64, required=True)
    amount_fen = Fen(required=True)
    reason = Text(80, required=True)


class RefundOut(Schema):
    """needs_approval: another person must approve before anything is sent."""

    out_refund_no = ma.fields.String(required=True)
    state = ma.fields.String(required=True)
    state_text = ma.fields.String(required=True)
    amount_fen = ma.fields.Integer(required=True)
    needs_approval = ma.fields.Boolean(required=True)


class WaitingRefundOut(Schema):
    """A refund that waits for a second person; mine: the caller asked for it."""

    out_refund_no = ma.fields.String(required=True)
    amount_fen = ma.fields.Integer(required=True)
    amount_text = ma.fields.String(required=True)
    requested_by = ma.fields.String(required=True)
    mine = ma.fields.Boolean(required=True)


class ExceptionOut(Schema):
    """Something a person must look at; refund only with the kind `waiting_refund`."""

    kind = ma.fields.String(required=True)
    kind_text = ma.fields.String(required=True)
    id = Id(required=True)
    at = Instant(required=True)
    reason = ma.fields.String(required=True)
    refund = ma.fields.Nested(WaitingRefundOut, allow_none=True, required=True)


class ExceptionsOut(Schema):
    """What waits for a person, newest first."""

    items = ma.fields.List(ma.fields.Nested(ExceptionOut), required=True)
    next_cursor = ma.fields.String(allow_none=True)


def _refund(answer: first.RefundAnswer) -> dict[str, Any]:
    return {
        "out_refund_no": answer.out_refund_no,
        "state": answer.state,
        "state_text": texts.REFUND[answer.state],
        "amount_fen": answer.amount_fen,
        "needs_approval": answer.needs_approval,
    }


@blp.get("/payments")
@policy(*OVERSEERS)
@blp.arguments(PaymentsIn, location="query")
@blp.response(200, PaymentsOut)
def list_payments(query: dict[str, Any]) -> dict[str, Any]:
    """Payment orders of the company, newest first."""
    return reports.list_payments(scope(), **query)


@blp.post("/refunds")
@policy(*OFFICE)
@idempotent(binds=True)
@blp.arguments(RefundIn)
@blp.response(201, RefundOut)
def refund_payment(body: dict[str, Any]) -> dict[str, Any]:
    """Refund unspent credit the way it was paid."""
    key = current_key()
    return _refund(
        first.refund_payment(scope=scope(), **body, out_refund_no=key.reference, bind=key.bind)
    )


@blp.post("/refunds/<string(maxlength=64):out_refund_no>/approve")
@policy(*OFFICE)
@idempotent(binds=True)
@blp.arguments(Empty)
@blp.response(200, RefundOut)
def approve_refund(_: dict[str, Any], out_refund_no: str) -> dict[str, Any]:
    """The second person approves a refund above the limit."""
    key = current_key()
    return _refund(
        second.approve_refund(
            scope=scope(),
            out_refund_no=out_refund_no,
            already=key.reference is not None,
            bind=key.bind,
        )
    )


@blp.post("/refunds/<string(maxlength=64):out_refund_no>/reject")
@policy(*OFFICE)
@idempotent
@blp.arguments(ReasonIn)
@blp.response(200, RefundOut)
def reject_refund(body: dict[str, Any], out_refund_no: str) -> dict[str, Any]:
    """The second person refuses a refund; the money becomes credit again."""
    return _refund(second.reject_refund(scope=scope(), out_refund_no=out_refund_no, **body))


@blp.get("/exceptions")
@policy(*OFFICE)
@blp.arguments(PageIn, location="query")
@blp.response(200, ExceptionsOut)
def list_exceptions(query: dict[str, Any]) -> dict[str, Any]:
    """Quarantined notices, dead tasks, messages, refunds, orders in doubt, refunds to approve."""
    return exceptions(scope(), **query)
