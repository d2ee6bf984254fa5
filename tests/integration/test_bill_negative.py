"""A bill whose sum is negative becomes credit; the run goes on (A08, A45)."""

from __future__ import annotations

import pytest

from backend.usecases.issue_bills import continue_bill_run, preview_bill_run
from tests.factories.estate import make_estate, set_business_now
from tests.integration.test_bill_runs import DEC, NOV, house, import_, price, rows, start


@pytest.fixture
def estate(ctx):
    """101: the fee and a rebate of its own; 102: a rebate only; 103: the fee."""
    made = make_estate(code="SUN", houses=0, buildings=0)
    set_business_now(NOV)
    price(made, "YH", "-20.005")
    import_(made, [house("101", fees="WY#YH"), house("102", fees="YH"), house("103")])
    return made


def bills() -> list[tuple]:
    return rows(
        "SELECT h.room, f.code, b.due_fen, b.credited_fen, b.state FROM bill b "
        "JOIN house h ON h.id = b.house_id JOIN fee_item f ON f.id = b.fee_item_id ORDER BY 1, 2"
    )


def test_a_negative_bill_becomes_credit_and_pays_the_others(estate):
    seen = preview_bill_run(community_id=estate.community_id, period_from=NOV, period_to=DEC)
    assert (seen["bills"], seen["total_fen"]) == (4, 2 * 14293)
    assert rows("SELECT count(*) FROM posting") == [(0,)]
    for _ in range(2):  # a second run gives nothing twice
        continue_bill_run(start(estate))
    assert bills() == [
        ("101", "WY", 14293, 2001, "part_paid"),  # half a fen away from zero
        ("101", "YH", 0, 0, "paid"),
        ("102", "YH", 0, 0, "paid"),
        ("103", "WY", 14293, 0, "open"),
    ]
    assert rows("SELECT fen FROM bill_line ORDER BY fen") == [
        (-2001,),
        (-2001,),
        (14293,),
        (14293,),
    ]
    assert rows("SELECT sum(balance) FROM account WHERE code LIKE 'credit:%'") == [(2001,)]
    assert rows(
        "SELECT account, sum(amount) FROM check_v1.postings GROUP BY 1 ORDER BY 1"
    )[-3:] == [("income:WY", -28586), ("income:YH", 4002), ("receivable", 26585)]  # fmt: skip
    assert rows("SELECT sum(amount) FROM posting") == [(0,)]
    assert rows("SELECT count(*) FROM house_account WHERE credit_pending") == [(0,)]
