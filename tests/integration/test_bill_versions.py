"""A new version at the same price is one line, and the bill names both versions (A10, C43)."""

from __future__ import annotations

from datetime import date

import pytest

from backend.usecases.issue_bills import continue_bill_run
from tests.factories.estate import make_estate, set_business_now
from tests.integration.test_bill_runs import DEC, HALF, NOV, house, import_, price, rows, start

LINES = (
    "SELECT s.version, l.period_from, l.period_to, l.months_text, l.fen FROM bill_line l "
    "JOIN fee_standard s ON s.id = l.standard_id ORDER BY l.period_from"
)


@pytest.fixture
def estate(ctx):
    made = make_estate(code="SUN", houses=0, buildings=0)
    set_business_now(NOV)
    price(made, "GT", "80")
    price(made, "GT", "80", date(2026, 11, 11))  # renewed, not changed
    import_(made, [house("101", fees="GT")])
    return made


def test_both_versions_stand_on_the_bill_and_change_no_fen(estate):
    continue_bill_run(start(estate))
    tenth = date(2026, 11, 11)
    assert rows("SELECT due_fen FROM bill") == [(8000,)]
    assert rows(LINES) == [(1, NOV, tenth, "10/30", 2667), (2, tenth, DEC, "20/30", 5333)]
    assert rows("SELECT sum(amount) FROM check_v1.postings") == [(0,)]


def test_a_hand_over_after_the_renewal_is_split_first(estate):
    import_(estate, [house("101", "2", "2026-11-16", fees="GT")])
    continue_bill_run(start(estate))
    tenth = date(2026, 11, 11)
    assert rows("SELECT due_fen FROM bill ORDER BY id") == [(4000,), (4000,)]
    assert rows(LINES) == [
        (1, NOV, tenth, "10/30", 2667), (2, tenth, HALF, "5/30", 1333),
        (2, HALF, DEC, "15/30", 4000),
    ]  # fmt: skip
