"""Output shapes of the sections of a household page."""

from __future__ import annotations

import marshmallow as ma

from backend.web import Id, Instant, Schema


class HouseOut(Schema):
    """The house itself."""

    id = Id(required=True)
    code = ma.fields.String(required=True)
    community_name = ma.fields.String(required=True)
    building = ma.fields.String(required=True)
    area_text = ma.fields.String(required=True)
    use_text = ma.fields.String(required=True)
    occupancy_text = ma.fields.String(required=True)


class PhoneMaskedOut(Schema):
    """A number, masked; `reveal_phone` shows it."""

    id = Id(required=True)
    masked = ma.fields.String(required=True)
    source_text = ma.fields.String(required=True)
    state = ma.fields.String(required=True)


class PartyOut(Schema):
    """Somebody who owns, is liable or still owes here."""

    party_id = Id(required=True)
    name = ma.fields.String(required=True)
    role_text = ma.fields.String(required=True)
    liable = ma.fields.Boolean(required=True)
    phones = ma.fields.List(ma.fields.Nested(PhoneMaskedOut), required=True)


class ContactOut(Schema):
    """A call or visit."""

    id = Id(required=True)
    party_id = Id(required=True)
    at = Instant(required=True)
    kind_text = ma.fields.String(required=True)
    result = ma.fields.String(required=True)
    result_text = ma.fields.String(required=True)
    reason_text = ma.fields.String(required=True)
    note = ma.fields.String(required=True)
    steward_name = ma.fields.String(required=True)
    second_name = ma.fields.String(allow_none=True)


class PromiseOut(Schema):
    """A promise to pay."""

    id = Id(required=True)
    party_id = Id(required=True)
    amount_fen = ma.fields.Integer(required=True)
    amount_text = ma.fields.String(required=True)
    day = ma.fields.Date(required=True)
    state = ma.fields.String(required=True)
    state_text = ma.fields.String(required=True)
    made_by = ma.fields.String(required=True)


class MessageOut(Schema):
    """A message of the machine, with its text once it was rendered."""

    id = Id(required=True)
    at = Instant(required=True)
    channel_text = ma.fields.String(required=True)
    event_text = ma.fields.String(required=True)
    state_text = ma.fields.String(required=True)
    text = ma.fields.String(required=True)


class HoldOut(Schema):
    """A reason not to contact; until_day null = until lifted. liftable: `lift_hold` may end it."""

    id = Id(required=True)
    kind = ma.fields.String(required=True)
    kind_text = ma.fields.String(required=True)
    until_day = ma.fields.Date(allow_none=True)
    reason = ma.fields.String(required=True)
    liftable = ma.fields.Boolean(required=True)


class PaymentOut(Schema):
    """A payment order of the house."""

    out_trade_no = ma.fields.String(required=True)
    channel_text = ma.fields.String(required=True)
    state = ma.fields.String(required=True)
    state_text = ma.fields.String(required=True)
    amount_fen = ma.fields.Integer(required=True)
    amount_text = ma.fields.String(required=True)
    at = Instant(required=True)


class BriefOut(Schema):
    """The minute before a contact: one sentence and a few facts."""

    headline = ma.fields.String(required=True)
    points = ma.fields.List(ma.fields.String(), required=True)
