"""Recording calls, visits and promises."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from admin.api.common import PREFIX, PromiseIn, scope
from backend import clock
from backend.dunning.promises import reminder_day
from backend.dunning.rules import CALL_RESULTS, REASONS_ZH, VISIT_RESULTS
from backend.identity.scope import require_house, require_party
from backend.usecases.record_contact import ContactInput, PromiseMade, Recorded
from backend.usecases.record_contact import record_contact as record_call
from backend.usecases.record_promise import record_promise as add_promise
from backend.usecases.record_visit import record_visit as add_visit
from backend.web import (
    Blueprint,
    Choice,
    Id,
    Instant,
    Schema,
    Text,
    current_steward,
    idempotent,
    policy,
)

blp = Blueprint("contacts", __name__, url_prefix=PREFIX, description="Calls, visits, promises")


class ContactIn(Schema):
    """What happened; `at` (UTC) defaults to now, a promise goes with result `promised`."""

    house_id = Id(required=True)
    party_id = Id(required=True)
    reason_code = Choice(*REASONS_ZH, required=True)
    note = Text(500, empty=True, load_default="")
    task_id = Id(load_default=None)
    at = Instant(load_default=None)
    promise = ma.fields.Nested(PromiseIn, load_default=None)


class CallIn(ContactIn):
    """phone_id: the number dialled, marked invalid by the result wrong_number."""

    result = Choice(*sorted(CALL_RESULTS), required=True)
    phone_id = Id(load_default=None)


class VisitIn(ContactIn):
    """A visit names the colleague who came along."""

    result = Choice(*sorted(VISIT_RESULTS), required=True)
    second_steward_id = Id(required=True)


class RecordedOut(Schema):
    """violations: codes of the contact rules this contact broke; they are in the audit trail."""

    contact_id = Id(required=True)
    promise_id = Id(allow_none=True)
    violations = ma.fields.List(ma.fields.String(), required=True)


class PromiseRecordIn(PromiseIn):
    """A promise by itself."""

    house_id = Id(required=True)
    party_id = Id(required=True)


class PromiseRecordedOut(Schema):
    """reminder_day: the day before the promised day, null for a promise for today."""

    promise_id = Id(required=True)
    state = ma.fields.String(required=True)
    reminder_day = ma.fields.Date(allow_none=True)


def _input(body: dict[str, Any]) -> ContactInput:
    body.pop("second_steward_id", None)
    promise = body.pop("promise")
    return ContactInput(**body, promise=PromiseMade(**promise) if promise else None)


def _output(recorded: Recorded) -> dict[str, Any]:
    return {
        "contact_id": recorded.contact_id,
        "promise_id": recorded.promise_id,
        "violations": list(recorded.violations),
    }


@blp.post("/contacts/calls")
@policy("steward")
@idempotent
@blp.arguments(CallIn)
@blp.response(201, RecordedOut)
def record_contact(body: dict[str, Any]) -> dict[str, Any]:
    """Record a call that was made or tried."""
    return _output(record_call(scope=scope(), contact=_input(body)))


@blp.post("/contacts/visits")
@policy("steward")
@idempotent
@blp.arguments(VisitIn)
@blp.response(201, RecordedOut)
def record_visit(body: dict[str, Any]) -> dict[str, Any]:
    """Record a visit of two people."""
    second = body["second_steward_id"]
    return _output(add_visit(scope=scope(), second_steward_id=second, contact=_input(body)))


@blp.post("/promises")
@policy("steward")
@idempotent
@blp.arguments(PromiseRecordIn)
@blp.response(201, PromiseRecordedOut)
def record_promise(body: dict[str, Any]) -> dict[str, Any]:
    """Record a promise to pay."""
    steward = current_steward()
    require_house(scope(), body["house_id"])
    require_party(body["house_id"], body["party_id"])
    promise = add_promise(**body, made_by=steward.key, company_id=steward.company_id)
    return {
        "promise_id": promise.id,
        "state": promise.state,
        "reminder_day": reminder_day(promise.day, clock.business_today()),
    }
