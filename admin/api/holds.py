"""Lifting what silences a household."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from admin.api.common import PREFIX, SUPERVISORS, ReasonIn, scope
from backend.conduct.queries import HOLDS_ZH
from backend.usecases.lift_hold import Lifted
from backend.usecases.lift_hold import lift_hold as lift
from backend.web import Blueprint, Id, Instant, Schema, idempotent, policy

blp = Blueprint("holds", __name__, url_prefix=PREFIX, description="Lifting holds")


class LiftIn(ReasonIn):
    """owner_consent: the owner agreed anew; must be true to lift `stop_contact` (C17)."""

    owner_consent = ma.fields.Boolean(load_default=False)


class LiftedOut(Schema):
    """bills_unfrozen: bills whose late fee runs again from today."""

    id = Id(required=True)
    kind = ma.fields.String(required=True)
    kind_text = ma.fields.String(required=True)
    lifted_at = Instant(required=True)
    bills_unfrozen = ma.fields.Integer(required=True)


def _output(lifted: Lifted) -> dict[str, Any]:
    return {
        "id": lifted.hold_id,
        "kind": lifted.kind,
        "kind_text": HOLDS_ZH[lifted.kind],
        "lifted_at": lifted.lifted_at,
        "bills_unfrozen": lifted.bills_unfrozen,
    }


@blp.post("/holds/<id:hold_id>/lift")
@policy(*SUPERVISORS)
@idempotent
@blp.arguments(LiftIn)
@blp.response(200, LiftedOut)
def lift_hold(body: dict[str, Any], hold_id: int) -> dict[str, Any]:
    """End a hold and the late-fee freeze that came with it."""
    return _output(lift(scope=scope(), hold_id=hold_id, **body))
