"""Our own roster template, as a workbook and as a CSV."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from backend.estate.roster_model import (
    BuildingRow,
    FeeAssignmentRow,
    FeeStandardRow,
    HouseRow,
    LiabilityRow,
    PartyRow,
)
from backend.estate.roster_reader import read_roster
from backend.estate.roster_template import roster_bytes, template_bytes
from tests.factories.roster_cases import (
    GOOD_HOUSE,
    GOOD_PARTY,
    HOUSE_HEADER,
    PARTY_HEADER,
    own_workbook,
    read,
    the_issue,
)

CSV = (
    "楼栋,单元,房号,面积,使用状态,业主姓名,手机\n"
    "1,1,0101,94.56,自住,王小明,13900008000\n"
    "1,1,0102,88,自住,李明,13900008001\n"
    "1,1,0103,88,空置,王小明,13900008000\n"
)


def test_a_good_workbook_is_read_to_the_last_field() -> None:
    roster = read(own_workbook())
    assert (roster.kind, roster.issues, roster.not_imported) == ("own", [], [])
    assert roster.buildings == [BuildingRow("1", "1", None, None, "房屋", 2)]
    assert roster.houses == [
        HouseRow(
            "1-1-101", "1", "1", None, "101", Decimal("94.56"), "residential", "self", None,
            ("WY",), "房屋", 2,
        )
    ]  # fmt: skip
    assert roster.parties == [
        PartyRow("1", "王小明", "person", ("13900008000",), None, "owner", "人员", 2)
    ]
    assert roster.liabilities == [LiabilityRow("1-1-101", "1", "owner", True, None, "房屋", 2)]
    assert roster.fee_standards == [
        FeeStandardRow(
            "WY", "物业服务费", "area", Decimal("2.2"), Decimal(0), 1, "periodic", "prepaid",
            date(2026, 1, 1), None, "收费标准", 2,
        )
    ]  # fmt: skip
    assert roster.fee_assignments == [FeeAssignmentRow("1-1-101", "WY", None, "房屋", 2)]


def test_columns_come_in_any_order_below_a_note_with_stars_and_units_in_their_names() -> None:
    data = roster_bytes(
        {
            "人员": [("手机号", "姓名*", "业主编号*"), ("13900008000", "王小明", "001")],
            "房屋": [
                ("说明：一行一套", "", "", "", ""),
                ("业主编号", "建筑面积(㎡)", "房间号", "单元号", "楼号"),
                ("1", "94.56㎡", "0101室", "1单元", "1号楼"),
            ],
        }
    )
    roster = read(data)
    assert roster.issues == []
    assert [(h.code, h.area, h.row) for h in roster.houses] == [("1-1-101", Decimal("94.56"), 3)]


def test_the_empty_template_has_a_header_for_every_column_and_no_data() -> None:
    assert template_bytes() == template_bytes()
    with pytest.raises(Exception, match="没有任何数据行"):
        read_roster(template_bytes(), filename="模板.xlsx")


@pytest.mark.covers("S5")
def test_the_first_owner_is_billed_and_a_tenant_only_where_the_file_says_so() -> None:
    header = (*HOUSE_HEADER, "租户编号", "缴费责任人", "权属起始日", "租期起始日")
    people = [(key, f"测试{key}", "个人", "", "", "") for key in (1, 2, 3)]
    roster = read(
        own_workbook(
            house_header=header,
            houses=[
                (1, 1, 101, 90, "住宅", "出租", "1#2", "", 3, "", "2020-01-01", "2025-05-01"),
                (1, 1, 102, 90, "住宅", "出租", "1、2", "", 3, "租户", "2020-01-01", "2025-05-01"),
            ],
            people=people,
        )
    )
    own, let = date(2020, 1, 1), date(2025, 5, 1)
    assert [
        (x.house_code, x.party_key, x.role, x.liable, x.valid_from) for x in roster.liabilities
    ] == [
        ("1-1-101", "1", "owner", True, own),
        ("1-1-101", "2", "co_owner", False, own),
        ("1-1-101", "3", "tenant", False, let),
        ("1-1-102", "1", "owner", False, own),
        ("1-1-102", "2", "co_owner", False, own),
        ("1-1-102", "3", "tenant", True, let),
    ]
    assert [party.role for party in roster.parties] == ["owner", "co_owner", "tenant"]


@pytest.mark.covers("S5", "C12")
@pytest.mark.parametrize("state", ["未售", "未交付"])
def test_an_unsold_or_undelivered_house_must_be_billed_to_the_developer(state: str) -> None:
    house = (1, 1, 101, 90, "住宅", state, 1, "WY")
    refused = read(own_workbook(houses=[house]))
    assert refused.houses == []
    assert (the_issue(refused).row, the_issue(refused).column) == (2, "业主编号")
    developer = (1, "合成置业有限公司", "开发商", "", "", "")
    assert len(read(own_workbook(houses=[house], people=[developer])).houses) == 1


@pytest.mark.parametrize(
    "data",
    [
        CSV.encode(),
        CSV.encode("utf-8-sig"),
        CSV.encode("gbk"),
        CSV.encode("utf-16"),
        CSV.replace("\n", "\r\n").encode("gbk"),
        CSV.replace(",", "\t").encode(),
    ],
)
def test_a_csv_is_read_in_every_usual_encoding(data: bytes) -> None:
    roster = read(data, "名册.csv")
    assert roster.issues == []
    assert [house.code for house in roster.houses] == ["1-1-101", "1-1-102", "1-1-103"]
    assert [(x.house_code, x.party_key) for x in roster.liabilities] == [
        ("1-1-101", "1-1-101/1"),
        ("1-1-102", "1-1-102/1"),
        ("1-1-103", "1-1-101/1"),
    ]


def test_fees_may_be_named_by_code_or_by_name_and_start_on_their_own_days() -> None:
    header = (*HOUSE_HEADER, "计费开始日期")
    standards = [
        ("WY", "物业服务费", "面积", 2.2, 20, "", 6, "2026-01-01"),
        ("TC", "车位管理费", "车位", "", "", 80, 1, "2026-01-01"),
    ]
    house = (*GOOD_HOUSE[:7], "物业服务费#TC", "2026-01-01#2026-02-01")
    roster = read(own_workbook(house_header=header, houses=[house], standards=standards))
    assert roster.issues == []
    assert [(a.fee_code, a.valid_from) for a in roster.fee_assignments] == [
        ("WY", date(2026, 1, 1)),
        ("TC", date(2026, 2, 1)),
    ]
    assert [(s.method, s.rate, s.amount, s.cycle_months) for s in roster.fee_standards] == [
        ("area", Decimal("2.2"), Decimal(20), 6),
        ("parking", None, Decimal(80), 1),
    ]


def test_parking_spaces_belong_to_a_house_or_stand_free() -> None:
    data = roster_bytes(
        {
            "房屋": [HOUSE_HEADER, (*GOOD_HOUSE[:7], "")],
            "人员": [PARTY_HEADER, GOOD_PARTY],
            "车位": [
                ("车位编号", "车位类型", "面积", "房屋", "业主编号", "使用方式", "收费项目"),
                ("B-001", "地下", 13.25, "1-1-0101", 1, "出租", "TC"),
                ("B-002", "地上", "", "", "", "", ""),
                ("B-003", "地上", "", "9-9-9", "", "", ""),
            ],
        }
    )
    roster = read(data)
    assert [(p.code, p.kind, p.house_code, p.party_key, p.tenure) for p in roster.parking] == [
        ("B-001", "underground", "1-1-101", "1", "rent"),
        ("B-002", "surface", None, None, None),
    ]
    issue = the_issue(roster)
    assert (issue.sheet, issue.row, issue.column) == ("车位", 4, "房屋")


def test_progress_is_told_and_ends_at_the_total() -> None:
    houses = [(1, 1, n, 90, "住宅", "自住", 1, "WY") for n in range(1, 1201)]
    told: list[tuple[int, int, str]] = []
    read_roster(
        own_workbook(houses=houses), filename="n.xlsx", progress=lambda *step: told.append(step)
    )
    assert [step[0] for step in told] == [500, 1000, 1205]
    assert {step[1] for step in told} == {1205}
    assert [step[2] for step in told] == ["房屋", "房屋", ""]
