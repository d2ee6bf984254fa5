"""A community with overdue bills, everything that works in the background, and two browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range

from backend.db import db
from backend.fees.models import HouseFee
from backend.usecases.issue_bills import continue_bill_run, start_bill_run
from backend.usecases.publish_standard import StandardDraft, publish_standard
from tests.factories.estate import (
    Estate,
    Staff,
    make_estate,
    make_merchant,
    make_steward,
    set_business_now,
)
from tests.factories.messages import open_channels
from tests.support.browser import missing
from tests.support.processes import running_processes
from tests.support.wait import wait_for

PAGE = Path(__file__).resolve().parents[2] / "admin" / "web" / "dist" / "index.html"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
ISSUED = date(2026, 11, 2)
DUE = date(2026, 11, 16)  # the 15th is a Sunday
REMINDED = date(2026, 11, 19)
CALLED = date(2026, 11, 26)  # the tenth day overdue, a Thursday
SUM = "222.93"  # 94.56㎡ × 1.3 + 20 for the flat, 80 for the parking space


@dataclass(frozen=True)
class Town:
    """What the walk-through happens in."""

    estate: Estate
    steward: Staff
    finance: Staff
    people: list[dict[str, Any]]  # the owners' phones at the sandbox, in order of the homes


@pytest.fixture
def town(ctx, sandbox, live_server, product_environment) -> Iterator[Town]:
    """Two households got their November bills, were reminded on day 3 and are to be called.

    Notices, reminders and call tasks were made by relay and workers while the business clock
    moved on.
    """
    if not PAGE.exists():
        missing("the admin page is not built (make setup)")
    set_business_now(ISSUED, "10:00")
    town = build(sandbox)
    with running_processes(product_environment):
        issue_bills(town.estate)
        wait_for(lambda: told("bill_issued") == 2, 60, what="the bills to be announced")
        set_business_now(REMINDED, "09:30")
        wait_for(lambda: told("overdue_3") == 2, 60, what="two reminders to be sent")
        set_business_now(CALLED, "10:00")
        wait_for(
            lambda: count("steward_task WHERE state = 'open'") == 2,
            60,
            what="two calls to be planned",
        )
        yield town


def build(sandbox: Any) -> Town:
    estate = make_estate(code="阳光", houses=2)
    db.session.execute(text("UPDATE company SET name = '缴清示范物业'"))
    db.session.commit()
    parking = StandardDraft(
        item_code="CW", item_name="车位服务费", code="CW", name="地下车位", method="parking",
        fixed="80", effective_from=date(2026, 1, 1), basis="合同第4条",
    )  # fmt: skip
    publish_standard(community_id=estate.community_id, draft=parking, by="test")
    for home in estate.homes:
        since = Range(date(2026, 1, 1), None)
        fee = HouseFee(
            community_id=estate.community_id, house_id=home.house_id, standard_code="CW",
            valid=since,
        )  # fmt: skip
        db.session.add(fee)
    db.session.commit()
    apps = open_channels(estate, sandbox)
    people = [
        sandbox.post("/_sandbox/people", phone=home.phone, nickname=f"{home.house_code} 业主")
        for home in estate.homes
    ]
    make_merchant(estate, sandbox, title="缴清示范物业", app=apps["mini"]["name"])
    make_merchant(estate, sandbox, channel="alipay", title="缴清示范物业")
    steward = make_steward(estate.company_id, "guanjia1", building_ids=estate.building_ids)
    finance = make_steward(estate.company_id, "caiwu1", role="finance")
    return Town(estate, steward, finance, people)


def issue_bills(estate: Estate) -> None:
    run_id = start_bill_run(
        community_id=estate.community_id, period_from=date(2026, 11, 1),
        period_to=date(2026, 12, 1), by="test", company_id=estate.company_id,
    )  # fmt: skip
    assert continue_bill_run(run_id).total_fen == 2 * 22293


def told(event: str) -> int:
    """Messages of an event that are sent and booked; the clock may move on only after that."""
    return count("message WHERE event = :e AND state IN ('accepted', 'delivered')", e=event)


def count(what: str, **values: Any) -> int:
    try:
        return db.session.scalar(text(f"SELECT count(*) FROM {what}"), values)
    finally:
        db.session.rollback()


@pytest.fixture
def phone(browser) -> Iterator[Callable[..., Any]]:
    """Return `open(user_agent=…)`: a page 390 pixels wide in a browser of its own."""
    contexts = []

    def new(user_agent: str = IPHONE) -> Any:
        contexts.append(
            browser.new_context(
                viewport={"width": 390, "height": 844}, device_scale_factor=2, has_touch=True,
                is_mobile=True, user_agent=user_agent, locale="zh-CN",
                timezone_id="Asia/Shanghai",
            )
        )  # fmt: skip
        return watched(contexts[-1])

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def desk(browser) -> Iterator[Any]:
    """A page 1440 pixels wide."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="zh-CN", timezone_id="Asia/Shanghai"
    )
    yield watched(context)
    context.close()


def watched(context: Any) -> Any:
    """Open a page that must not fail in its own scripts."""
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    return page
