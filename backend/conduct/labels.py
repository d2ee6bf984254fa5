"""Closed lists: what a contact led to, why somebody has not paid; with Chinese names (C73)."""

from __future__ import annotations

RESULTS_ZH = {
    "promised": "承诺缴费",
    "will_consider": "再考虑",
    "no_answer": "无人接听",
    "unreachable": "关机/停机",
    "wrong_number": "号码错误",
    "away": "人在外地",
    "refused": "拒绝缴费",
    "dispute": "有异议",
    "hardship": "经济困难",
    "not_met": "未遇到人",
    "met": "已见面",
    "paid_already": "称已缴费",
}
REASONS_ZH = {
    "forgot": "忘记了",
    "dissatisfied": "对服务不满",
    "hardship": "经济困难",
    "away": "人在外地",
    "tenant_landlord": "租户房东推诿",
    "no_trust": "不信任物业",
    "no_service": "认为没享受服务",
    "no_urgency": "不着急",
    "price": "嫌价格高",
    "developer_legacy": "开发商遗留问题",
    "other": "其他",
    "unknown": "未了解到",
}
