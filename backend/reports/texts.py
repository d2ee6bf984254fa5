"""Chinese words for what stands in the tables as codes, as docs/glossary.md has them."""

from __future__ import annotations

from backend.conduct.labels import REASONS_ZH as REASON
from backend.conduct.labels import RESULTS_ZH as RESULT
from backend.reminders import templates

__all__ = ["REASON", "RESULT"]

KIND = {"call": "电话", "visit": "上门", "promise_broken": "承诺未兑现"}
STAGE = {
    "S23": "到期前提醒",
    "S24": "温馨提示",
    "S25": "友好沟通",
    "S26": "重点跟进",
    "S27": "法律警示",
    "promise": "承诺跟进",
}
PROMISE = {"open": "履行中", "kept": "已守约", "broken": "未兑现", "cancelled": "已取消"}
ORDER = {
    "created": "已创建",
    "pending": "待支付",
    "unknown": "结果未知",
    "closing": "关闭中",
    "closed": "已关闭",
    "succeeded": "已支付",
    "succeeded_late": "关闭后到账",
}
REFUND = {
    "requested": "待复核",
    "pending": "处理中",
    "processing": "处理中",
    "unknown": "结果待查",
    "succeeded": "已退款",
    "closed": "未退成，款项回余额",
    "abnormal": "异常，待人工",
    "rejected": "已驳回",
}
PAY_CHANNEL = {
    "wechatpay": "微信支付",
    "alipay": "支付宝",
    "cash": "现金",
    "pos": "刷卡",
    "bank": "银行转账",
    "withhold": "银行代扣",
}
MESSAGE_CHANNEL = {
    "auto": "自动选择",
    "wechat_template": "服务号消息",
    "wechat_subscribe": "订阅消息",
    "sms": "短信",
    "voice": "语音",
}
MESSAGE_STATE = {
    "planned": "待发",
    "calling": "发送中",
    "accepted": "已受理",
    "delivered": "已送达",
    "failed": "失败",
    "suppressed": "已拦截",
    "in_doubt": "存疑",
}
ROLE = {"owner": "业主", "user": "使用人", "developer": "开发商", "co_owner": "共有人"}
FORMER = "曾经的业主"
PHONE_SOURCE = {"owner": "业主本人", "contract": "合同登记", "court": "法院", "mediation": "调解"}
USE = {"residential": "住宅", "shop": "商铺", "parking": "车位", "office": "办公", "other": "其他"}
OCCUPANCY = {
    "self": "自住",
    "rent": "出租",
    "vacant": "空置",
    "unsold": "未售",
    "undelivered": "未交付",
    "unknown": "未知",
}
EXCEPTION = {
    "quarantined_notice": "支付通知存疑",
    "dead_task": "任务失败",
    "in_doubt_message": "消息结果存疑",
    "abnormal_refund": "退款异常",
    "waiting_refund": "退款待复核",
    "unanswered_order": "订单结果不明",
    "unsettled_notice": "支付通知多次未能入账",
}


def event(name: str) -> str:
    """Return the title of a message event, the name itself for one that has no text."""
    try:
        return templates.kind_of(name).title
    except (KeyError, LookupError):
        return name
