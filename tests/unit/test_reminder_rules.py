"""The calendar of one bill: stages by days, one act at a time, catch-up without a burst."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.reminders.rules import (
    CALENDAR,
    Reach,
    channel_plan,
    due_events,
    stage_of,
    valid_until,
    window_key,
)

DUE = date(2026, 11, 15)


def due(day: int, done=(), **more) -> list[str]:
    today = DUE + timedelta(days=day)
    return [a.event for a in due_events(due_date=DUE, today=today, already_done=done, **more)]


@pytest.mark.covers("S23", "S24")
@pytest.mark.parametrize(
    ("days", "code"),
    [
        (-8, None), (-7, "S23"), (0, "S23"), (1, "S24"), (15, "S24"), (16, "S25"), (30, "S25"),
        (31, "S26"), (60, "S26"), (61, "S27"), (400, "S27"),
    ],
)  # fmt: skip
def test_the_stage_follows_from_the_days_overdue(days, code):
    stage = stage_of(days)
    assert (stage.code if stage else None) == code


@pytest.mark.covers("S23", "S24", "C67")
def test_each_act_falls_due_on_its_day():
    expected = {
        -8: [], -7: ["due_in_7"], -1: ["due_in_1"], 0: ["due_in_1"], 1: [], 2: [],
        3: ["overdue_3"], 10: ["call_10"], 16: ["call_16"], 31: ["visit_31"], 60: ["demand_60"],
        75: ["counsel_75"], 90: ["route_90"], 500: ["route_90"],
    }  # fmt: skip
    assert {day: due(day) for day in expected} == expected


@pytest.mark.covers("S24")
def test_days_missed_are_caught_up_once_at_the_current_act():
    assert due(5) == ["overdue_3"]  # two days late: the same message, still true
    assert due(8) == ["overdue_warm"]
    assert due(8, done={"overdue_3"}) == []  # the same window: never both
    assert due(12) == ["call_10"]  # the messages before it are not sent any more
    assert due(45) == ["visit_31"]


def test_an_act_is_due_only_once():
    assert due(-7, done={"due_in_7"}) == []
    assert due(-7, done={window_key("due_in_7", DUE)}) == []
    assert due(-7, done={"due_in_1"}) == ["due_in_7"]


def test_a_notice_that_the_issue_notice_already_said_is_skipped():
    assert due(-5, issued_on=DUE - timedelta(days=5)) == []
    assert due(-5, issued_on=DUE - timedelta(days=10)) == ["due_in_7"]
    assert due(-1, issued_on=DUE - timedelta(days=5)) == ["due_in_1"]
    assert due(3, issued_on=DUE + timedelta(days=3)) == ["overdue_3"]


def test_window_keys_name_the_window_and_the_date():
    assert window_key("overdue_3", DUE) == window_key("overdue_warm", DUE) == "S24:2026-11-15"
    assert window_key("due_in_7", DUE) == "D-7:2026-11-15"
    assert window_key("promise_tomorrow", DUE) == "promise_tomorrow:2026-11-15"


def test_a_planned_act_ends_where_the_next_begins():
    by_event = {act.event: act for act in CALENDAR}
    assert valid_until(act=by_event["overdue_3"], due_date=DUE) == date(2026, 11, 21)
    assert valid_until(act=by_event["route_90"], due_date=DUE) is None


@pytest.mark.covers("C67", "C19")
@pytest.mark.parametrize(
    ("reach", "plan"),
    [
        (
            Reach(follows=True, grants=2, mobile=True),
            ("wechat_template", "wechat_subscribe", "sms"),
        ),
        (Reach(grants=1, mobile=True), ("wechat_subscribe", "sms")),
        (Reach(mobile=True), ("sms",)),
        (Reach(), ()),
    ],
)
def test_the_channel_plan_is_template_then_subscribe_then_sms(reach, plan):
    assert channel_plan(reach) == plan


def test_the_plan_leaves_out_what_is_not_registered_and_what_refused():
    reach = Reach(follows=True, grants=1, mobile=True)
    assert channel_plan(reach, available=["sms", "wechat_template"]) == ("wechat_template", "sms")
    assert channel_plan(reach, tried=["wechat_template"]) == ("wechat_subscribe", "sms")


@pytest.mark.covers("S24")
@given(st.lists(st.integers(-10, 120), unique=True).map(sorted))
def test_whatever_days_the_system_runs_no_act_happens_twice_and_never_two_at_once(days):
    done: list[str] = []
    for day in days:
        events = due(day, done=done)
        assert len(events) <= 1
        done += events
    assert len(done) == len(set(done))
    order = [act.event for act in CALENDAR]
    assert [order.index(e) for e in done] == sorted(order.index(e) for e in done)
