"""What every HTTP face shares: who may call, errors, idempotency, documents, logs, limits.

A view of an API is a signature and one call:

    blp = Blueprint("finance", __name__, url_prefix="/admin/api/v1")

    @blp.post("/waivers")
    @policy("finance", "manager", "admin")
    @idempotent
    @blp.arguments(WaiveIn)
    @blp.response(200, BillOut)
    def waive(body):
        return waive_usecase(by=current_steward(), **body)

Order matters: policy, then idempotent, then arguments and response. The view's name is the
operationId. Path ids are written `<id:house_id>` and arrive as int; a foreign or unknown id is
refused with `backend.errors.NotFound`.
"""

from __future__ import annotations

from flask import Flask

from backend.web import auth, errors, health, limits, observe, spa
from backend.web.auth import Owner, StewardOnDuty, current_owner, current_steward, policy
from backend.web.idempotent import BoundKey, current_key, idempotent
from backend.web.limits import body_limit, by_actor, limiter
from backend.web.openapi import (
    Api,
    Blueprint,
    Choice,
    Empty,
    Fen,
    Id,
    Instant,
    Schema,
    Text,
    make_api,
    parse_id,
)
from backend.web.qr import with_svg

__all__ = [
    "Api", "Blueprint", "BoundKey", "Choice", "Empty", "Fen", "Id", "Instant", "Owner", "Schema",
    "StewardOnDuty", "Text", "body_limit", "by_actor", "current_key", "current_owner",
    "current_steward", "idempotent", "init_app", "limiter", "make_api", "parse_id", "policy",
    "with_svg",
]  # fmt: skip


def init_app(app: Flask) -> None:
    """Wire everything but the APIs themselves; app.config["SETTINGS"] must be there."""
    observe.configure_logs(app.config["SETTINGS"].log_level)
    observe.init_app(app)
    limits.init_app(app)
    auth.init_app(app)
    health.init_app(app)
    spa.init_app(app)
    errors.init_app(app)
