"""Receipt numbers: without gaps, per company and per year of the receipt (design 4.11)."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from sqlalchemy import text

from backend.billing import operations as billing
from backend.billing.numbering import number_receipts
from backend.billing.rules import Appropriation
from backend.db import db, transaction
from backend.usecases.seal import seal_audit
from tests.factories.estate import make_estate

_txn = count(1)
NOON = datetime(2026, 12, 10, 4, tzinfo=UTC)


def receipt(estate, at: datetime = NOON) -> None:
    with transaction():
        billing.write_receipt(
            community_id=estate.community_id, house_id=estate.homes[0].house_id,
            source_type="payment", source_key=f"txn-{next(_txn)}", channel="wechatpay",
            amount_fen=100, appropriation=Appropriation({}, {}, 100), at=at,
        )  # fmt: skip


def numbers(db_owner) -> list[str]:
    return [row[0] for row in db_owner.execute("SELECT number FROM receipt ORDER BY id")]


def test_each_company_counts_for_itself_and_each_year_anew(ctx, db_owner):
    sun, moon = make_estate(code="SUN", houses=1), make_estate(code="MOON", houses=1)
    last_second = datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)  # still 2026 in Shanghai
    new_year = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
    receipt(sun)
    receipt(moon)
    receipt(sun, new_year)
    receipt(sun, last_second)
    seal_audit()
    receipt(moon)
    receipt(sun, new_year)
    seal_audit()
    assert numbers(db_owner) == [
        "SJ2026-CO-SUN-000001",
        "SJ2026-CO-MOON-000001",
        "SJ2027-CO-SUN-000001",
        "SJ2026-CO-SUN-000002",
        "SJ2026-CO-MOON-000002",
        "SJ2027-CO-SUN-000002",
    ]


def test_numbers_go_on_past_a_million(ctx, db_owner):
    sun = make_estate(code="SUN", houses=1)
    receipt(sun)
    seal_audit()
    db_owner.execute("UPDATE receipt SET number = 'SJ2026-CO-SUN-999998'")
    for _ in range(2):
        receipt(sun)
        receipt(sun)
        seal_audit()
    assert numbers(db_owner) == [
        f"SJ2026-CO-SUN-{n}" for n in (999998, 999999, 1000000, 1000001, 1000002)
    ]


def test_a_company_whose_code_begins_like_anothers_is_kept_apart(ctx, db_owner):
    one, two = make_estate(code="A", houses=1), make_estate(code="A-9", houses=1)
    for _ in range(2):
        receipt(two)
        receipt(one)
        seal_audit()
    assert numbers(db_owner) == [
        "SJ2026-CO-A-9-000001", "SJ2026-CO-A-000001",
        "SJ2026-CO-A-9-000002", "SJ2026-CO-A-000002",
    ]  # fmt: skip


def test_nothing_to_number_takes_no_lock(ctx, db_app):
    receipt(make_estate(houses=1))
    seal_audit()
    with transaction():
        assert number_receipts() == 0
        held = db.session.execute(text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
        assert held.all() == []


def test_what_another_sealer_is_numbering_waits_for_it(ctx, db_app, db_owner):
    receipt(make_estate(houses=1))
    with db_app.transaction():
        db_app.execute("SELECT pg_advisory_xact_lock(727002)")
        seal_audit()
        assert numbers(db_owner) == [None]
    seal_audit()
    assert numbers(db_owner) == ["SJ2026-CO-SUN-000001"]
