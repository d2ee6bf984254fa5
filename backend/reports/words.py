"""Chinese words that only owners read; the staff's are in `texts`."""

from __future__ import annotations

ORDER_STATE_ZH = {
    "created": "待支付",
    "pending": "待支付",
    "unknown": "支付结果确认中",
    "closing": "正在关闭",
    "closed": "已关闭",
    "succeeded": "支付成功",
    "succeeded_late": "支付成功",
}
POINTS_ZH = {
    "payment": "缴费获得",
    "credit": "余额缴费获得",
    "refund": "退费扣回",
    "points_redeemed": "抵扣物业服务费",
}
