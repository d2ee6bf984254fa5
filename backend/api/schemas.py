"""Bodies of the owner API, in and out. Names and types are the contract; texts are for people."""

from __future__ import annotations

from marshmallow import fields, validate

from backend.usecases.open_dispute import REASONS
from backend.web import Choice, Fen, Id, Instant, Schema, Text

Day = fields.Date
Number = fields.Integer
String = fields.String
Yes = fields.Boolean


def page_of(item: type[Schema], name: str, **more: fields.Field) -> type[Schema]:
    """Return the schema of a page: items, next_cursor and more."""
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next_cursor": String(allow_none=True, required=True),
            **more,
        },
        name=name,
    )


class LoginIn(Schema):
    appid = Text(64, required=True)
    code = Text(128, required=True)


class LoginOut(Schema):
    token = String()
    expires_at = Instant()
    account_id = Id()
    bound = Yes()


class HouseOut(Schema):
    house_id = Id()
    label = String()
    community_name = String()
    role = Choice("owner", "user", "developer", "co_owner")
    role_text = String()


class HousesOut(Schema):
    houses = fields.List(fields.Nested(HouseOut))


class CompanyOut(Schema):
    name = String()
    hotline = String()


class OwnHouseOut(HouseOut):
    pay_code = String(
        metadata={"description": "query code of this owner's bills of this house at /pay/"}
    )
    pay_url = String(
        metadata={
            "description": "quick-pay address for the phone's own browser: "
            "<PUBLIC_BASE_URL>/pay/bills?c=<pay_code>"
        }
    )
    stopped = Yes(metadata={"description": "the owner asked not to be contacted about arrears"})


class MeOut(Schema):
    account_id = Id()
    houses = fields.List(fields.Nested(OwnHouseOut))
    templates = fields.List(String())
    company = fields.Nested(CompanyOut)


class BindIn(Schema):
    phone_code = Text(256)
    house_code = Text(40)
    community_code = Text(40, allow_none=True)
    name = Text(60)
    phone_last4 = String(validate=validate.Regexp(r"^[0-9]{4}\Z", error="须为 4 位数字。"))


class BillsQuery(Schema):
    house_id = Id()
    state = Choice("open", "all", load_default="open")
    cursor = String(validate=validate.Length(max=200))


LateFeeStepOut = Schema.from_dict(
    {
        "from": Day(),
        "to": Day(),
        "days": Number(),
        "base_fen": Number(),
        "rate_text": String(),
        "exact_text": String(),
    },
    name="LateFeeStepOut",
)


class BillLineOut(Schema):
    formula = String()
    fen = Number()
    text = String()
    standard_name = String()
    basis = String()


class BillOut(Schema):
    id = Id()
    house_id = Id()
    house_label = String()
    fee_name = String()
    period_from = Day()
    period_to = Day()
    period_text = String()
    due_date = Day()
    overdue_days = Number()
    due_fen = Number()
    due_text = String()
    paid_fen = Number()
    waived_fen = Number()
    credited_fen = Number()
    open_fen = Number()
    open_text = String()
    late_fee_fen = Number()
    late_fee_text = String()
    payable_fen = Number()
    payable_text = String()
    state = Choice("open", "part_paid", "paid", "reversed")
    state_text = String()
    late_fee_explained = fields.List(fields.Nested(LateFeeStepOut))
    lines = fields.List(fields.Nested(BillLineOut))


class BillPaymentOut(Schema):
    receipt_no = String(
        allow_none=True, metadata={"description": "null in the first seconds after settling"}
    )
    channel_text = String()
    paid_fen = Number(metadata={"description": "what this bill got, late fee included"})
    paid_text = String()
    paid_at = Instant()


class ListedBillOut(BillOut):
    payments = fields.List(fields.Nested(BillPaymentOut), metadata={"description": "newest first"})


class TotalsOut(Schema):
    open_fen = Number()
    late_fee_fen = Number()
    payable_fen = Number()
    payable_text = String()


BillPage = page_of(ListedBillOut, "BillPage", totals=fields.Nested(TotalsOut), as_of=Day())


class PayIn(Schema):
    bill_ids = fields.List(
        Id(), required=True, validate=validate.Length(1, 100, error="须为 1–100 张账单。")
    )
    channel = Choice("wechatpay", "alipay", required=True)
    method = Choice("jsapi", "h5", "qr", "wap", required=True)


class OrderOut(Schema):
    out_trade_no = String()
    state = String()
    amount_fen = Number()
    amount_text = String()
    time_expire = Instant()


class StartedOut(Schema):
    payment = fields.Nested(OrderOut)
    params = fields.Dict(keys=String(), values=String())


class PaidBillOut(Schema):
    id = Id()
    fee_name = String()
    period_text = String()
    paid_fen = Number()


class PaymentOut(Schema):
    out_trade_no = String()
    channel = String()
    channel_text = String()
    state = String()
    paid = Yes()
    state_text = String()
    amount_fen = Number()
    amount_text = String()
    time_expire = Instant()
    bills = fields.List(fields.Nested(PaidBillOut))
    credit_fen = Number()
    points_earned = Number()
    receipt_no = String(allow_none=True)
    settled_at = Instant(allow_none=True)


class CursorQuery(Schema):
    cursor = String(validate=validate.Length(max=200))


class PointsItemOut(Schema):
    points = Number()
    reason_text = String()
    bill_id = Id(allow_none=True)
    at = Instant()


PointsPage = page_of(
    PointsItemOut, "PointsPage", balance=Number(), shortage=Number(), rule_text=String()
)


class RedeemIn(Schema):
    bill_id = Id(required=True)
    points = Number(
        required=True,
        strict=True,
        validate=validate.Range(1, 10**9, error="须为 1 到 1000000000 的整数。"),
    )


class RedeemOut(Schema):
    points_used = Number()
    fen = Number()
    bill = fields.Nested(BillOut)


class PromiseIn(Schema):
    house_id = Id(required=True)
    amount_fen = Fen(required=True)
    day = Day(required=True)
    pay_by = Choice("wechatpay", "alipay", "cash", "pos", "bank", load_default="wechatpay")


class PromiseOut(Schema):
    id = Id()
    state = String()
    day = Day()
    amount_fen = Number()
    amount_text = String()
    reminder_day = Day(allow_none=True)


class DisputeIn(Schema):
    bill_id = Id(required=True)
    amount_fen = Fen(allow_none=True, load_default=None)
    reason_code = Choice(*REASONS, required=True)
    text = Text(500, required=True)


class DisputeOut(Schema):
    hold_id = Id()
    answer_by = Day()


class HouseIn(Schema):
    house_id = Id(required=True)


class HoldOut(Schema):
    hold_id = Id()


class SubscriptionsIn(Schema):
    appid = Text(64, required=True)
    results = fields.Dict(
        keys=Text(64),
        values=Choice("accept", "reject", "ban", "filter"),
        required=True,
        validate=validate.Length(1, 5, error="须为 1–5 个模板。"),
    )


class RecordedOut(Schema):
    recorded = Number()


class ContactsQuery(CursorQuery):
    house_id = Id(required=True)


class ContactOut(Schema):
    at = Instant()
    kind = Choice("message", "call", "visit")
    channel_text = String()
    text = String()


ContactPage = page_of(ContactOut, "ContactPage")
