"""The calendar of one bill: which stage it is in and which one act is due today.

A bill walks through acts at fixed distances from its due date (S23–S28, C74). The acts of the
calendar follow each other without gaps, and only the *current* one is ever due: after missed days
the earlier ones are skipped, so a system that slept a month sends one message, not five
(design 4.9). Messages become rows of the outbox, tasks go to the steward's list; both still need
a send permit on the day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

ActKind = Literal["message", "task"]


@dataclass(frozen=True)
class Stage:
    """A step of the ladder by days overdue. first_day..last_day inclusive, None = open end."""

    code: str
    name_zh: str
    first_day: int
    last_day: int | None
    first_act: str


@dataclass(frozen=True)
class Act:
    """One thing to do about a bill, in days from its due date (negative: before).

    event: template event (message) or task name. [from_day, to_day] inclusive; to_day None = open.
    stage: the stage it belongs to. window: acts that share it replace each other, at most one of
    them happens per bill.
    contact_class: what the contact rules count it as.
    """

    event: str
    kind: ActKind
    stage: str
    from_day: int
    to_day: int | None
    window: str
    contact_class: Literal["bill_notice", "reminder", "legal"]
    name_zh: str


STAGES: tuple[Stage, ...] = (
    Stage("S23", "到期前提醒", -7, 0, "due_in_7"),
    Stage("S24", "温馨提示", 1, 15, "overdue_3"),
    Stage("S25", "友好沟通", 16, 30, "call_10"),
    Stage("S26", "重点跟进", 31, 60, "visit_31"),
    Stage("S27", "法律警示", 61, None, "demand_60"),
)

# C74. The first call comes at D+10, before stage S25 begins by days, and a demand is prepared on
# D+60, the last day of S26: an act belongs to the stage whose means it uses.
CALENDAR: tuple[Act, ...] = (
    Act("due_in_7", "message", "S23", -7, -2, "D-7", "bill_notice", "到期前7天提醒"),
    Act("due_in_1", "message", "S23", -1, 0, "D-1", "bill_notice", "到期前1天提醒"),
    Act("overdue_3", "message", "S24", 3, 6, "S24", "reminder", "到期后3天温馨提示"),
    Act("overdue_warm", "message", "S24", 7, 9, "S24", "reminder", "温馨提示"),
    Act("call_10", "task", "S25", 10, 15, "call_10", "reminder", "首轮电话，询问确切缴费日期"),
    Act("call_16", "task", "S25", 16, 30, "call_16", "reminder", "再次电话或送达缴费通知单"),
    Act("visit_31", "task", "S26", 31, 59, "visit_31", "reminder", "两人上门，带分期方案"),
    Act("demand_60", "task", "S27", 60, 74, "demand_60", "legal", "正式催告函"),
    Act("counsel_75", "task", "S27", 75, 89, "counsel_75", "legal", "法务复核"),
    Act("route_90", "task", "S27", 90, None, "route_90", "legal", "调解、支付令或小额诉讼"),
)

MESSAGE_EVENTS = frozenset(act.event for act in CALENDAR if act.kind == "message")

TEMPLATE, SUBSCRIBE, SMS = "wechat_template", "wechat_subscribe", "sms"
CHANNEL_ORDER = (TEMPLATE, SUBSCRIBE, SMS)


@dataclass(frozen=True)
class Reach:
    """By what a person can be reached now.

    follows: a service-account openid that follows it. grants: unused one-time subscriptions for
    this event's template (C19). mobile: a number that is not known to be wrong.
    """

    follows: bool = False
    grants: int = 0
    mobile: bool = False


def days_overdue(*, due_date: date, today: date) -> int:
    """Return days since the due date: 0 on the day itself, negative before."""
    return (today - due_date).days


def stage_of(days: int) -> Stage | None:
    """Return the stage for a number of days overdue; None more than 7 days before the due date.

    S23 −7…0, S24 1–15, S25 16–30, S26 31–60, S27 from 61.
    """
    for stage in reversed(STAGES):
        if days >= stage.first_day:
            return stage
    return None


def act_named(event: str) -> Act:
    """Return the calendar's act of that name. Raises KeyError for another name."""
    return _BY_EVENT[event]


def current_act(days: int) -> Act | None:
    """Return the act whose days include `days`, None in a quiet stretch (D+1, D+2, before D−7)."""
    for act in CALENDAR:
        if act.from_day <= days and (act.to_day is None or days <= act.to_day):
            return act
    return None


def due_events(
    *,
    due_date: date,
    today: date,
    already_done: Collection[str],
    issued_on: date | None = None,
) -> tuple[Act, ...]:
    """Return what is due for a bill on a business date: nothing, or the one current act.

    already_done: events and window keys already planned or done for this bill, in any state that
    is live; an act whose event or window is among them is not due again.
    issued_on: the day the issue notice went out. A pre-due act whose first day had passed by then
    is skipped: the notice itself said the same.
    Missed days: earlier acts are never returned (design 4.9).
    """
    act = current_act(days_overdue(due_date=due_date, today=today))
    if act is None or _is_done(act, due_date, already_done):
        return ()
    planned_for = due_date + timedelta(days=act.from_day)
    if issued_on is not None and act.from_day < 0 and planned_for <= issued_on:
        return ()
    return (act,)


def due_on(*, act: Act, due_date: date) -> date:
    """Return the first business date on which the act is due."""
    return due_date + timedelta(days=act.from_day)


def valid_until(*, act: Act, due_date: date) -> date | None:
    """Return the last business date on which the act still makes sense; None = open end.

    A planned message not sent by the end of this day is dropped, the next act takes over.
    """
    return None if act.to_day is None else due_date + timedelta(days=act.to_day)


def window_key(event: str, due_date: date) -> str:
    """Return the key under which an event exists once per bill and stage over all channels.

    Calendar acts use their window ("S24:2026-11-15": overdue_3 and overdue_warm share it), other
    events (receipt, promise…) their own name with the date they are about.
    """
    act = _BY_EVENT.get(event)
    return f"{act.window if act else event}:{due_date.isoformat()}"


def channel_plan(
    reach: Reach, *, available: Iterable[str] = CHANNEL_ORDER, tried: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the channels to try, best first: template → subscribe → SMS.

    available: channels with an approved template for the event. tried: channels that definitely
    refused this message already. An empty answer means: a steward's task instead.
    """
    usable = {TEMPLATE: reach.follows, SUBSCRIBE: reach.grants > 0, SMS: reach.mobile}
    offered = set(available)
    return tuple(c for c in CHANNEL_ORDER if usable[c] and c in offered and c not in tried)


def _is_done(act: Act, due_date: date, already_done: Collection[str]) -> bool:
    same_window = {other.event for other in CALENDAR if other.window == act.window}
    names = same_window | {window_key(act.event, due_date)}
    return any(name in already_done for name in names)


_BY_EVENT = {act.event: act for act in CALENDAR}
