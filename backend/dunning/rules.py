"""What a contact means, what a promise may say, and how much each role may waive. Pure.

Results and reasons are closed lists: a free text cannot be counted, and the reason why somebody
did not pay decides what happens next (C73).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from backend.conduct.labels import REASONS_ZH, RESULTS_ZH
from backend.errors import Refusal
from backend.money import Fen, yuan_text

PAY_BY_ZH = {
    "wechatpay": "微信支付",
    "alipay": "支付宝",
    "bank": "银行转账",
    "cash": "现金",
    "pos": "刷卡",
    "withhold": "银行代扣",
}
UNANSWERED = frozenset({"no_answer", "unreachable", "wrong_number"})
CALL_RESULTS = frozenset(RESULTS_ZH) - {"met", "not_met"}
VISIT_RESULTS = frozenset(RESULTS_ZH) - UNANSWERED
# Class B (nobody reached, or no date named) and D (away): called again until a date is named
# (S35, S37, S40), within the contact rules.
CALL_AGAIN = frozenset({"no_answer", "unreachable", "will_consider", "away"})

PROMISE_MAX_DAYS = 60
RECORD_WITHIN = timedelta(days=7)
CLOCK_SLACK = timedelta(minutes=2)


def is_connected(kind: str, result: str) -> bool:
    """Tell whether somebody was reached: an unanswered call is an attempt, not a contact (C16)."""
    return result != "not_met" if kind == "visit" else result not in UNANSWERED


def check_contact(*, kind: str, result: str, reason_code: str, promised: bool) -> None:
    """Refuse a record that does not fit its kind or lacks its reason (C73).

    promised: whether a promise came with it. Raises Refusal `contact_invalid` (422).
    """
    fields: dict[str, object] = {}
    if result not in (CALL_RESULTS if kind == "call" else VISIT_RESULTS):
        fields["result"] = "该结果不适用于" + ("电话" if kind == "call" else "上门")
    if reason_code not in REASONS_ZH:
        fields["reason_code"] = "请选择未缴原因"
    if promised and result != "promised":
        fields["promise"] = "只有结果为“承诺缴费”时才登记承诺"
    if result == "promised" and not promised:
        fields["promise"] = "承诺缴费须登记金额、日期和方式"
    if fields:
        raise Refusal(
            "contact_invalid",
            message="the record of the contact is incomplete",
            message_zh="沟通记录不完整：" + "；".join(str(text) for text in fields.values()) + "。",
            http=422,
            fields=fields,
        )


def check_time(*, at: datetime, now: datetime) -> None:
    """Refuse a contact in the future or more than 7 days old. Raises `contact_time` (422)."""
    if not now - RECORD_WITHIN <= at <= now + CLOCK_SLACK:
        raise Refusal(
            "contact_time",
            message="time of the contact out of range",
            message_zh="沟通时间须在最近 7 天之内，且不能晚于现在。",
            http=422,
            fields={"at": "须在最近 7 天之内"},
        )


def check_two_people(*, first: int, second: int | None) -> None:
    """Refuse a visit of one (C25). Raises `visit_needs_two` (422)."""
    if second is None or second == first:
        raise Refusal(
            "visit_needs_two",
            message="a visit needs two different members of staff",
            message_zh="上门须两名不同的工作人员同行。",
            http=422,
            what_to_do="请选择同行人员。",
            legal_basis="民法典1033条；上门须两人同行，未经同意不得入户",
            fields={"second_steward_id": "须为另一名在岗人员"},
        )


def check_promise(
    *, amount_fen: Fen, payable_fen: Fen, day: date, today: date, pay_by: str
) -> None:
    """Refuse a promise nobody could keep.

    payable_fen: open principal and late fee today. day: today up to 60 days ahead. Raises Refusal
    `nothing_to_pay` (409), `promise_invalid` (422).
    """
    if payable_fen <= 0:
        raise Refusal(
            "nothing_to_pay",
            message="nothing is open",
            message_zh="该户没有未缴账单，无需承诺。",
            what_to_do="请刷新后核对。",
        )
    fields: dict[str, object] = {}
    if not 0 < amount_fen <= payable_fen:
        fields["amount_fen"] = f"金额须大于 0，且不超过应缴合计 {yuan_text(payable_fen)} 元"
    if not today <= day <= today + timedelta(days=PROMISE_MAX_DAYS):
        fields["day"] = f"日期须在今天至 {PROMISE_MAX_DAYS} 天之内"
    if pay_by not in PAY_BY_ZH:
        fields["pay_by"] = "请选择缴费方式"
    if fields:
        raise Refusal(
            "promise_invalid",
            message="promise out of range",
            message_zh="承诺无法登记：" + "；".join(str(text) for text in fields.values()) + "。",
            http=422,
            fields=fields,
        )


@dataclass(frozen=True)
class WaiverLimit:
    """How much one decision of a role may waive, in fen; None = no limit."""

    late_fee_fen: Fen | None
    principal_fen: Fen | None


# S9, C54: the published waiver policy. One decision, one bill; the same for every owner.
WAIVER_LIMITS = {
    "steward": WaiverLimit(0, 0),
    "lead": WaiverLimit(20_000, 0),
    "finance": WaiverLimit(200_000, 50_000),
    "manager": WaiverLimit(1_000_000, 500_000),
    "admin": WaiverLimit(None, None),
}


def check_waiver(*, role: str, principal_fen: Fen, late_fee_fen: Fen) -> None:
    """Refuse a waiver of nothing (`waiver_invalid`, 422) or too much (`waiver_limit`, 403)."""
    if principal_fen < 0 or late_fee_fen < 0 or principal_fen + late_fee_fen == 0:
        raise Refusal(
            "waiver_invalid",
            message="nothing to waive",
            message_zh="减免金额不能为负，且合计须大于 0。",
            http=422,
        )
    limit = WAIVER_LIMITS[role]
    fields: dict[str, object] = {}
    for name, text, asked, allowed in (
        ("late_fee_fen", "违约金", late_fee_fen, limit.late_fee_fen),
        ("principal_fen", "本金", principal_fen, limit.principal_fen),
    ):
        if allowed is not None and asked > allowed:
            fields[name] = f"您的岗位单笔最多减免{text} {yuan_text(allowed)} 元"
    if fields:
        raise Refusal(
            "waiver_limit",
            message="beyond the role's waiver limit",
            message_zh="超过岗位减免权限："
            + "；".join(str(text) for text in fields.values())
            + "。",
            http=403,
            what_to_do="请由更高权限的岗位办理。",
            legal_basis="公司减免办法（同等情形同等处理）",
            fields=fields,
        )
