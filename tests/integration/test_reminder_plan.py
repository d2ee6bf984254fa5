"""What the morning plans: one message per household and act, usable until the act's last day."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from backend.db import db
from backend.usecases.issue_bills import continue_bill_run, plan_issue_notices, start_bill_run
from backend.usecases.plan_day import plan_day
from tests.factories import estate as make
from tests.factories.estate import TODAY

SHANGHAI = ZoneInfo("Asia/Shanghai")


def messages() -> list[tuple]:
    rows = db.session.execute(text("SELECT event, due_at, valid_until FROM message ORDER BY id"))
    return [(r.event, r.due_at.astimezone(SHANGHAI), r.valid_until) for r in rows]


@pytest.mark.covers("S24")
def test_a_reminder_is_of_no_use_after_the_last_day_of_its_act(ctx):
    make.set_business_now(TODAY, "08:00")
    estate = make.make_estate(houses=1)
    make.make_bill(estate, estate.homes[0], due_date=TODAY - timedelta(days=3))
    assert plan_day(community_id=estate.community_id) == (1, 0)
    assert plan_day(community_id=estate.community_id) == (0, 0)
    # D+3 to D+6: the last day is 13 December, in Shanghai
    assert messages() == [
        (
            "overdue_3",
            datetime(2026, 12, 10, 9, 0, tzinfo=SHANGHAI),
            datetime(2026, 12, 14, 0, 0, tzinfo=SHANGHAI),
        )
    ]


def test_a_bill_is_announced_until_its_due_date_ends(ctx):
    make.set_business_now(TODAY, "21:00")
    estate = make.make_estate(houses=1)
    run = start_bill_run(
        community_id=estate.community_id,
        period_from=TODAY.replace(day=1),
        period_to=TODAY.replace(month=1, day=1, year=2027),
        by="test",
        company_id=estate.company_id,
    )
    assert continue_bill_run(run).bills == 1
    assert (plan_issue_notices(run), plan_issue_notices(run)) == (1, 0)
    [(event, _, until)] = messages()
    assert (event, until) == ("bill_issued", datetime(2026, 12, 22, 0, 0, tzinfo=SHANGHAI))
