"""Importing a roster into the database: every row answered, all or nothing, twice is once."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import load_workbook
from sqlalchemy import text

from backend.db import db
from backend.errors import Refusal
from backend.estate import privacy
from backend.estate.models import Community
from backend.estate.roster_template import roster_bytes
from backend.usecases import import_roster as use_case
from backend.usecases.import_roster import Options, import_roster
from tests.factories.estate import make_estate, set_business_now
from tests.factories.roster import synthetic_roster

HC = Path(__file__).resolve().parents[1] / "data" / "hc" / "hc.xlsx"
TODAY = date(2026, 12, 10)
HOUSES = (
    "楼栋", "单元", "房号", "面积", "使用状态", "业主编号", "权属起始日", "租户编号", "缴费责任人",
    "收费项目", "计费开始日期",
)  # fmt: skip
PEOPLE = ("业主编号", "姓名", "类型", "手机")
PRICES = ("收费编号", "收费项目", "计费方式", "单价", "附加费", "固定金额", "缴费周期", "生效日期")
SPACES = ("车位编号", "房屋", "业主编号", "使用方式", "收费项目", "开始日期")
WY = ("WY", "物业服务费", "面积", 1.3, 20, "", 1, "2026-01-01")
TC = ("TC", "车位管理费", "车位", "", "", 80, 1, "2026-01-01")


def house(room: str, owner: str = "1", **cells: object) -> tuple[object, ...]:
    row = {"楼栋": "1", "单元": "1", "房号": room, "面积": 94.56, "业主编号": owner,
           "收费项目": "WY", "计费开始日期": "2026-01-01", **cells}  # fmt: skip
    return tuple(row.get(name, "") for name in HOUSES)


def book(*, houses, people, prices=(WY, TC), spaces=()) -> bytes:
    sheets = {"房屋": [HOUSES, *houses], "人员": [PEOPLE, *people], "收费标准": [PRICES, *prices]}
    if spaces:
        sheets["车位"] = [SPACES, *spaces]
    return roster_bytes(sheets)


ONE = ("1", "王小明", "个人", "13900000001")
TWO = ("2", "李小红", "个人", "13900000002")


@pytest.fixture
def community(ctx) -> int:
    estate = make_estate(code="SUN", houses=0, buildings=0)
    set_business_now(TODAY)
    return estate.community_id


def run(community: int, data: bytes, **options: object):
    basis = options.pop("basis", "物业服务合同第3条")
    return import_roster(
        community_id=community, data=data, filename="名册.xlsx",
        options=Options(basis=str(basis), **options), by="test",
    )  # fmt: skip


def rows(statement: str, **values: object) -> list[tuple]:
    return [tuple(row) for row in db.session.execute(text(statement), values)]


def everything() -> dict[str, list[tuple]]:
    tables = ("building", "house", "house_account", "party", "contact_point", "ownership",
              "liability", "house_fee", "fee_item", "fee_standard")  # fmt: skip
    return {t: rows(f"SELECT * FROM {t} ORDER BY 1") for t in tables}


@pytest.mark.covers("S1", "S5", "C22", "C57")
def test_a_first_import_stores_the_estate_and_the_second_changes_nothing(community):
    data = book(
        houses=[house("101", "1#2"), house("102", "2")],
        people=[ONE, TWO],
        spaces=[("B1", "1-1-101", "1", "出租", "TC", "2026-03-01")],
    )
    report = run(community, data)
    assert report.imported and report.issues == []
    assert report.counts == {  # the price WY was published before
        "created": 6, "updated": 0, "unchanged": 1, "refused": 0, "left_out": 0,
    }  # fmt: skip
    assert rows(
        "SELECT h.code, p.name, l.role, l.valid FROM liability l JOIN house h ON h.id = l.house_id"
        " JOIN party p ON p.id = l.party_id ORDER BY 1"
    ) == [
        ("1-1-101", "王小明", "owner", rows("SELECT daterange(NULL, NULL)")[0][0]),
        ("1-1-102", "李小红", "owner", rows("SELECT daterange(NULL, NULL)")[0][0]),
    ]
    assert rows(
        "SELECT h.code, f.standard_code, f.quantity, lower(f.valid) FROM house_fee f "
        "JOIN house h ON h.id = f.house_id ORDER BY 1, 2"
    ) == [
        ("1-1-101", "TC", 1, date(2026, 3, 1)),
        ("1-1-101", "WY", 1, date(2026, 1, 1)),
        ("1-1-102", "WY", 1, date(2026, 1, 1)),
    ]
    assert rows("SELECT code, published_at IS NOT NULL, basis FROM fee_standard ORDER BY 1") == [
        ("TC", True, "物业服务合同第3条"), ("WY", True, "合同第3条"),
    ]  # fmt: skip
    assert rows("SELECT count(*) FROM house_account") == [(2,)]
    before = everything()
    again = run(community, data)
    assert again.counts == {
        "created": 0, "updated": 0, "unchanged": 7, "refused": 0, "left_out": 0,
    }  # fmt: skip
    assert everything() == before


@pytest.mark.covers("C22", "C57")
def test_phones_are_stored_encrypted_with_mask_and_source(community):
    run(community, book(houses=[house("101")], people=[ONE]))
    [(party, kind, enc, masked, source, day)] = rows(
        "SELECT p.source_key, c.kind, c.value_enc, c.masked, c.source, c.source_date "
        "FROM contact_point c JOIN party p ON p.id = c.party_id"
    )
    company = db.session.get_one(Community, community).company_id
    assert (party, kind, masked, source, day) == (
        "SUN:1", "mobile", "139****0001", "contract", TODAY,
    )  # fmt: skip
    assert privacy.decrypt(company, enc) == "13900000001"
    assert b"13900000001" not in bytes(enc)


def test_refused_rows_keep_the_whole_file_out_unless_partial_is_accepted(community):
    data = book(houses=[house("101"), house("102", "9")], people=[ONE])
    before = everything()
    report = run(community, data)
    assert not report.imported
    [issue] = report.refused
    assert (issue.sheet, issue.row, issue.column) == ("房屋", 3, "业主编号")
    assert everything() == before
    assert rows("SELECT state, report->'counts'->>'refused' FROM roster_import") == [
        ("refused", "1")
    ]
    partial = run(community, data, accept_partial=True)
    assert partial.imported and partial.counts["refused"] == 1
    assert rows("SELECT code FROM house") == [("1-1-101",)]
    assert partial.rows[("房屋", 2)] == "created" and partial.rows[("房屋", 3)] == "refused"


@pytest.mark.covers("S5", "C12")
def test_a_new_owner_ends_the_old_ones_liability_on_his_first_day(community):
    run(community, book(houses=[house("101")], people=[ONE]))
    sold = book(houses=[house("101", "2", 权属起始日="2026-11-16")], people=[ONE, TWO])
    report = run(community, sold)
    assert report.rows[("房屋", 2)] == "updated"
    for table in ("liability", "ownership"):
        assert rows(
            f"SELECT p.name, lower(s.valid), upper(s.valid) FROM {table} s "
            "JOIN party p ON p.id = s.party_id ORDER BY s.valid"
        ) == [("王小明", None, date(2026, 11, 16)), ("李小红", date(2026, 11, 16), None)]
    before = everything()
    assert run(community, sold).counts["unchanged"] == 5
    assert everything() == before
    old = run(community, book(houses=[house("101", "1", 权属起始日="2026-11-16")], people=[ONE]))
    assert not old.imported
    assert {i.column for i in old.refused} == {"权属起始日"}
    assert everything() == before


@pytest.mark.covers("S5", "C21")
def test_a_tenant_is_kept_only_when_he_is_the_one_billed(community):
    let = [house("101", 租户编号="2"), house("102", 租户编号="3", 缴费责任人="租户")]
    three = ("3", "张小刚", "个人", "13900000003")
    report = run(community, book(houses=let, people=[ONE, TWO, three]))
    assert rows("SELECT name FROM party ORDER BY 1") == [("张小刚",), ("王小明",)]
    assert report.rows[("人员", 3)] == "left_out"
    assert rows(
        "SELECT h.code, p.name, l.role FROM liability l JOIN house h ON h.id = l.house_id "
        "JOIN party p ON p.id = l.party_id ORDER BY 1"
    ) == [("1-1-101", "王小明", "owner"), ("1-1-102", "张小刚", "user")]


@pytest.mark.covers("C43")
def test_prices_without_a_basis_stay_drafts_until_published(community):
    report = run(community, book(houses=[house("101", 收费项目="GT")], people=[ONE],
                                 prices=[("GT", "公摊费", "固定", "", "", 15, 1, "2026-01-01")]),
                 basis="")  # fmt: skip
    assert report.imported and "没有公示依据" in report.issues[0].reason_zh
    state = "SELECT published_at, basis FROM fee_standard WHERE code = 'GT'"
    assert rows(state) == [(None, "")]
    same = book(
        houses=[house("101", 收费项目="GT")], people=[ONE],
        prices=[("GT", "公摊费", "固定", "", "", 15, 1, "2026-01-01")],
    )  # fmt: skip
    assert run(community, same, basis="").counts["unchanged"] == 3
    run(community, same, basis="业主大会决议")
    assert rows(
        "SELECT version, basis FROM fee_standard WHERE code = 'GT' AND published_at IS NOT NULL"
    ) == [(2, "业主大会决议")]


@pytest.mark.covers("S3")
def test_a_new_price_is_a_new_version_and_an_earlier_date_is_refused(community):
    price = ("GT", "公摊费", "固定", "", "", 15, 1, "2026-01-01")
    higher = ("GT", "公摊费", "固定", "", "", 16, 1, "2027-01-01")
    one = [house("101", 收费项目="GT")]
    run(community, book(houses=one, people=[ONE], prices=[price]))
    report = run(community, book(houses=one, people=[ONE], prices=[higher]))
    assert report.rows[("收费标准", 2)] == "updated"
    assert rows("SELECT version, fixed, effective FROM fee_standard WHERE code = 'GT' ORDER BY 1") \
        == [(1, Decimal("15.0000"), rows("SELECT daterange('2026-01-01','2027-01-01')")[0][0]),
            (2, Decimal("16.0000"), rows("SELECT daterange('2027-01-01',NULL)")[0][0])]  # fmt: skip
    before = everything()
    early = ("GT", "公摊费", "固定", "", "", 17, 1, "2026-06-01")
    refused = run(community, book(houses=one, people=[ONE], prices=[early]))
    assert not refused.imported and refused.refused[0].column == "生效日期"
    assert everything() == before


def test_spaces_are_a_quantity_a_house_of_their_own_or_left_out(community):
    spaces = [
        ("B1", "1-1-101", "1", "出租", "TC", "2026-01-01"),
        ("B2", "1-1-101", "1", "出租", "TC", "2026-11-01"),
        ("B3", "", "2", "出售", "TC", "2026-01-01"),
        ("B4", "", "", "", "", ""),
    ]
    report = run(community, book(houses=[house("101")], people=[ONE, TWO], spaces=spaces))
    assert rows(
        "SELECT h.code, h.use, f.quantity, lower(f.valid), upper(f.valid) FROM house_fee f "
        "JOIN house h ON h.id = f.house_id WHERE f.standard_code = 'TC' ORDER BY 1, 4"
    ) == [
        ("1-1-101", "residential", 1, date(2026, 1, 1), date(2026, 11, 1)),
        ("1-1-101", "residential", 2, date(2026, 11, 1), None),
        ("车位-0-B3", "parking", 1, date(2026, 1, 1), None),
    ]
    assert report.rows[("车位", 5)] == "left_out"
    assert [n.rows for n in report.not_imported if n.sheet == "车位"] == [1]


def test_the_hc_workbook_comes_in_without_the_houses_of_unknown_owners(community):
    data = HC.read_bytes()
    report = run(community, data, accept_partial=True)
    assert [(i.sheet, i.row, i.column) for i in report.refused] == [
        ("房屋信息", row, "业主编号") for row in (7, 8, 9)
    ]
    assert report.counts == {
        "created": 38, "updated": 0, "unchanged": 0, "refused": 3, "left_out": 1,
    }  # fmt: skip
    assert rows("SELECT count(*) FROM contact_point WHERE masked LIKE '189%'") == [(0,)]


@pytest.mark.covers("S5", "C12")
def test_a_unit_without_an_owner_is_reported_until_a_developer_is_named(community):
    workbook = load_workbook(HC)
    sheet = workbook["房屋信息"]
    column = next(c.column for c in sheet[1] if c.value == "业主编号")
    for number in (2, 7, 8, 9):
        sheet.cell(number, column).value = None
    data = io.BytesIO()
    workbook.save(data)
    report = run(community, data.getvalue())
    reasons = {(i.row, i.reason_zh) for i in report.issues if i.sheet == "房屋信息"}
    assert {(row, "没有缴费责任人，指定之前无法出账") for row in (2, 7, 8, 9)} <= reasons
    liable = (
        "SELECT h.code, p.name, p.kind, l.role FROM liability l JOIN party p ON p.id = l.party_id"
        " JOIN house h ON h.id = l.house_id WHERE p.kind = 'developer' ORDER BY 1"
    )
    assert rows(liable) == []
    run(community, data.getvalue(), developer="示例置业有限公司")
    found = rows(liable)
    assert len(found) == 4
    assert {row[1:] for row in found} == {("示例置业有限公司", "developer", "developer")}


def test_two_imports_of_one_community_do_not_run_at_once(community, db_app):
    db_app.execute("BEGIN")
    db_app.execute("SELECT pg_advisory_xact_lock(%s, %s)", [use_case.IMPORT_LOCK, community])
    before = everything()
    with pytest.raises(Refusal) as refusal:
        run(community, book(houses=[house("101")], people=[ONE]))
    assert refusal.value.code == "import_running"
    assert everything() == before
    assert rows("SELECT state FROM roster_import") == [("failed",)]
    db_app.execute("ROLLBACK")


def test_a_crash_while_writing_leaves_nothing(community, monkeypatch):
    before = everything()

    def crash(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(use_case.fees_apply, "write_fees", crash)
    with pytest.raises(RuntimeError):
        run(community, book(houses=[house("101")], people=[ONE]))
    assert everything() == before
    assert rows("SELECT state, report->>'code' FROM roster_import") == [("failed", "RuntimeError")]


def test_an_import_is_audited_without_personal_data(community):
    run(community, book(houses=[house("101")], people=[ONE]))
    [(actor, detail)] = rows(
        "SELECT actor, detail::text FROM audit_event WHERE action = 'roster_imported'"
    )
    assert actor == "test" and "王小明" not in detail and "139" not in detail
    [(report,)] = rows("SELECT report::text FROM roster_import")
    assert "王小明" not in report and "13900000001" not in report


@pytest.mark.slow
def test_two_thousand_households_come_in_and_progress_is_shown(community):
    steps: list[tuple[int, int, str]] = []
    report = import_roster(
        community_id=community, data=synthetic_roster(2000).data, filename="合成.xlsx",
        options=Options(basis="合同"), by="test", progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert report.imported and report.refused == []
    assert rows("SELECT count(*), count(DISTINCT h.building_id) > 5 FROM house h") == [(2000, True)]
    assert rows("SELECT count(*) FROM liability") == [(2000,)]
    assert rows("SELECT sum(quantity) FROM house_fee WHERE standard_code = 'TC'") == [(900,)]
    assert [step[0] for step in steps if step[1] == use_case.STEPS] == [1, 2, 3, 4, 5, 6]
    assert rows("SELECT state, done = total FROM roster_import") == [("done", True)]
