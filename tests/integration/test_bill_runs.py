"""Bill runs: exact to the fen, once, restartable, and a preview that writes nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from backend.billing import issuing
from backend.db import db
from backend.errors import Refusal
from backend.estate.roster_template import roster_bytes
from backend.fees.rules import Holding, PriceStep, bill_lines, monthly_price
from backend.usecases import issue_bills
from backend.usecases.import_roster import Options, import_roster
from backend.usecases.issue_bills import continue_bill_run, preview_bill_run, start_bill_run
from backend.usecases.publish_standard import StandardDraft, publish_standard
from tests.factories.estate import Estate, give_credit, make_estate, set_business_now

NOV, DEC = date(2026, 11, 1), date(2026, 12, 1)
HALF, TENTH = date(2026, 11, 16), date(2026, 11, 11)
HOUSES = (
    "楼栋", "单元", "房号", "面积", "使用状态", "业主编号", "权属起始日", "收费项目",
    "计费开始日期",
)  # fmt: skip
SPACES = ("车位编号", "房屋", "业主编号", "使用方式", "收费项目", "开始日期")


def house(room: str, owner: str = "1", since: str = "", fees: str = "WY", start="2026-01-01"):
    return ("1", "1", room, 94.56, "", owner, since, fees, start)


def import_(estate: Estate, houses, spaces=()) -> None:
    people = [("业主编号", "姓名"), ("1", "王小明"), ("2", "李小红")]
    sheets = {"房屋": [HOUSES, *houses], "人员": people}
    if spaces:
        sheets["车位"] = [SPACES, *spaces]
    report = import_roster(
        community_id=estate.community_id, data=roster_bytes(sheets), filename="a.xlsx",
        options=Options(), by="test",
    )  # fmt: skip
    assert report.imported, report.refused


def price(estate: Estate, code: str, fixed: str, since: date = date(2026, 1, 1)) -> None:
    publish_standard(
        community_id=estate.community_id, by="test",
        draft=StandardDraft(
            item_code=code, item_name=code, code=code, name=code, method="fixed",
            fixed=fixed, effective_from=since, basis="公示栏",
        ),
    )  # fmt: skip


@pytest.fixture
def estate(ctx) -> Estate:
    """A mixed estate: plain, hand-over, parking, steps of quantity, late start, tariff change."""
    made = make_estate(code="SUN", houses=0, buildings=0)
    set_business_now(NOV)
    price(made, "TC", "80")
    price(made, "GT", "15")
    price(made, "GT", "16", TENTH)
    rooms = [house(room) for room in ("101", "102", "103", "104")]
    rooms += [house("105", start="2026-11-11"), house("106", fees="GT")]
    spaces = [(f"B{n}", f"1-1-{room}", "1", "出租", "TC", since)
              for n, (room, since) in enumerate([("103", ""), ("103", ""), ("104", ""),
                                                 ("104", "2026-11-16")])]  # fmt: skip
    import_(made, rooms, spaces)
    import_(made, [house("102", "2", "2026-11-16")])
    return made


def start(estate: Estate, first: date = NOV, last: date = DEC, *, part_month=False) -> int:
    return start_bill_run(
        community_id=estate.community_id, period_from=first, period_to=last, by="test",
        company_id=estate.company_id, part_month=part_month,
    )  # fmt: skip


def rows(statement: str, **values: object) -> list[tuple]:
    return [tuple(row) for row in db.session.execute(text(statement), values)]


def bills() -> list[tuple]:
    return rows(
        "SELECT h.room, p.name, f.code, b.period_from, b.period_to, b.due_fen FROM bill b "
        "JOIN house h ON h.id = b.house_id JOIN party p ON p.id = b.party_id "
        "JOIN fee_item f ON f.id = b.fee_item_id ORDER BY 1, 3, 4"
    )


EXPECTED = [
    ("101", "王小明", "WY", NOV, DEC, 14293),
    ("102", "王小明", "WY", NOV, HALF, 7146),
    ("102", "李小红", "WY", HALF, DEC, 7147),
    ("103", "王小明", "TC", NOV, DEC, 16000),
    ("103", "王小明", "WY", NOV, DEC, 14293),
    ("104", "王小明", "TC", NOV, DEC, 12000),
    ("104", "王小明", "WY", NOV, DEC, 14293),
    ("105", "王小明", "WY", TENTH, DEC, 9529),
    ("106", "王小明", "GT", NOV, DEC, 1567),
]
TOTAL = 96268


@pytest.mark.covers("S1", "S3", "S5", "C12", "C53")
def test_a_mixed_month_is_exact_to_the_fen(estate):
    result = continue_bill_run(start(estate))
    assert bills() == EXPECTED
    assert (result.bills, result.total_fen, result.houses) == (9, TOTAL, 6)
    assert sum(row[-1] for row in EXPECTED) == TOTAL


def test_the_statement_and_the_pure_rules_agree(estate):
    continue_bill_run(start(estate))
    month = {"start": NOV, "end": DEC}
    area = monthly_price(area="94.56", rate="1.3", surcharge="20")
    whole = bill_lines(prices=[PriceStep(NOV, area)], **month)
    split = bill_lines(
        prices=[PriceStep(NOV, area)], holdings=[Holding(NOV, "a"), Holding(HALF, "b")], **month
    )
    tariff = bill_lines(
        prices=[PriceStep(NOV, Fraction(15)), PriceStep(TENTH, Fraction(16))], **month
    )
    late = bill_lines(start=TENTH, end=DEC, prices=[PriceStep(NOV, area)])
    due = {(row[0], row[1], row[2]): row[5] for row in bills()}
    assert due[("101", "王小明", "WY")] == whole[0].fen
    assert [due[("102", "王小明", "WY")], due[("102", "李小红", "WY")]] == [
        part.fen for part in split[0].parts
    ]
    assert due[("106", "王小明", "GT")] == sum(line.fen for line in tariff)
    assert due[("105", "王小明", "WY")] == late[0].fen


@pytest.mark.covers("S10")
def test_every_step_names_its_rule_and_who_answers_for_it(estate):
    continue_bill_run(start(estate))
    assert rows(
        "SELECT actor, action, count(*) FROM audit_event WHERE action LIKE '%published' "
        "OR action LIKE 'bill_run%' OR action = 'roster_imported' GROUP BY 1, 2 ORDER BY 2"
    ) == [
        ("test", "bill_run_done", 1), ("test", "bill_run_started", 1),
        ("test", "fee_standard_published", 3), ("test", "roster_imported", 2),
    ]  # fmt: skip
    assert rows("SELECT by, bills, total_fen FROM bill_run") == [("test", 9, TOTAL)]
    rules = rows(
        "SELECT DISTINCT s.code, s.version, s.published_by, s.basis <> '' FROM bill_line l "
        "JOIN fee_standard s ON s.id = l.standard_id ORDER BY 1, 2"
    )
    assert rules == [
        ("GT", 1, "test", True), ("GT", 2, "test", True), ("TC", 1, "test", True),
        ("WY", 1, "test", True),
    ]  # fmt: skip


@pytest.mark.covers("S3", "C53")
def test_lines_tell_how_the_amount_came_about(estate):
    continue_bill_run(start(estate))
    lines = rows(
        "SELECT h.room, s.code, s.version, l.period_from, l.area, l.rate, l.fixed, l.quantity, "
        "l.months_text, l.fen FROM bill_line l JOIN bill b ON b.id = l.bill_id "
        "JOIN house h ON h.id = b.house_id JOIN fee_standard s ON s.id = l.standard_id "
        "WHERE h.room IN ('103','104','106') AND s.code <> 'WY' ORDER BY 1, 4"
    )
    eighty = Decimal("80.0000")
    assert lines == [
        ("103", "TC", 1, NOV, None, None, eighty, 2, "1", 16000),
        ("104", "TC", 1, NOV, None, None, eighty, 1, "15/30", 4000),
        ("104", "TC", 1, HALF, None, None, eighty, 2, "15/30", 8000),
        ("106", "GT", 1, NOV, None, None, Decimal("15.0000"), 1, "10/30", 500),
        ("106", "GT", 2, TENTH, None, None, Decimal("16.0000"), 1, "20/30", 1067),
    ]


def test_the_ledger_carries_every_bill_and_sums_to_zero(estate):
    continue_bill_run(start(estate))
    assert rows("SELECT sum(amount) FROM check_v1.postings") == [(0,)]
    assert rows(
        "SELECT account, sum(amount) FROM check_v1.postings GROUP BY 1 ORDER BY 1"
    ) == [
        ("income:GT", -1567), ("income:TC", -28000), ("income:WY", -66701), ("receivable", TOTAL),
    ]  # fmt: skip
    assert rows(
        "SELECT count(*) FROM bill b WHERE due_fen <> (SELECT sum(amount) FROM check_v1.postings p "
        "WHERE p.bill_id = b.id)"
    ) == [(0,)]


def test_a_second_run_of_the_period_adds_nothing_but_what_is_missing(estate):
    continue_bill_run(start(estate))
    before = bills()
    again = continue_bill_run(start(estate))
    assert (again.bills, again.total_fen) == (0, 0) and bills() == before
    import_(estate, [house("107")])
    set_business_now(date(2026, 11, 20))
    late = continue_bill_run(start(estate))
    assert (late.bills, late.total_fen) == (1, 14293)
    assert rows(
        "SELECT b.issued_on, b.due_date FROM bill b JOIN house h ON h.id = b.house_id "
        "WHERE h.room = '107'"
    ) == [(date(2026, 11, 20), date(2026, 11, 30))]  # never due sooner than ten days
    assert rows("SELECT bills, total_fen, houses_done, houses_total, state FROM bill_run") == [
        (10, TOTAL + 14293, 7, 7, "done")
    ]


def test_an_overlapping_period_charges_nobody_twice(estate):
    continue_bill_run(start(estate))
    overlap = continue_bill_run(start(estate, HALF, date(2026, 12, 16), part_month=True))
    already = {("101", "WY"), ("102", "WY"), ("103", "TC"), ("103", "WY"), ("104", "TC"),
               ("104", "WY"), ("105", "WY"), ("106", "GT")}  # fmt: skip
    assert overlap.bills == 0 and {(row[0], row[2]) for row in bills()} == already


def test_a_run_that_dies_half_way_goes_on_and_yields_the_same_bills_once(
    estate, db_app, monkeypatch
):
    monkeypatch.setattr(issue_bills, "BATCH_HOUSES", 2)
    run_id, real, batches = start(estate), issuing.issue_batch, []

    def dying(*args, **options):
        batch = real(*args, **options)
        batches.append(batch)
        if len(batches) == 2:  # written, not committed: the server loses the connection
            pid = db.session.scalar(text("SELECT pg_backend_pid()"))
            db_app.execute("SELECT pg_terminate_backend(%s)", [pid])
        return batch

    monkeypatch.setattr(issuing, "issue_batch", dying)
    with pytest.raises(DBAPIError):
        continue_bill_run(run_id)
    db.session.rollback()
    assert rows("SELECT state, houses_done FROM bill_run") == [("running", 2)]
    assert {row[0] for row in bills()} == {"101", "102"}
    monkeypatch.setattr(issuing, "issue_batch", real)
    rest = continue_bill_run(run_id)
    assert bills() == EXPECTED
    assert rest.houses == 6
    receivable = "SELECT count(*), sum(amount) FROM check_v1.postings WHERE account = 'receivable'"
    assert rows(receivable) == [(9, TOTAL)]


def test_a_preview_says_what_would_happen_and_writes_nothing(estate):
    import_(estate, [house("108", "")[:4] + ("未知", "1", "", "WY", "2026-01-01")])
    db.session.execute(
        text("DELETE FROM liability WHERE house_id = (SELECT id FROM house WHERE room = '108')")
    )
    db.session.commit()
    tables = (
        "bill",
        "bill_line",
        "bill_run",
        "journal",
        "posting",
        "message",
        "task",
        "audit_event",
    )
    count = "SELECT " + ", ".join(f"(SELECT count(*) FROM {t})" for t in tables)
    before = rows(count)
    seen = preview_bill_run(community_id=estate.community_id, period_from=NOV, period_to=DEC)
    assert (seen["houses"], seen["bills"], seen["total_fen"]) == (7, 9, TOTAL)
    assert seen["skipped"] == [{"house_code": "1-1-108", "reason_zh": "没有应缴费的当事人"}]
    assert len(seen["sample"]) == 5
    assert {(s["house_code"], s["due_fen"]) for s in seen["sample"]} <= {
        (f"1-1-{row[0]}", row[5]) for row in EXPECTED
    }
    tariff = [s["formula"] for s in seen["sample"] if s["house_code"] == "1-1-106"]
    assert tariff == [
        "15元/月 × 10/30个月 = 5 → 5.00元；16元/月 × 20/30个月 = 10.666666… → 10.67元"
    ]
    assert rows(count) == before
    continue_bill_run(start(estate))
    assert rows("SELECT sum(due_fen) FROM bill") == [(TOTAL,)]
    nothing = preview_bill_run(community_id=estate.community_id, period_from=NOV, period_to=DEC)
    assert (nothing["bills"], nothing["total_fen"]) == (0, 0)


@pytest.mark.covers("C43")
def test_no_published_price_or_an_ended_contract_is_refused_and_changes_nothing(estate):
    with pytest.raises(Refusal) as no_price:
        start(estate, date(2025, 1, 1), date(2025, 2, 1))
    assert no_price.value.code == "E-C43"
    with pytest.raises(Refusal) as empty:
        start(estate, DEC, DEC)
    assert empty.value.code == "empty_period"
    db.session.execute(text("UPDATE community SET contract_to = '2026-11-01'"))
    db.session.commit()
    with pytest.raises(Refusal) as ended:
        start(estate)
    assert ended.value.code == "E-C04"
    assert rows("SELECT count(*) FROM bill_run") == [(0,)] and bills() == []


@pytest.mark.parametrize(
    ("first", "last"),
    [(NOV, date(2026, 11, 30)), (NOV, date(2026, 12, 31)), (date(2026, 11, 2), DEC),
     (HALF, date(2026, 12, 16))],
)  # fmt: skip
def test_a_period_that_cuts_a_month_is_refused_unless_it_is_meant(estate, first, last):
    period = {"community_id": estate.community_id, "period_from": first, "period_to": last}
    for attempt in (lambda: start(estate, first, last), lambda: preview_bill_run(**period)):
        with pytest.raises(Refusal) as refused:
            attempt()
        assert (refused.value.code, refused.value.http) == ("period_not_whole_months", 422)
        assert refused.value.message_zh == f"账期须为整月：{first} 起、不含 {last} 的期间不是整月。"
        assert list(refused.value.fields) == ["period_to"]
    assert rows("SELECT count(*) FROM bill_run") == [(0,)] and bills() == []
    assert preview_bill_run(**period, part_month=True)["bills"] > 0


def test_a_part_of_a_month_that_is_meant_is_billed_by_its_days(estate):
    continue_bill_run(start(estate, NOV, HALF, part_month=True))
    due = {(row[0], row[2]): row[3:] for row in bills()}
    assert due[("101", "WY")] == (NOV, HALF, 7146)  # 142.928 × 15/30
    assert due[("103", "TC")] == (NOV, HALF, 8000)


def test_months_of_a_cycle_day_that_all_prices_share_are_whole(estate):
    def two_months(code: str, anchor_day: int) -> None:
        draft = StandardDraft(
            item_code=code, item_name=code, code=code, name=code, method="area", rate="2.5",
            effective_from=date(2026, 1, 1), basis="合同", cycle_months=2, anchor_day=anchor_day,
        )  # fmt: skip
        publish_standard(community_id=estate.community_id, by="test", draft=draft)

    two_months("M16", 16)
    import_(estate, [house("101", fees="WY#M16")])
    continue_bill_run(start(estate, HALF, date(2027, 1, 16)))
    assert bills() == [("101", "王小明", "M16", HALF, date(2027, 1, 16), 47280)]
    two_months("M1", 1)
    with pytest.raises(Refusal) as refused:
        start(estate, date(2027, 1, 16), date(2027, 3, 16))
    assert refused.value.code == "period_not_whole_months"


def test_a_quarter_bills_only_the_quarterly_prices(estate):
    publish_standard(
        community_id=estate.community_id, by="test",
        draft=StandardDraft(
            item_code="JD", item_name="季度费", code="JD", name="季度费", method="area", rate="2.5",
            effective_from=date(2026, 1, 1), basis="合同", cycle_months=3,
        ),
    )  # fmt: skip
    import_(estate, [house("101", fees="WY#JD", start="2026-01-01")])
    continue_bill_run(start(estate, date(2026, 10, 1), date(2027, 1, 1)))
    assert bills() == [("101", "王小明", "JD", date(2026, 10, 1), date(2027, 1, 1), 70920)]


def test_the_due_day_moves_to_a_working_day(estate):
    continue_bill_run(start(estate))  # 15 November 2026 is a Sunday
    assert rows("SELECT DISTINCT due_date FROM bill") == [(date(2026, 11, 16),)]


def test_credit_pays_a_new_bill_on_its_issue_day(estate):
    [(house_id, party_id)] = rows(
        "SELECT house_id, party_id FROM liability l JOIN house h ON h.id = l.house_id "
        "WHERE h.room = '101'"
    )

    home = SimpleNamespace(house_id=house_id, party_id=party_id)
    give_credit(estate, home, 10_000)
    continue_bill_run(start(estate))
    assert rows(
        "SELECT credited_fen, open_fen, state FROM bill WHERE house_id = :h", h=house_id
    ) == [(10_000, 4293, "part_paid")]
    assert rows("SELECT count(*) FROM house_account WHERE credit_pending") == [(0,)]


def test_the_database_refuses_the_same_bill_twice(estate):
    continue_bill_run(start(estate))
    with pytest.raises(IntegrityError):
        db.session.execute(
            text(
                "INSERT INTO bill (community_id, house_id, party_id, payee_id, fee_item_id, "
                "period_from, period_to, due_date, issued_on, due_fen) SELECT community_id, "
                "house_id, party_id, payee_id, fee_item_id, period_from, period_to, due_date, "
                "issued_on, due_fen FROM bill LIMIT 1"
            )
        )
    db.session.rollback()
