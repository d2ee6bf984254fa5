"""The numbers of the contact rules, and how far a company may move them.

Defaults and limits of the table of default settings (C15, C16). A setting may always be made
stricter; the hours, the call ceilings and the visit gap have a limit nobody can pass, the contact
counts only a bound of sanity (never more than one a day over a month).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from backend.errors import Refusal

Kind = Literal["call", "message", "visit"]
ContactClass = Literal["reminder", "bill_notice", "promise", "legal", "reply"]

KINDS: tuple[Kind, ...] = ("call", "message", "visit")
CLASSES: tuple[ContactClass, ...] = ("reminder", "bill_notice", "promise", "legal", "reply")

SHANGHAI = ZoneInfo("Asia/Shanghai")
CEILING_HOURS = (time(8, 0), time(22, 0))  # C15: never looser than this
RULE_SET = "conduct-2026-11"  # kept with every permit and contact

Window = tuple[time, time]

DEFAULT_HOURS: dict[Kind, tuple[Window, ...]] = {
    "call": ((time(9, 0), time(12, 0)), (time(14, 0), time(20, 0))),
    "message": ((time(9, 0), time(20, 30)),),
    "visit": ((time(9, 30), time(19, 30)),),
}


@dataclass(frozen=True)
class Policy:
    """The contact settings (C15, C16); building one beyond a ceiling is refused.

    hours: per kind, half-open windows of the project's local day. version names the setting in
    force and is stored with every permit. Raises Refusal `E-C15`/`E-C16` naming each field that
    is looser than its ceiling.
    """

    hours: dict[Kind, tuple[Window, ...]] = field(default_factory=lambda: dict(DEFAULT_HOURS))
    per_day: int = 1
    per_7_days: int = 2
    per_30_days: int = 6
    visit_gap_days: int = 14
    connected_calls_per_day: int = 1
    call_attempts_per_day: int = 3
    call_attempt_gap: timedelta = timedelta(hours=2)
    notices_per_bill: int = 2
    tz: ZoneInfo = SHANGHAI
    version: str = RULE_SET

    def __post_init__(self) -> None:
        fields = dict(_beyond_ceiling(self))
        if fields:
            code = "E-C15" if "hours" in fields else "E-C16"
            raise Refusal(
                code,
                message="policy beyond the ceiling",
                message_zh="联系规则只能设得更严，不能放宽到上限之外："
                + "；".join(fields.values()),
                http=422,
                what_to_do="请改为上限以内的数值后重新提交。",
                legal_basis="民法典1033条；治安管理处罚法50条",
                fields=dict(fields),
            )


def _beyond_ceiling(policy: Policy) -> Iterable[tuple[str, str]]:
    earliest, latest = CEILING_HOURS
    for kind in KINDS:
        windows = policy.hours.get(kind, ())
        last_end = time(0)
        for start, end in windows:
            if not (earliest <= start < end <= latest) or start < last_end:
                yield "hours", f"{kind} 的时段须在 08:00–22:00 之内，按先后排列且不重叠"
            last_end = end
        if not windows:
            yield "hours", f"{kind} 没有任何可用时段"
    for name, low, high in (
        ("per_day", 1, 3),
        ("per_7_days", 1, 7),
        ("per_30_days", 1, 30),
        ("connected_calls_per_day", 1, 1),
        ("call_attempts_per_day", 1, 3),
        ("notices_per_bill", 0, 2),
    ):
        if not low <= getattr(policy, name) <= high:
            yield name, f"{name} 须在 {low}–{high} 之间"
    if policy.visit_gap_days < 7:
        yield "visit_gap_days", "上门间隔不少于 7 天"
    if policy.call_attempt_gap < timedelta(hours=2):
        yield "call_attempt_gap", "拨打间隔不少于 2 小时"


DEFAULT_POLICY = Policy()


def stricter(policy: Policy, **changes: object) -> Policy:
    """Return the policy with settings replaced; raises Refusal when one passes its ceiling."""
    return replace(policy, **changes)  # type: ignore[arg-type]
