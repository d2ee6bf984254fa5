"""What the platforms have on file before anyone asks: message templates and review rules."""

from __future__ import annotations

EVENTS = (
    "bill_issued", "due_in_7", "due_in_1", "overdue_3", "overdue_warm", "promise_tomorrow",
    "receipt", "paid_twice", "credit_refunded",
)  # fmt: skip

_NOTICE = ["thing1", "character_string2", "amount3", "date4", "thing5"]
WECHAT_FIELDS = {
    "miniprogram": {event: list(_NOTICE) for event in EVENTS},
    "official_account": {event: list(_NOTICE) for event in EVENTS},
}

SMS_TEXTS = {
    "bill_issued": "尊敬的${name}，${house}${period}物业服务账单已出，金额${amount}元。",
    "due_in_7": "尊敬的${name}，${house}的物业服务账单将于${date}到期，金额${amount}元。",
    "due_in_1": "尊敬的${name}，${house}的物业服务账单明日到期，金额${amount}元。",
    "overdue_3": "尊敬的${name}，${house}的物业服务账单${amount}元尚未缴纳，请查看。",
    "receipt": "尊敬的${name}，已收到${house}缴纳的${amount}元，感谢您的支持。",
}

FORBIDDEN_IN_SMS = (
    "催款", "催缴", "催收", "法律维权", "调解", "上门追讨", "积分兑换", "积分领取", "返现", "返利",
    "拒收请回复",
)  # fmt: skip
