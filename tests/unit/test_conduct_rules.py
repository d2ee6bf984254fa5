"""The contact rules: every row of C15 and C16, and properties over random histories."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import chinese_calendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.conduct.holidays import (
    SPRING_FESTIVAL,
    add_working_days,
    is_working_day,
    qingming,
    quiet_days,
)
from backend.conduct.policy import SHANGHAI, Policy, stricter
from backend.conduct.rules import Allowed, Denied, PastContact, decide, next_allowed
from backend.errors import Refusal


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def past(kind: str, cls: str, when: str, connected: bool = True) -> PastContact:
    return PastContact(kind, cls, at(when), connected)


def ask(kind="message", cls="reminder", when="2026-11-23 10:00", history=(), **more):
    return decide(kind=kind, contact_class=cls, at=at(when), history=list(history), **more)


@pytest.mark.covers("C15")
@pytest.mark.parametrize(
    ("kind", "when", "expected"),
    [
        ("call", "2026-11-23 08:59", "2026-11-23 09:00"),
        ("call", "2026-11-23 09:00", None),
        ("call", "2026-11-23 11:59", None),
        ("call", "2026-11-23 12:00", "2026-11-23 14:00"),
        ("call", "2026-11-23 13:59", "2026-11-23 14:00"),
        ("call", "2026-11-23 19:59", None),
        ("call", "2026-11-23 20:00", "2026-11-24 09:00"),
        ("message", "2026-11-23 12:30", None),
        ("message", "2026-11-23 20:29", None),
        ("message", "2026-11-23 20:30", "2026-11-24 09:00"),
        ("message", "2026-11-23 23:30", "2026-11-24 09:00"),
        ("message", "2026-11-23 03:00", "2026-11-23 09:00"),
        ("visit", "2026-11-23 09:29", "2026-11-23 09:30"),
        ("visit", "2026-11-23 19:30", "2026-11-24 09:30"),
    ],
)
def test_a_contact_outside_the_hours_of_its_kind_waits_for_the_next_window(kind, when, expected):
    answer = ask(kind, when=when)
    if expected is None:
        assert answer == Allowed()
    else:
        assert answer.code == "E-C15"
        assert answer.next_allowed_at == at(expected)
        assert answer.reason_zh == f"当前时段不允许催缴联系，已顺延至{expected}"


@pytest.mark.covers("C15")
def test_the_hours_are_those_of_the_projects_time_zone_whatever_the_instant_is_written_in():
    instant = datetime(2026, 11, 23, 0, 59, tzinfo=UTC)  # 08:59 in Shanghai
    answer = decide(kind="message", contact_class="reminder", at=instant, history=[])
    assert answer.next_allowed_at == datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


@pytest.mark.covers("C15")
@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-02-16 10:00", "2026-02-18 09:00"),  # eve, then the first day
        ("2026-02-17 10:00", "2026-02-18 09:00"),
        ("2026-04-05 10:00", "2026-04-06 09:00"),
        ("2027-02-05 10:00", "2027-02-07 09:00"),  # beyond chinesecalendar's table
        ("2027-04-05 10:00", "2027-04-06 09:00"),
    ],
)
def test_nobody_is_contacted_on_the_quiet_days(when, expected):
    for cls in ("reminder", "bill_notice", "promise", "legal"):
        answer = ask(cls=cls, when=when)
        assert (answer.code, answer.next_allowed_at) == ("E-C15", at(expected))
    assert ask(cls="reply", when=when) == Allowed()


@pytest.mark.covers("C15")
def test_a_company_may_add_quiet_days_of_its_own():
    answer = ask(when="2026-11-23 10:00", holidays=[date(2026, 11, 23)])
    assert answer.next_allowed_at == at("2026-11-24 09:00")


@pytest.mark.covers("C15")
def test_the_table_of_quiet_days_agrees_with_the_published_holidays():
    for year in range(2020, 2027):
        first = SPRING_FESTIVAL[year]
        assert chinese_calendar.get_holiday_detail(first) == (True, "Spring Festival")
        assert chinese_calendar.get_holiday_detail(qingming(year)) == (True, "Tomb-sweeping Day")
        assert quiet_days(year) == {first - timedelta(days=1), first, qingming(year)}


@pytest.mark.covers("C15")
def test_an_unknown_year_is_an_error_not_an_ordinary_day():
    with pytest.raises(LookupError):
        quiet_days(2041)


def test_working_days_follow_the_published_table_and_fall_back_after_it():
    assert not is_working_day(date(2026, 10, 1))
    assert is_working_day(date(2026, 10, 10))  # a Saturday worked for the holiday
    assert is_working_day(date(2027, 3, 1)) and not is_working_day(date(2027, 3, 6))
    assert not is_working_day(date(2027, 10, 1))
    assert add_working_days(date(2026, 11, 20), 3) == date(2026, 11, 25)  # Friday + 3


@pytest.mark.covers("C16")
@pytest.mark.parametrize("cls", ["reminder", "bill_notice"])
def test_one_contact_a_day_of_any_kind(cls):
    history = [past("call", "reminder", "2026-11-23 09:30")]
    answer = ask(cls=cls, when="2026-11-23 15:00", history=history)
    assert answer.code == "E-C16"
    assert answer.next_allowed_at == at("2026-11-24 09:00")
    assert answer.reason_zh == "已达联系上限（1天1次），下次可联系时间2026-11-24 09:00"


@pytest.mark.covers("C16")
def test_two_reminders_in_seven_days_then_none_until_the_first_is_seven_days_old():
    history = [
        past("message", "reminder", "2026-11-20 10:00"),
        past("message", "reminder", "2026-11-21 11:00"),
    ]
    answer = ask(when="2026-11-25 10:00", history=history)
    assert (answer.code, answer.next_allowed_at) == ("E-C16", at("2026-11-27 10:00"))
    assert "7天2次" in answer.reason_zh
    assert ask(when="2026-11-27 10:00", history=history) == Allowed()
    assert isinstance(ask(when="2026-11-27 09:59", history=history), Denied)


@pytest.mark.covers("C16")
def test_six_reminders_in_thirty_days():
    days = ["2026-11-01", "2026-11-02", "2026-11-09", "2026-11-10", "2026-11-17", "2026-11-18"]
    history = [past("message", "reminder", f"{day} 10:00") for day in days]
    answer = ask(when="2026-11-26 10:00", history=history)
    assert (answer.code, answer.next_allowed_at) == ("E-C16", at("2026-12-01 10:00"))
    assert "30天6次" in answer.reason_zh


@pytest.mark.covers("C16")
def test_bill_notices_keep_to_the_day_limit_and_two_per_bill_but_use_no_quota():
    notices = [
        past("message", "bill_notice", "2026-11-20 10:00"),
        past("message", "bill_notice", "2026-11-21 10:00"),
    ]
    assert ask(cls="reminder", history=notices) == Allowed()
    assert ask(cls="bill_notice", history=notices, notices_of_bill=1) == Allowed()
    used_up = ask(cls="bill_notice", history=notices, notices_of_bill=2)
    assert (used_up.code, used_up.next_allowed_at) == ("E-C16", None)
    reminders = [
        past("message", "reminder", "2026-11-20 10:00"),
        past("message", "reminder", "2026-11-21 10:00"),
    ]
    assert ask(cls="bill_notice", history=reminders) == Allowed()


@pytest.mark.covers("C16", "S34")
@pytest.mark.parametrize("cls", ["promise", "legal", "reply"])
def test_promise_reminders_legal_notices_and_replies_use_no_quota(cls):
    full = [
        past("message", "reminder", "2026-11-22 10:00"),
        past("message", "reminder", "2026-11-23 09:00"),
    ]
    assert ask(cls=cls, history=full) == Allowed()
    theirs = [past("message", cls, f"2026-11-{day} 09:00") for day in (20, 21, 22, 23)]
    assert ask(cls="reminder", history=theirs) == Allowed()


@pytest.mark.covers("C16", "S40")
def test_an_unanswered_call_is_an_attempt_and_not_a_contact():
    missed = [past("call", "reminder", "2026-11-23 09:00", connected=False)]
    assert ask("message", when="2026-11-23 09:05", history=missed) == Allowed()
    again = ask("call", when="2026-11-23 10:00", history=missed)
    assert (again.code, again.next_allowed_at) == ("E-C16", at("2026-11-23 11:00"))
    three = [
        past("call", "reminder", f"2026-11-23 {t}", False) for t in ("09:00", "11:00", "14:00")
    ]
    spent = ask("call", when="2026-11-23 17:00", history=three)
    assert (spent.code, spent.next_allowed_at) == ("E-C16", at("2026-11-24 09:00"))


@pytest.mark.covers("C16")
def test_one_connected_call_a_day_binds_promise_and_legal_calls_too():
    spoken = [past("call", "promise", "2026-11-23 09:00")]
    for cls in ("reminder", "promise", "legal"):
        answer = ask("call", cls, when="2026-11-23 15:00", history=spoken)
        assert (answer.code, answer.next_allowed_at) == ("E-C16", at("2026-11-24 09:00"))


@pytest.mark.covers("C16")
def test_one_visit_in_fourteen_days():
    visited = [past("visit", "reminder", "2026-11-10 15:00")]
    answer = ask("visit", when="2026-11-23 16:00", history=visited)
    assert (answer.code, answer.next_allowed_at) == ("E-C16", at("2026-11-24 15:00"))
    assert ask("visit", when="2026-11-24 15:00", history=visited) == Allowed()


@pytest.mark.covers("C16")
def test_the_next_instant_satisfies_all_rules_together():
    history = [
        past("message", "reminder", "2026-02-10 20:00"),
        past("message", "reminder", "2026-02-15 20:00"),
    ]
    # 7 days after the first ends on Spring Festival's first day at 20:00 (quiet), then 09:00.
    assert ask(when="2026-02-15 21:00", history=history).next_allowed_at == at("2026-02-18 09:00")


@pytest.mark.covers("C15", "C16")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"hours": {"call": ((time(7), time(9)),), "message": (), "visit": ()}}, "E-C15"),
        ({"hours": {k: ((time(9), time(22, 1)),) for k in ("call", "message", "visit")}}, "E-C15"),
        ({"connected_calls_per_day": 2}, "E-C16"),
        ({"call_attempts_per_day": 4}, "E-C16"),
        ({"call_attempt_gap": timedelta(hours=1)}, "E-C16"),
        ({"visit_gap_days": 6}, "E-C16"),
        ({"notices_per_bill": 3}, "E-C16"),
    ],
)
def test_a_policy_beyond_its_ceiling_cannot_be_built(changes, code):
    with pytest.raises(Refusal) as refused:
        Policy(**changes)
    assert refused.value.code == code
    assert list(refused.value.fields) == list(changes)


@pytest.mark.covers("C16")
def test_a_stricter_policy_is_obeyed():
    policy = stricter(Policy(), per_7_days=1)
    history = [past("message", "reminder", "2026-11-20 10:00")]
    assert ask(history=history, policy=policy).next_allowed_at == at("2026-11-27 10:00")


def test_naive_instants_and_unknown_kinds_are_errors():
    with pytest.raises(ValueError, match="naive"):
        decide(kind="call", contact_class="reminder", at=datetime(2026, 1, 1), history=[])
    with pytest.raises(ValueError, match="unknown"):
        ask("letter")


# --- properties over random lives ------------------------------------------------------------
instants = st.integers(0, 60 * 24 * 45).map(
    lambda minutes: at("2026-01-20 00:00") + timedelta(minutes=minutes)
)
tries = st.lists(
    st.tuples(
        instants,
        st.sampled_from(["call", "message", "visit"]),
        st.sampled_from(["reminder", "bill_notice", "promise", "legal"]),
        st.booleans(),
    ),
    max_size=120,
)


def live(attempts) -> list[PastContact]:
    """Try contacts in order of time, keep those the rules allow."""
    history: list[PastContact] = []
    for when, kind, cls, answered in sorted(attempts, key=lambda item: item[0]):
        decision = decide(kind=kind, contact_class=cls, at=when, history=history)
        if decision.allowed:
            history.append(PastContact(kind, cls, when, answered if kind == "call" else True))
    return history


@pytest.mark.covers("C15", "C16")
@settings(max_examples=60, deadline=None)
@given(tries)
def test_no_sequence_of_tries_breaks_hours_or_caps(attempts):
    history = live(attempts)
    hours = Policy().hours
    for contact in history:
        local = contact.at.astimezone(SHANGHAI)
        assert any(a <= local.time() < b for a, b in hours[contact.kind])
        assert local.date() not in quiet_days(2026)
    reminders = [c.at for c in history if c.is_reminder]
    for first in reminders:
        assert sum(first <= t < first + timedelta(days=7) for t in reminders) <= 2
        assert sum(first <= t < first + timedelta(days=30) for t in reminders) <= 6
    days = [c.at.date() for c in history if c.takes_the_day]
    assert len(days) == len(set(days))
    calls = [c for c in history if c.kind == "call"]
    for day in {c.at.date() for c in calls}:
        assert sum(c.at.date() == day for c in calls) <= 3
        assert sum(c.at.date() == day and c.connected for c in calls) <= 1
    assert all(b.at - a.at >= timedelta(hours=2) for a, b in zip(calls, calls[1:], strict=False))
    visits = [c.at for c in history if c.kind == "visit"]
    assert all(b - a >= timedelta(days=14) for a, b in zip(visits, visits[1:], strict=False))


@pytest.mark.covers("C15", "C16")
@settings(max_examples=60, deadline=None)
@given(
    tries,
    instants,
    st.sampled_from(["call", "message", "visit"]),
    st.sampled_from(["reminder", "bill_notice", "promise", "legal"]),
)
def test_the_next_allowed_instant_is_allowed_and_the_minute_before_it_is_not(
    attempts, when, kind, cls
):
    history = [contact for contact in live(attempts) if contact.at <= when]
    free = next_allowed(kind=kind, contact_class=cls, at=when, history=history)
    assert decide(kind=kind, contact_class=cls, at=free, history=history).allowed
    before = free - timedelta(minutes=1)
    if before >= when:
        assert not decide(kind=kind, contact_class=cls, at=before, history=history).allowed
