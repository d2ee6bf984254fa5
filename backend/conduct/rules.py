"""When may this person be contacted? One pure answer for people, machines and agents.

The law sets no numbers for property fees; these are the product's own, inside ceilings taken from
the finance sector's benchmark (C15, C16). `decide` looks at one intended contact, the history of
the *liable person* over all houses and channels, and a policy; it says yes, or no with the code,
the reason and the first instant at which the answer would be yes.

Who counts as what (C16):

| class       | hours | 1 a day | 2 in 7 d, 6 in 30 d | is counted later |
|-------------|-------|---------|---------------------|------------------|
| reminder    | yes   | yes     | yes                 | yes              |
| bill_notice | yes   | yes     | no, 2 per bill      | for its day only |
| promise     | yes   | no      | no                  | no               |
| legal       | yes   | no      | no                  | no               |
| reply       | no    | no      | no                  | no               |

The call ceilings (1 connected and 3 attempts a day, 2 h apart) and the visit gap bind every class
but `reply`. An unanswered call is an attempt, not a contact. Windows are rolling: any 168 hours
hold at most two reminders, which also keeps any seven calendar days within the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from backend.conduct.holidays import is_quiet
from backend.conduct.policy import (
    CLASSES,
    DEFAULT_POLICY,
    KINDS,
    RULE_SET,
    ContactClass,
    Kind,
    Policy,
    stricter,
)
from backend.errors import Refusal

__all__ = [
    "CLASSES", "DEFAULT_POLICY", "KINDS", "RULE_SET", "Allowed", "ContactClass", "Decision",
    "Denied", "Kind", "PastContact", "Policy", "decide", "next_allowed", "stricter",
]  # fmt: skip

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class PastContact:
    """One earlier contact or attempt with the liable person.

    connected: for a call, somebody answered (give True while the result is not recorded yet);
    for a message, True once the vendor accepted it or may have (in doubt); for a visit, True.
    at: aware instant.
    """

    kind: Kind
    contact_class: ContactClass
    at: datetime
    connected: bool = True

    @property
    def is_reminder(self) -> bool:
        """Counts against 2 in 7 days and 6 in 30 days."""
        return self.connected and self.contact_class == "reminder"

    @property
    def takes_the_day(self) -> bool:
        """Counts against one contact a day."""
        return self.connected and self.contact_class in ("reminder", "bill_notice")


@dataclass(frozen=True)
class Allowed:
    """Go ahead now; `rule_set` is stored with the permit."""

    rule_set: str = RULE_SET
    allowed: bool = True


@dataclass(frozen=True)
class Denied:
    """Not now. next_allowed_at: first instant that would be allowed, None if never (bill used up).

    code: `E-C15` hours and quiet days, `E-C16` counts. reason_zh is shown to staff and logged.
    """

    code: str
    reason_zh: str
    next_allowed_at: datetime | None
    rule_set: str = RULE_SET
    allowed: bool = False

    def as_refusal(self) -> Refusal:
        """Return the denial as the error an API answers with."""
        return Refusal(
            self.code,
            message="contact not allowed now",
            message_zh=self.reason_zh,
            http=409,
            what_to_do="请在提示的时间之后再联系，或改做不需要联系业主的工作。",
            legal_basis="民法典1032、1033条；个人信息保护法5、6条",
            fields={"next_allowed_at": self.next_allowed_at.isoformat()}
            if self.next_allowed_at
            else None,
        )


Decision = Allowed | Denied


@dataclass(frozen=True)
class _Block:
    """A rule that says no at an instant, and when it would stop saying so (None: never)."""

    code: str
    text: str
    until: datetime | None


def decide(
    *,
    kind: Kind,
    contact_class: ContactClass,
    at: datetime,
    history: Sequence[PastContact],
    policy: Policy | None = None,
    notices_of_bill: int = 0,
    holidays: Iterable[date] = (),
) -> Decision:
    """Say whether a contact of this kind and class may happen at `at` (C15, C16).

    at: aware instant. history: contacts and attempts of the liable person of at least the last
    30 days, all houses and channels, any order; later than `at` are ignored. notices_of_bill: for
    a bill_notice, how many pre-due notices its most-noticed bill already had (the issue notice
    not counted). holidays: extra quiet days of the company; the three of C15 are always quiet.
    Raises ValueError for an unknown kind or class or a naive instant.
    """
    ask = _Question(kind, contact_class, at, history, policy, notices_of_bill, holidays)
    first = ask.block_at(at)
    if first is None:
        return Allowed(rule_set=ask.policy.version)
    free = ask.first_free(at)
    return Denied(first.code, _reason(first, free, ask.policy), free, ask.policy.version)


def next_allowed(
    *,
    kind: Kind,
    contact_class: ContactClass,
    at: datetime,
    history: Sequence[PastContact],
    policy: Policy | None = None,
    notices_of_bill: int = 0,
    holidays: Iterable[date] = (),
) -> datetime | None:
    """Return the first allowed instant at or after `at` (UTC-comparable, aware); None = never.

    Assumes no further contact in between; arguments as for `decide`.
    """
    ask = _Question(kind, contact_class, at, history, policy, notices_of_bill, holidays)
    return ask.first_free(at)


class _Question:
    """One intended contact with everything the rules look at."""

    def __init__(
        self,
        kind: Kind,
        contact_class: ContactClass,
        at: datetime,
        history: Sequence[PastContact],
        policy: Policy | None,
        notices_of_bill: int,
        holidays: Iterable[date],
    ) -> None:
        if kind not in KINDS or contact_class not in CLASSES:
            raise ValueError(f"unknown contact: {kind}/{contact_class}")
        if at.tzinfo is None or any(past.at.tzinfo is None for past in history):
            raise ValueError("naive datetime: every instant is aware")
        self.kind = kind
        self.contact_class = contact_class
        self.policy = policy or DEFAULT_POLICY
        self.history = sorted((c for c in history if c.at <= at), key=lambda c: c.at)
        self.notices_of_bill = notices_of_bill
        self.holidays = frozenset(holidays)

    def block_at(self, at: datetime) -> _Block | None:
        """Return the first rule that refuses `at`, hours before counts."""
        if self.contact_class == "reply":
            return None
        for rule in _RULES:
            block = rule(self, at)
            if block is not None:
                return block
        return None

    def first_free(self, at: datetime) -> datetime | None:
        """Jump from release to release until nothing refuses; each jump moves forward."""
        while (block := self.block_at(at)) is not None:
            if block.until is None:
                return None
            at = block.until
        return at

    def day_of(self, at: datetime) -> date:
        return at.astimezone(self.policy.tz).date()

    def start_of(self, day: date) -> datetime:
        return datetime.combine(day, time(0), tzinfo=self.policy.tz)


def _hours(ask: _Question, at: datetime) -> _Block | None:
    """C15: inside a window of its kind, and not on a quiet day."""
    local = at.astimezone(ask.policy.tz)
    text = "当前时段不允许催缴联系"
    if is_quiet(local.date()) or local.date() in ask.holidays:
        return _Block("E-C15", text, ask.start_of(local.date() + _DAY))
    for start, end in ask.policy.hours[ask.kind]:
        if local.time() < start:
            return _Block("E-C15", text, datetime.combine(local.date(), start, ask.policy.tz))
        if local.time() < end:
            return None
    return _Block("E-C15", text, ask.start_of(local.date() + _DAY))


def _notices(ask: _Question, at: datetime) -> _Block | None:
    """C16: at most two pre-due notices per bill."""
    limit = ask.policy.notices_per_bill
    if ask.contact_class == "bill_notice" and ask.notices_of_bill >= limit:
        return _Block("E-C16", f"该账单到期前通知已达{limit}次", None)
    return None


def _per_day(ask: _Question, at: datetime) -> _Block | None:
    """C16: one outbound contact of any kind a day, notices included."""
    if ask.contact_class not in ("reminder", "bill_notice"):
        return None
    limit = ask.policy.per_day
    today = [c for c in ask.history if c.takes_the_day and ask.day_of(c.at) == ask.day_of(at)]
    if len(today) < limit:
        return None
    return _Block("E-C16", f"已达联系上限（1天{limit}次）", ask.start_of(ask.day_of(at) + _DAY))


def _rolling(days: int, limit_of: Callable[[Policy], int]) -> Callable[..., _Block | None]:
    def rule(ask: _Question, at: datetime) -> _Block | None:
        """C16: reminders in any `days` × 24 hours."""
        if ask.contact_class != "reminder":
            return None
        span, limit = timedelta(days=days), limit_of(ask.policy)
        within = [c.at for c in ask.history if c.is_reminder and at - span < c.at]
        if len(within) < limit:
            return None
        text = f"已达联系上限（{days}天{limit}次）"
        return _Block("E-C16", text, within[-limit] + span if limit else None)

    return rule


def _calls(ask: _Question, at: datetime) -> _Block | None:
    """C16 ceiling: one connected call and three attempts a day, two hours apart."""
    if ask.kind != "call":
        return None
    calls = [c for c in ask.history if c.kind == "call" and c.contact_class != "reply"]
    today = [c for c in calls if ask.day_of(c.at) == ask.day_of(at)]
    tomorrow = ask.start_of(ask.day_of(at) + _DAY)
    if sum(c.connected for c in today) >= ask.policy.connected_calls_per_day:
        return _Block("E-C16", "今日已接通过电话", tomorrow)
    if len(today) >= ask.policy.call_attempts_per_day:
        text = f"今日拨打已达{ask.policy.call_attempts_per_day}次"
        return _Block("E-C16", text, tomorrow)
    if calls and at < calls[-1].at + ask.policy.call_attempt_gap:
        return _Block("E-C16", "两次拨打间隔不足", calls[-1].at + ask.policy.call_attempt_gap)
    return None


def _visits(ask: _Question, at: datetime) -> _Block | None:
    """C16: one visit in any fourteen days."""
    if ask.kind != "visit":
        return None
    gap = timedelta(days=ask.policy.visit_gap_days)
    visits = [c.at for c in ask.history if c.kind == "visit" and c.contact_class != "reply"]
    if visits and at < visits[-1] + gap:
        text = f"已达上门上限（{ask.policy.visit_gap_days}天1次）"
        return _Block("E-C16", text, visits[-1] + gap)
    return None


_RULES: tuple[Callable[[_Question, datetime], _Block | None], ...] = (
    _hours,
    _notices,
    _per_day,
    _rolling(7, lambda policy: policy.per_7_days),
    _rolling(30, lambda policy: policy.per_30_days),
    _calls,
    _visits,
)


def _reason(block: _Block, free: datetime | None, policy: Policy) -> str:
    if free is None:
        return f"{block.text}，不再发送。"
    when = free.astimezone(policy.tz).strftime("%Y-%m-%d %H:%M")
    if block.code == "E-C15":
        return f"{block.text}，已顺延至{when}"
    return f"{block.text}，下次可联系时间{when}"
