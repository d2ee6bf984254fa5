"""What the views share: the scope of the caller, paging arguments, small output shapes."""

from __future__ import annotations

import marshmallow as ma

from backend.identity.scope import Scope, scope_of
from backend.web import Choice, Id, Instant, Schema, Text, current_steward

PREFIX = "/admin/api/v1"
OFFICE = ("finance", "manager", "admin")
OVERSEERS = ("lead", *OFFICE)
SUPERVISORS = ("lead", "manager", "admin")


def scope() -> Scope:
    """Return what the caller may see."""
    return scope_of(current_steward())


class PageIn(Schema):
    """Query of a list: the cursor of the page before."""

    cursor = ma.fields.String(validate=ma.validate.Length(max=400), load_default=None)


class PermissionOut(Schema):
    """May this contact be made now? code and reason_zh say why not; next_at when it may."""

    allowed = ma.fields.Boolean(required=True)
    code = ma.fields.String(allow_none=True)
    reason_zh = ma.fields.String(allow_none=True)
    next_at = Instant(allow_none=True)


class TotalsOut(Schema):
    """Sums of open bills."""

    open_fen = ma.fields.Integer(required=True)
    late_fee_fen = ma.fields.Integer(required=True)
    payable_fen = ma.fields.Integer(required=True)
    payable_text = ma.fields.String(required=True)


LateFeeStepOut = Schema.from_dict(
    {
        "from": ma.fields.Date(required=True),
        "to": ma.fields.Date(required=True, metadata={"description": "last day, inclusive"}),
        "days": ma.fields.Integer(required=True),
        "base_fen": ma.fields.Integer(required=True),
        "rate_text": ma.fields.String(required=True),
        "exact_text": ma.fields.String(required=True),
    },
    name="LateFeeStepOut",
)


class BillLineOut(Schema):
    """A line with the formula an owner can recompute."""

    formula = ma.fields.String(required=True)
    fen = ma.fields.Integer(required=True)
    text = ma.fields.String(required=True)
    standard_name = ma.fields.String(required=True)
    basis = ma.fields.String(required=True)


class BillOut(Schema):
    """A bill, late fee as of today."""

    id = Id(required=True)
    house_id = Id(required=True)
    party_id = Id(required=True)
    house_label = ma.fields.String(required=True)
    fee_name = ma.fields.String(required=True)
    period_from = ma.fields.Date(required=True)
    period_to = ma.fields.Date(required=True)
    period_text = ma.fields.String(required=True)
    due_date = ma.fields.Date(required=True)
    overdue_days = ma.fields.Integer(required=True)
    due_fen = ma.fields.Integer(required=True)
    paid_fen = ma.fields.Integer(required=True)
    waived_fen = ma.fields.Integer(required=True)
    credited_fen = ma.fields.Integer(required=True)
    open_fen = ma.fields.Integer(required=True)
    late_fee_fen = ma.fields.Integer(required=True)
    late_fee_text = ma.fields.String(required=True)
    payable_fen = ma.fields.Integer(required=True)
    payable_text = ma.fields.String(required=True)
    state = Choice("open", "part_paid", "paid", "reversed", required=True)
    state_text = ma.fields.String(required=True)
    late_fee_explained = ma.fields.List(ma.fields.Nested(LateFeeStepOut), required=True)
    lines = ma.fields.List(ma.fields.Nested(BillLineOut), required=True)


class PromiseIn(Schema):
    """A promise to pay: fen, business day, way of paying."""

    amount_fen = ma.fields.Integer(required=True, strict=True)
    day = ma.fields.Date(required=True)
    pay_by = Choice(
        "wechatpay", "alipay", "bank", "cash", "pos", "withhold", load_default="wechatpay"
    )


class ReasonIn(Schema):
    """Why something is done; it stands in the audit trail."""

    reason = Text(200, required=True)
