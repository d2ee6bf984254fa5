"""A household handled gently pays no late fee on the bills of later months either (A40, C28)."""

from __future__ import annotations

from datetime import date

from backend import clock
from backend.conduct.operations import place_hold
from backend.db import db, transaction
from backend.usecases.issue_bills import continue_bill_run, start_bill_run
from tests.factories.estate import TODAY, make_estate, set_business_now


def issue(estate) -> None:
    run_id = start_bill_run(
        community_id=estate.community_id, period_from=date(2026, 12, 1),
        period_to=date(2027, 1, 1), by="test", company_id=estate.company_id,
    )  # fmt: skip
    continue_bill_run(run_id)


def test_a_hardship_hold_freezes_the_bills_issued_under_it(ctx, db_owner):
    set_business_now(TODAY)
    estate = make_estate(houses=3, late_fee=True)
    gentle, lifted, _ = estate.homes
    with transaction():
        holds = [
            place_hold(
                kind=kind, house_id=home.house_id, party_id=home.party_id, from_day=TODAY,
                until_day=None, reason="困难", source="steward:1", now=clock.business_now(),
            ).id
            for home, kind in ((gentle, "hardship"), (gentle, "manual"), (lifted, "hardship"))
        ]  # fmt: skip
    db_owner.execute("UPDATE hold SET lifted_at = now() WHERE id = %s", [holds[2]])
    for _ in range(2):
        issue(estate)
        db.session.rollback()
    assert db_owner.execute(
        "SELECT b.house_id, f.day_from, f.day_to, f.amount_fen, f.reason FROM late_fee_freeze f "
        "JOIN bill b ON b.id = f.bill_id"
    ).fetchall() == [(gentle.house_id, TODAY, None, None, f"hold:{holds[0]}")]
