"""The one-minute brief and the rates: pure words and numbers."""

from __future__ import annotations

from datetime import date

import pytest

from backend.conduct.wording import HARD
from backend.reports.brief import BriefFacts, brief_of
from backend.reports.communities import rate_text

BUSY = BriefFacts(
    open_fen=42879, bills=3, overdue_days=25, oldest_period="2026年9月",
    last_contact=(date(2026, 12, 1), "电话", "再考虑", "不着急"), contacts_30_days=2,
    promises_kept=1, promises_broken=1, last_payment=date(2026, 8, 9),
    reach=["电话", "小程序"], holds=["异议处理"],
)  # fmt: skip


def test_three_to_five_points_of_facts():
    assert brief_of(BUSY) == {
        "headline": "3 笔账单共 428.79 元待缴，最早一笔已过缴费日 25 天。",
        "points": [
            "暂停事项：异议处理。",
            "最早未缴账期：2026年9月。",
            "上次联系 2026-12-01 电话，再考虑，原因：不着急；近 30 天共 2 次。",
            "承诺 2 次，守约 1 次，未兑现 1 次。",
            "可用渠道：电话、小程序。",
        ],
    }


@pytest.mark.parametrize(
    "facts",
    [BUSY, BriefFacts(0, 0, 0), BriefFacts(100, 1, -3, "2026年12月"),
     BriefFacts(100, 1, 5, "2026年11月", open_promise=(date(2026, 12, 15), 100))],
)  # fmt: skip
def test_the_words_stay_neutral(facts):
    brief = brief_of(facts)
    assert 3 <= len(brief["points"]) <= 5
    said = brief["headline"] + "".join(brief["points"])
    assert not [word for word in (*HARD, "老赖", "恶意", "赖账", "催") if word in said] or (
        "不再催促" in said
    )


@pytest.mark.parametrize(
    "collected, receivable, text",
    [(0, 0, "—"), (0, 100, "0.0%"), (999_999, 1_000_000, "99.9%"), (7, 7, "100.0%"),
     (853, 1000, "85.3%")],
)  # fmt: skip
def test_a_rate_is_never_rounded_up(collected, receivable, text):
    assert rate_text(collected, receivable) == text
