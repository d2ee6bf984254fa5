"""What a text may not say, whoever writes it and on whatever channel.

Three lists with three sources. *Hard* words threaten, shame or claim a power the company does not
have (C1, C20, C40): no role and no setting lets them through. *Promotion* words turn a notice
into advertising, which needs a consent of its own (C18). *Vendor* words get an SMS template
refused by the carrier. A text is read without the tricks that hide a word: full-width forms,
spaces, dots and zero-width characters between its letters.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from backend.errors import Refusal

WordingClass = Literal[
    "bill", "arrears", "letter", "promise", "receipt", "service", "outage", "marketing"
]
CLASSES: frozenset[str] = frozenset(
    ("bill", "arrears", "letter", "promise", "receipt", "service", "outage", "marketing")
)

# C1, C20, C40: word → why. HARD in every class; `outage` may speak of water and power.
HARD: dict[str, str] = {
    "征信": "物业公司无权报送征信",
    "徵信": "物业公司无权报送征信",
    "信用记录": "物业公司无权影响信用记录",
    "信用档案": "物业公司无权影响信用档案",
    "黑名单": "物业公司没有黑名单",
    "黑名單": "物业公司没有黑名单",
    "失信": "失信名单只由法院依法作出",
    "限制高消费": "限制高消费只由法院依法作出",
    "限制消费": "限制消费只由法院依法作出",
    "限高": "限制高消费只由法院依法作出",
    "通知单位": "不得联系业主的工作单位",
    "通知您的单位": "不得联系业主的工作单位",
    "停水": "不得以停水催交（民法典944条）",
    "断水": "不得以停水催交（民法典944条）",
    "停电": "不得以停电催交（民法典944条）",
    "断电": "不得以停电催交（民法典944条）",
    "停气": "不得以停气催交（民法典944条）",
    "停暖": "不得以停暖催交（民法典944条）",
    "停止服务": "不得以停止服务催交（民法典944条）",
    "停止物业服务": "不得以停止服务催交（民法典944条）",
    "暂停服务": "不得以停止服务催交（民法典944条）",
    "暂停物业服务": "不得以停止服务催交（民法典944条）",
    "限制门禁": "不得限制门禁、电梯、车辆催交",
    "停用门禁": "不得限制门禁、电梯、车辆催交",
    "限制电梯": "不得限制门禁、电梯、车辆催交",
    "停用电梯": "不得限制门禁、电梯、车辆催交",
    "禁止车辆": "不得限制门禁、电梯、车辆催交",
    "拘留": "威胁性表述",
    "公安": "冒用或借用公权力",
    "派出所": "冒用或借用公权力",
    "坐牢": "威胁性表述",
    "查封": "查封只由法院依法作出",
    "冻结": "冻结只由法院依法作出",
    "强制执行": "强制执行只由法院依法作出",
    "罚款": "物业公司无权罚款",
    "赖账": "侮辱性表述",
    "赖帐": "侮辱性表述",
    "老赖": "侮辱性表述",
    "缺德": "侮辱性表述",
    "不要脸": "侮辱性表述",
    "曝光": "不得公开业主欠费信息",
    "公布姓名": "不得公开业主欠费信息",
    "影响您的住房权益": "暗示公司无权造成的后果",
    "影响您的日常生活": "暗示公司无权造成的后果",
}
_OUTAGE_MAY_SAY = frozenset({"停水", "断水", "停电", "断电", "停气", "停暖"})
_FILED = "法院已立案"

# C18: a notice carries no promotion, gift or shop.
PROMOTION = (
    "优惠", "折扣", "打折", "促销", "特价", "抽奖", "中奖", "礼品", "赠送", "免费领", "红包",
    "返现", "返利", "秒杀", "团购", "抢购", "商城", "店铺", "积分",
)  # fmt: skip

# Carriers refuse these in notification templates; a notification carries no opt-out either.
SMS_VENDOR = (
    "催", "欠", "逾期", "征信", "滞纳", "诉讼", "起诉", "律师", "法律维权", "调解", "上门追讨",
    "积分", "返现", "返利", "微信号", "QQ", "¥", "【", "】",
)  # fmt: skip
OPT_OUT = ("拒收请回复", "退订", "回复TD", "回TD")
_MARKETING_ENDING = "拒收请回复R"

_HIDERS = re.compile(r"[\s\u200b-\u200f\u2060\ufeff\-_·.*~|/\\]+")
_AMOUNT = re.compile(r"\d元|¥\d")
_LINK = re.compile(r"https?:|www\.|/pay", re.IGNORECASE)


@dataclass(frozen=True)
class Hit:
    """A forbidden word: rule is the C number or `vendor`; hard ones nobody may override."""

    word: str
    rule: str
    reason_zh: str
    hard: bool


def lint(
    text: str,
    message_class: WordingClass,
    *,
    channel: str | None = None,
    case_number: str | None = None,
) -> list[Hit]:
    """Return everything forbidden in a text of this class; an empty list means it may go out.

    channel: `sms` adds the carriers' list. case_number: a recorded court case number; a text that
    states it may say 法院已立案. Raises ValueError for an unknown class.
    """
    if message_class not in CLASSES:
        raise ValueError(f"unknown wording class: {message_class}")
    plain = _plain(text)
    hits = _hard_hits(plain, message_class, case_number)
    if message_class == "marketing":
        hits += _marketing_hits(text)
    else:
        hits += [Hit(w, "C18", "通知类文案不得含推广内容", False) for w in PROMOTION if w in plain]
        hits += [Hit(w, "vendor", "通知短信不得带退订语", False) for w in OPT_OUT if w in plain]
    if message_class == "outage":
        hits += _outage_hits(text)
    if channel == "sms" and message_class != "marketing":
        hits += [Hit(w, "vendor", "运营商不予审核通过", False) for w in SMS_VENDOR if w in plain]
    return hits


def require_clean(
    text: str,
    message_class: WordingClass,
    *,
    channel: str | None = None,
    case_number: str | None = None,
) -> None:
    """Raise Refusal `E-C20` listing the words if the text may not go out."""
    hits = lint(text, message_class, channel=channel, case_number=case_number)
    if hits:
        raise Refusal(
            "E-C20",
            message="forbidden wording",
            message_zh="文案含禁用或失实表述：" + "、".join(dict.fromkeys(h.word for h in hits)),
            http=422,
            what_to_do="请改为写明公司、账期、金额、缴费方式、异议方式和电话的中性表述。",
            legal_basis="民法典944、1033条；通信短信息服务管理规定",
            fields={h.word: h.reason_zh for h in hits},
        )


def _plain(text: str) -> str:
    return _HIDERS.sub("", unicodedata.normalize("NFKC", text))


def _hard_hits(plain: str, message_class: str, case_number: str | None) -> list[Hit]:
    allowed = _OUTAGE_MAY_SAY if message_class == "outage" else frozenset()
    hits = [
        Hit(word, "C20", reason, True)
        for word, reason in HARD.items()
        if word in plain and word not in allowed
    ]
    stated = case_number is not None and _plain(case_number) in plain
    if _FILED in plain and not stated:
        hits.append(Hit(_FILED, "C20", "未登记案号，不得称法院已立案", True))
    return hits


def _outage_hits(text: str) -> list[Hit]:
    """C20: an outage notice carries no amount and no way to pay."""
    hits = []
    if _AMOUNT.search(unicodedata.normalize("NFKC", text)):
        hits.append(Hit("金额", "C20", "停水停电通知不得带金额", True))
    if _LINK.search(text):
        hits.append(Hit("链接", "C20", "停水停电通知不得带链接", True))
    return hits


def _marketing_hits(text: str) -> list[Hit]:
    if text.rstrip("。.! ").endswith(_MARKETING_ENDING):
        return []
    return [Hit(_MARKETING_ENDING, "C18", "推广文案必须以「拒收请回复R」结尾", False)]
