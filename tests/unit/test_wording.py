"""The wording lint: every word of C20, promotion in notices (C18), carriers' lists."""

from __future__ import annotations

import pytest

from backend.conduct.wording import CLASSES, HARD, OPT_OUT, PROMOTION, lint, require_clean
from backend.errors import Refusal

C20_WORDS = [
    "征信", "黑名单", "失信", "限制高消费", "通知单位", "停水", "停电", "停止服务", "拘留", "公安",
    "法院已立案", "赖账", "缺德",
]  # fmt: skip


def words(text: str, cls: str, **more) -> list[str]:
    return [hit.word for hit in lint(text, cls, **more)]


@pytest.mark.covers("C20", "C1")
@pytest.mark.parametrize("word", C20_WORDS)
@pytest.mark.parametrize("cls", ["bill", "arrears", "letter"])
def test_every_word_of_the_list_is_refused_hard(word, cls):
    hits = lint(f"您好,如不缴费我们将{word}处理", cls)
    assert [(h.word, h.rule, h.hard) for h in hits] == [(word, "C20", True)]


@pytest.mark.covers("C20")
@pytest.mark.parametrize(
    "text", ["上征 信", "上征·信", "上征-信", "上征\u200b信", "列入黑.名.单", "上 徵信"]
)
def test_hidden_spellings_are_found(text):
    assert any(hit.hard for hit in lint(text, "arrears"))


@pytest.mark.covers("C20")
def test_a_court_case_may_be_named_only_with_its_recorded_number():
    text = "法院已立案,案号(2026)沪0115民初1234号"
    assert words(text, "letter") == ["法院已立案"]
    assert words(text, "letter", case_number="(2026)沪0115民初1234号") == []
    assert words("法院已立案", "letter", case_number="(2026)沪0115民初1234号") == ["法院已立案"]


@pytest.mark.covers("C20")
def test_an_outage_notice_may_name_the_outage_but_carries_no_amount_and_no_link():
    assert words("因供水公司检修,11月25日8时至12时停水", "outage") == []
    assert words("停水前请缴清215.60元", "outage") == ["金额"]
    assert words("停电通知,详情 https://pay.example.com/pay/", "outage") == ["链接"]
    assert words("停水并上征信", "outage") == ["征信"]


@pytest.mark.covers("C18")
@pytest.mark.parametrize("word", PROMOTION)
def test_promotion_words_are_refused_in_notices_and_belong_to_marketing(word):
    for cls in sorted(CLASSES - {"marketing"}):
        assert word in words(f"账单已出,{word}等您", cls)
    assert words(f"{word}等您,拒收请回复R", "marketing") == []


@pytest.mark.covers("C18")
def test_marketing_ends_with_the_opt_out_and_a_notice_never_carries_one():
    assert words("早缴有礼品", "marketing") == ["拒收请回复R"]
    for opt_out in OPT_OUT:
        assert opt_out in words(f"账单已出 {opt_out}", "bill")


@pytest.mark.covers("C20")
@pytest.mark.parametrize("word", ["催", "欠", "逾期", "征信", "滞纳", "诉讼", "调解", "【", "¥"])
def test_carriers_words_are_refused_by_sms_only(word):
    text = f"您的账单{word}请查看"
    assert word in words(text, "arrears", channel="sms")
    if word not in HARD:
        assert words(text, "letter") == []


@pytest.mark.covers("C20")
def test_a_refusal_names_the_words_and_their_reasons():
    with pytest.raises(Refusal) as refused:
        require_clean("不缴费就停水并上黑名单", "arrears")
    assert refused.value.code == "E-C20"
    assert refused.value.message_zh == "文案含禁用或失实表述：黑名单、停水"
    assert set(refused.value.fields) == {"黑名单", "停水"}
    assert require_clean("请于11月15日前缴纳物业服务费", "arrears") is None


def test_an_unknown_class_is_an_error():
    with pytest.raises(ValueError, match="unknown"):
        lint("你好", "spam")
