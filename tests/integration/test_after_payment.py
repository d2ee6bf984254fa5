"""What a late notice closes is judged by today, not by the day the money is dated."""

from __future__ import annotations

from datetime import timedelta

from backend import clock
from backend.db import transaction
from backend.dunning import operations as dunning
from backend.payments import operations as payments
from backend.usecases.settle_payments import settle_payments
from tests.factories.estate import BILL_FEN, TODAY, make_bill, make_estate, set_business_now
from tests.integration.test_payment_loop import make_merchant, open_order

DAY = timedelta(days=1)


def test_money_of_yesterday_leaves_the_call_for_what_fell_due_since(ctx, sandbox, db_owner):
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="loop-mini")
    estate = make_estate()
    make_merchant(estate, sandbox)
    set_business_now(TODAY, "23:00")
    old = make_bill(estate, estate.homes[0], due_date=TODAY - 16 * DAY)
    make_bill(estate, estate.homes[0], due_date=TODAY)  # overdue from tomorrow on
    number, _ = open_order(estate, sandbox, [old])
    dunning.plan_call_tasks(community_id=estate.community_id, today=TODAY, now=clock.business_now())
    dunning.db.session.commit()
    with transaction():  # the platform dates its success a day before its notice is judged
        order = payments.lock_order(number)
        payments.store_notice(
            channel="wechatpay", merchant_id=order.merchant_id, event_key="late",
            kind="payment", out_trade_no=number, raw=b"{}", headers={}, at=clock.wire_now(),
            parsed={"channel_txn": "T1", "amount_fen": BILL_FEN,
                    "paid_at": (clock.wire_now() - DAY).isoformat()},
        )  # fmt: skip
    set_business_now(TODAY + DAY, "23:00")
    assert settle_payments() == 1
    assert db_owner.execute("SELECT day FROM principal_event").fetchall() == [(TODAY,)]
    assert db_owner.execute("SELECT state FROM steward_task").fetchall() == [("open",)]
