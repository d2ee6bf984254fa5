"""The published import workbooks of HC小区管理系统, read as they are."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.workbook import Workbook

from backend.errors import Refusal
from backend.estate.roster_model import (
    FeeAssignmentRow,
    FeeStandardRow,
    HouseRow,
    Issue,
    LiabilityRow,
    NotImported,
    ParkingRow,
    PartyRow,
    RosterFile,
)
from backend.estate.roster_reader import read_roster
from backend.estate.roster_template import fixed_bytes

DATA = Path(__file__).parents[1] / "data" / "hc"


def read(name: str) -> RosterFile:
    return read_roster(DATA / name, filename=name)


def read_changed(name: str, **cells: object) -> RosterFile:
    """Read a template after writing cells, given as 房屋信息__G7=5."""
    book: Workbook = load_workbook(DATA / name)
    for place, value in cells.items():
        sheet, cell = place.split("__")
        book[sheet][cell] = value
    return read_roster(fixed_bytes(book), filename=name)


def test_the_five_sheets_become_buildings_houses_parties_fees_and_parking() -> None:
    roster = read("hc.xlsx")
    assert (roster.kind, roster.rows_read, roster.rows_refused) == ("hc", 42, 3)
    assert len(roster.buildings) == 26
    assert [house.code for house in roster.houses] == [
        "1-1-1011", "1-1-1012", "1-1-1013", "1-1-1014", "1-1-1021",
    ]  # fmt: skip
    assert roster.houses[0] == HouseRow(
        "1-1-1011", "1", "1", 1, "1011", Decimal("94.56"), "residential", "unknown", None,
        ("1", "2"), "房屋信息", 2,
    )  # fmt: skip
    assert roster.parties[0] == PartyRow(
        "1", "赵一一", "person", ("13900009999",), None, "owner", "业主信息", 2
    )
    assert roster.liabilities[0] == LiabilityRow(
        "1-1-1011", "1", "owner", True, None, "房屋信息", 2
    )
    assert roster.parking == [
        ParkingRow(
            "C0001", "1", "surface", Decimal("98.32"), None, None, None, (), None, None,
            "车位信息", 2,
        )
    ]  # fmt: skip


def test_the_fee_sheet_becomes_fee_standards_and_fee_lists_become_assignments() -> None:
    roster = read("hc.xlsx")
    assert roster.fee_standards == [
        FeeStandardRow(
            "1", "测试收费1", "area", Decimal("1.3"), Decimal(20), 6, "periodic", "prepaid",
            date(2020, 6, 10), None, "费用设置", 2,
        ),
        FeeStandardRow(
            "2", "测试收费2", "area", Decimal("1"), Decimal(20), 3, "periodic", "prepaid",
            date(2020, 6, 10), None, "费用设置", 3,
        ),
    ]  # fmt: skip
    assert roster.fee_assignments[:3] == [
        FeeAssignmentRow("1-1-1011", "1", date(2020, 6, 10), "房屋信息", 2),
        FeeAssignmentRow("1-1-1011", "2", date(2020, 7, 10), "房屋信息", 2),
        FeeAssignmentRow("1-1-1012", "1", date(2020, 6, 10), "房屋信息", 3),
    ]
    assert len(roster.fee_assignments) == 7


def test_a_house_of_an_owner_who_does_not_exist_is_refused_with_sheet_row_and_column() -> None:
    roster = read("hc.xlsx")
    assert roster.issues == [
        Issue(
            "refused", "房屋信息", row, "业主编号", str(owner),
            f"业主编号 {owner} 在“业主信息”中不存在", f"G{row}",
        )
        for row, owner in ((7, 6), (8, 7), (9, 8))
    ]  # fmt: skip


@pytest.mark.covers("C22")
def test_what_is_left_out_is_reported_and_personal_data_without_need_is_left_out() -> None:
    left_out = {(note.sheet, note.column): note for note in read("hc.xlsx").not_imported}
    assert set(left_out) == {
        ("业主信息", "编号"), ("业主信息", "性别"), ("业主信息", "年龄"),
        ("费用设置", "费用类型"), ("费用设置", "出账类型"),
        ("房屋信息", "房屋户型"), ("房屋信息", "室内面积"), ("房屋信息", "租金"),
    }  # fmt: skip
    assert left_out[("业主信息", "性别")] == NotImported(
        "业主信息", "性别", 5, "缴费不需要的个人信息，不收集(C22)"
    )


def test_placeholders_for_no_phone_and_no_id_are_none() -> None:
    roster = read_changed("hc.xlsx", 业主信息__E2=18999999999)
    assert roster.parties[0].phones == ()
    assert all(party.id_no is None for party in roster.parties)


def test_a_house_without_owner_counts_as_unsold_with_a_warning() -> None:
    roster = read_changed("hc.xlsx", 房屋信息__G2=None)
    house = roster.houses[0]
    assert (house.code, house.occupancy) == ("1-1-1011", "unsold")
    assert "1-1-1011" not in {liability.house_code for liability in roster.liabilities}
    assert [(i.row, i.column) for i in roster.warnings] == [(2, "业主编号")]


@pytest.mark.covers("C21", "C22")
def test_relatives_are_not_stored_and_a_tenant_is_linked_to_the_only_house() -> None:
    roster = read_changed("hc.xlsx", 业主信息__G5=1002, 业主信息__G6=1003, 业主信息__H6=2)
    assert [party.key for party in roster.parties] == ["1", "2", "3", "2/T6"]
    tenants = [x for x in roster.liabilities if x.role == "tenant"]
    assert tenants == [LiabilityRow("1-1-1012", "2/T6", "tenant", False, None, "业主信息", 6)]
    note = next(n for n in roster.not_imported if n.column == "业主类型")
    assert (note.rows, note.sheet) == (1, "业主信息")


def test_fees_and_their_dates_must_pair_up() -> None:
    roster = read_changed("hc.xlsx", 房屋信息__I2="2020-06-10")
    assert (
        "房屋信息",
        2,
        "费用开始时间",
        "有多个费用，却只有一个开始时间(应以 # 分隔，一一对应)",
    ) in {(i.sheet, i.row, i.column, i.reason_zh) for i in roster.refused}


def test_a_fee_or_building_that_does_not_exist_refuses_the_house() -> None:
    roster = read_changed("hc.xlsx", 房屋信息__H2="1#9", 房屋信息__B3=99)
    reasons = {(i.row, i.column): i.reason_zh for i in roster.refused if i.row < 4}
    assert reasons == {
        (2, "房屋费用"): "收费编号 9 在“费用设置”中不存在",
        (3, "单元编号"): "99 栋 1 单元在“楼栋单元”中不存在",
    }


def test_the_asset_workbook_reads_a_house_and_its_owner_from_one_row() -> None:
    roster = read("importRoom.xlsx")
    assert roster.issues == []
    assert roster.houses == [
        HouseRow(
            "1-1-1001", "1", "1", 1, "1001", Decimal("94.56"), "residential", "self", None, (),
            "资产信息", 2,
        )
    ]  # fmt: skip
    assert roster.parties == [
        PartyRow("1-1-1001/1", "赵一一", "person", ("13900001443",), None, "owner", "资产信息", 2)
    ]
    assert roster.buildings[0].floors == 33


def test_the_asset_workbook_tells_co_owner_tenant_and_relative_apart() -> None:
    book = load_workbook(DATA / "importRoom.xlsx")
    sheet = book["资产信息"]
    first = [cell.value for cell in sheet[2]][:17]
    for row, (name, phone, kind) in enumerate(
        [
            ("钱二二", 13900001444, 1001),
            ("孙三三", 13900001445, 1003),
            ("李四四", 13900001446, 1002),
        ],
        start=3,
    ):
        for column, value in enumerate([*first[:12], name, "男", phone, None, kind], start=1):
            sheet.cell(row, column, value)
    roster = read_roster(fixed_bytes(book), filename="importRoom.xlsx")
    assert roster.issues == []
    assert [(x.party_key, x.role, x.liable) for x in roster.liabilities] == [
        ("1-1-1001/1", "owner", True),
        ("1-1-1001/2", "co_owner", False),
        ("1-1-1001/3", "tenant", False),
    ]
    assert "李四四" not in {party.name for party in roster.parties}


@pytest.mark.parametrize(
    ("name", "what"), [("importFeeDetail.xlsx", "缴费历史"), ("meterMachine.xlsx", "水电表")]
)
def test_the_other_hc_templates_are_refused_by_name(name: str, what: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(name)
    assert caught.value.code == "roster_unknown_layout"
    assert what in caught.value.message_zh


def test_the_same_bytes_read_from_a_path_or_from_memory_are_the_same_roster() -> None:
    data = (DATA / "hc.xlsx").read_bytes()
    assert read_roster(io.BytesIO(data).getvalue(), filename="hc.xlsx") == read("hc.xlsx")
