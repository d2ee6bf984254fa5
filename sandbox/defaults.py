"""What the platforms have on file before anyone asks: message templates and review rules."""

from __future__ import annotations

EVENTS = (
    "bill_issued", "due_in_7", "due_in_1", "overdue_3", "overdue_warm", "promise_tomorrow",
    "promise_today", "receipt", "paid_twice", "credit_refunded",
)  # fmt: skip

_NOTICE = ["thing1", "character_string2", "amount3", "date4", "thing5"]
WECHAT_FIELDS = {
    "miniprogram": {event: list(_NOTICE) for event in EVENTS},
    "official_account": {event: list(_NOTICE) for event in EVENTS},
}

_BILL = "尊敬的${name}，${house}的${period}物业服务"
SMS_TEXTS = {
    "bill_issued": _BILL + "账单已出，金额${amount}元，截止${date}，查询码${code}。",
    "due_in_7": _BILL + "账单${amount}元，截止日为${date}，查询码${code}。",
    "due_in_1": _BILL + "账单${amount}元，${date}到期，查询码${code}。",
    "overdue_3": _BILL + "费${amount}元尚未缴纳，截止日为${date}，查询码${code}，已缴费请忽略。",
    "overdue_warm": _BILL + "费${amount}元可能忘了缴纳，截止日为${date}，查询码${code}。",
    "promise_tomorrow": "尊敬的${name}，您约定于${date}缴纳${house}的${amount}元，查询码${code}。",
    "promise_today": "尊敬的${name}，今天${date}是您约定缴纳${house}的${amount}元的日子。",
    "receipt": "尊敬的${name}，已于${date}收到${house}的${amount}元，感谢您的支持。",
    "paid_twice": "尊敬的${name}，${house}于${date}重复支付，多付的${amount}元将退回。",
    "credit_refunded": "尊敬的${name}，${house}账户的${amount}元已于${date}按原支付渠道退回。",
}

FORBIDDEN_IN_SMS = (
    "催款", "催缴", "催收", "法律维权", "调解", "上门追讨", "积分兑换", "积分领取", "返现", "返利",
    "拒收请回复",
)  # fmt: skip
