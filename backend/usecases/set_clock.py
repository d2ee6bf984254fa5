"""Moving the business clock (development and tests only; production has no offset)."""

from __future__ import annotations

import math
from datetime import datetime

from flask import current_app
from sqlalchemy import text

from backend import clock
from backend.db import db, transaction
from backend.errors import Refusal


def set_business_time(instant: datetime | None) -> datetime:
    """Set the business clock to an aware instant, or back to real time with None; return it.

    Raises Refusal `clock_fixed` in production.
    """
    if current_app.config["SETTINGS"].is_production:
        raise Refusal("clock_fixed", message_zh="生产环境不能调整业务时间。")
    offset = 0.0 if instant is None else (instant - clock.wire_now()).total_seconds()
    with transaction():
        db.session.execute(
            text("UPDATE business_clock SET offset_seconds = :s WHERE id = 1"),
            {"s": math.ceil(offset)},  # never before the asked instant
        )
    clock.forget_offset()
    return clock.business_now()
