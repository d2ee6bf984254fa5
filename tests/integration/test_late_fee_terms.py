"""Late-fee terms: issued bills are never priced up afterwards (C8-C10)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from backend.billing import queries
from backend.db import db
from backend.errors import Refusal
from backend.usecases.publish_standard import set_late_fee_terms
from tests.factories.estate import TODAY, make_bill, make_estate, set_business_now

CLAUSE = {
    "contract_daily_rate": "0.0005", "clause_text": "第9条", "clause_page": "12",
    "notice_proof": "加粗提示", "clause_from": "2026-01-01", "grace_days": 15,
    "cap_percent": "30", "ceiling": "lpr4",
}  # fmt: skip


@pytest.fixture
def estate(ctx):
    set_business_now(TODAY)
    return make_estate(houses=1, late_fee=True)


@pytest.fixture
def bill(estate) -> int:
    return make_bill(estate, estate.homes[0], due_date=date(2026, 10, 15))


def change(estate, **values) -> None:
    set_late_fee_terms(
        community_id=estate.community_id, item_code="WY", terms=CLAUSE | values, by="test"
    )


def fee(bill_id: int) -> int:
    db.session.rollback()
    return queries.late_fees(queries.bills_by_id([bill_id]), TODAY)[bill_id].accrued


def stored(db_owner) -> list[tuple]:
    return db_owner.execute(
        "SELECT t.*, (SELECT count(*) FROM audit_event) FROM late_fee_terms t"
    ).fetchall()


@pytest.mark.parametrize(
    "values",
    [
        {"contract_daily_rate": "0.003"},
        {"grace_days": 14},
        {"cap_percent": "30.0001"},
        {"ceiling": "contract", "ceiling_basis": "管理员"},
        {"clause_from": "2025-12-31"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_worse_terms_are_refused_once_bills_are_issued(estate, bill, db_owner, values):
    before, owed = stored(db_owner), fee(bill)
    assert owed == 193  # 10-31 … 12-10: 41 days at 12 % a year
    with pytest.raises(Refusal) as refused:
        change(estate, **values)
    assert (refused.value.code, list(refused.value.fields)) == ("terms_worse", [next(iter(values))])
    assert (stored(db_owner), fee(bill)) == (before, owed)


def test_equal_and_milder_terms_are_taken(estate, bill, db_owner):
    change(estate)
    assert fee(bill) == 193
    change(estate, grace_days=20, cap_percent="10")
    assert fee(bill) == 169  # five days fewer: 36 × 4.699 fen
    change(estate, contract_daily_rate="0", grace_days=1)
    assert fee(bill) == 0


def test_before_the_first_bill_everything_may_be_corrected(estate, db_owner):
    change(estate, contract_daily_rate="0.003", grace_days=0)
    rate = db_owner.execute("SELECT contract_daily_rate FROM late_fee_terms").fetchone()
    assert rate == (Decimal("0.003"),)


def test_a_first_clause_begins_today_at_the_earliest(ctx):
    set_business_now(TODAY)
    estate = make_estate(houses=1)
    bill = make_bill(estate, estate.homes[0], due_date=date(2026, 10, 15))
    with pytest.raises(Refusal) as refused:
        change(estate, clause_from=(TODAY - timedelta(days=1)).isoformat())
    assert (refused.value.code, fee(bill)) == ("terms_worse", 0)
    change(estate, clause_from=TODAY.isoformat())
    assert fee(bill) == 5  # one day: 4.699 fen


def test_bills_of_another_item_do_not_bind(estate, bill):
    from backend.fees.models import FeeItem

    db.session.add(FeeItem(community_id=estate.community_id, code="TC", name="车位费"))
    db.session.commit()
    set_late_fee_terms(
        community_id=estate.community_id, item_code="TC", by="test",
        terms=CLAUSE | {"contract_daily_rate": "0.003"},
    )  # fmt: skip
