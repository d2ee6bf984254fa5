"""What a process remembers of a merchant never outlives the merchant's configuration."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from backend.db import db
from backend.payments import inbox
from backend.usecases.receive_notice import receive_notice
from tests.factories.estate import make_bill, make_estate, make_merchant
from tests.integration.test_payment_loop import open_order, resend


@pytest.fixture
def estate(ctx, sandbox):
    sandbox.reset()
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="loop-mini")
    return make_estate()


def rows() -> tuple[int, int]:
    counts = db.session.execute(
        text("SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM inbox_outcome)")
    ).one()
    db.session.rollback()
    return counts.inbox if hasattr(counts, "inbox") else counts[0], counts[1]
