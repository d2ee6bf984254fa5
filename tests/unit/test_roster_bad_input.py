"""Bad roster files: each fault is one clear message that names sheet, row and column."""

from __future__ import annotations

import io
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from backend.errors import Refusal
from backend.estate.roster_reader import read_roster
from backend.estate.roster_sheets import MAX_BYTES
from backend.estate.roster_template import roster_bytes
from tests.factories.roster_cases import (
    GOOD_HOUSE,
    GOOD_PARTY,
    HOUSE_HEADER,
    PARTY_HEADER,
    changed,
    own_workbook,
    read,
    the_issue,
    with_part,
)


def refusal_of(data: bytes, filename: str = "名册.xlsx") -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_roster(data, filename=filename)
    assert caught.value.what_to_do
    return caught.value


@pytest.mark.parametrize(
    ("data", "filename", "code", "said"),
    [
        (b"", "a.xlsx", "roster_empty", "文件是空的"),
        (b" \r\n ", "a.csv", "roster_empty", "文件是空的"),
        (b"hello", "a.xlsx", "roster_not_a_workbook", "不是 .xlsx 工作簿"),
        (b"PK\x03\x04" + b"\0" * 99, "a.xlsx", "roster_not_a_workbook", "已损坏"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 99, "a.xls", "roster_not_a_workbook", "旧版 .xls"),
        (b"<html><table></table></html>", "a.xls", "roster_not_a_workbook", "网页"),
        ("楼栋,房号\n1,101\n".encode(), "a.xlsx", "roster_not_a_workbook", "扩展名改为 .csv"),
        (b"\x89PNG\0\0\0\0,,", "a.csv", "roster_not_a_workbook", "二进制"),
        ("甲,乙\n1,2\n".encode(), "a.csv", "roster_unknown_layout", "没有房屋名册的表头"),
    ],
)
def test_a_file_that_is_no_roster_is_refused_whole(
    data: bytes, filename: str, code: str, said: str
) -> None:
    refusal = refusal_of(data, filename)
    assert refusal.code == code
    assert said in refusal.message_zh


@pytest.mark.parametrize("kept", [100, 2000, 5000])
def test_a_cut_workbook_is_refused(kept: int) -> None:
    assert refusal_of(own_workbook()[:kept]).code == "roster_not_a_workbook"


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.xlsx"
    with path.open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    with pytest.raises(Refusal) as caught:
        read_roster(path, filename="big.xlsx")
    assert (caught.value.code, caught.value.http) == ("roster_too_large", 413)
    assert "50.0 MB，超过上限 30 MB" in caught.value.message_zh
    assert refusal_of(b"0" * (MAX_BYTES + 1)).code == "roster_too_large"


def test_a_value_in_a_far_corner_does_not_cost_memory() -> None:
    def far(book: Workbook) -> None:
        book["房屋"]["XFD1048576"] = 1

    refusal = refusal_of(changed(own_workbook(), far))
    assert refusal.code == "roster_not_a_workbook"
    assert "第 1048576 行、第 16384 列" in refusal.message_zh


def test_a_workbook_with_entity_definitions_is_refused() -> None:
    data = with_part(
        own_workbook(),
        "xl/workbook.xml",
        lambda xml: b'<!DOCTYPE a [<!ENTITY b "c">]>' + xml.split(b"?>", 1)[-1],
    )
    assert "XML 定义" in refusal_of(data).message_zh


def test_other_sheets_only_are_named() -> None:
    refusal = refusal_of(roster_bytes({"账单": [("a",)], "流水": [("b",)]}))
    assert refusal.code == "roster_unknown_layout"
    assert "账单、流水" in refusal.message_zh


def test_a_merged_header_is_named() -> None:
    data = changed(own_workbook(), lambda book: book["房屋"].merge_cells("G1:H1"))
    refusal = refusal_of(data)
    assert refusal.code == "roster_header"
    assert refusal.message_zh == "无法导入：工作表“房屋”第 1 行表头有合并单元格 G1:H1。"
    assert refusal.fields == {"sheet": "房屋", "row": 1, "column": "G1:H1"}


def test_missing_and_doubled_columns_are_named() -> None:
    missing = refusal_of(
        roster_bytes({"房屋": [("楼栋", "房号", "业主编号"), (1, 2, 3)], "人员": [PARTY_HEADER]})
    )
    assert missing.message_zh == "无法导入：工作表“房屋”第 1 行表头缺少列：面积。"
    doubled = refusal_of(
        own_workbook(house_header=(*HOUSE_HEADER, "建筑面积"), houses=[(*GOOD_HOUSE, 90)])
    )
    assert doubled.message_zh == (
        "无法导入：工作表“房屋”第 1 行表头“面积”列出现两次（D 列和 I 列）。"
    )


@pytest.mark.parametrize(
    ("house", "column", "shown", "reason"),
    [
        ((1, 1, 101, "", "住宅", "自住", 1, "WY"), "面积", "", "不能为空"),
        ((1, 1, 101, "九十", "住宅", "自住", 1, "WY"), "面积", "九十", "不是数字"),
        ((1, 1, 101, 0, "住宅", "自住", 1, "WY"), "面积", "0", "面积应大于 0 且不超过 100000 ㎡"),
        ((1, 1, 101, -5, "住宅", "自住", 1, "WY"), "面积", "-5", "面积应大于 0 且不超过 100000 ㎡"),
        (
            (1, 1, 101, 94.56789, "住宅", "自住", 1, "WY"),
            "面积", "94.56789", "小数超过 4 位，请先四舍五入（系统不会自行截断）",
        ),
        (("", 1, 101, 90, "住宅", "自住", 1, "WY"), "楼栋", "", "不能为空"),
        (
            (1, 1, "1_01", 90, "住宅", "自住", 1, "WY"),
            "房号", "1_01", "只能由数字、字母和汉字组成，且不能为空或过长",
        ),
        ((1, 1, 101, 90, "住宅", "自住", 9, "WY"), "业主编号", "9", "业主编号 9 在“人员”中不存在"),
        ((1, 1, 101, 90, "住宅", "自住", "", "WY"), "业主编号", "", "不能为空；未售房屋请填开发商"),
        (
            (1, 1, 101, 90, "住宅", "自住", 1, "QT"),
            "收费项目", "QT", "收费编号 QT 在“收费标准”中不存在",
        ),
    ],
)  # fmt: skip
def test_a_bad_cell_refuses_its_row_with_one_reason(
    house: tuple[object, ...], column: str, shown: str, reason: str
) -> None:
    roster = read(own_workbook(houses=[house, (1, 1, 102, 80, "住宅", "自住", 1, "WY")]))
    assert [kept.code for kept in roster.houses] == ["1-1-102"]
    assert [x.house_code for x in roster.liabilities] == ["1-1-102"]
    issue = the_issue(roster)
    assert (issue.severity, issue.sheet, issue.row) == ("refused", "房屋", 2)
    assert (issue.column, issue.value_masked, issue.reason_zh) == (column, shown, reason)


def test_a_wrong_choice_lists_what_may_be_written() -> None:
    roster = read(own_workbook(houses=[(1, 1, 101, 90, "别墅", "自住", 1, "WY")]))
    assert the_issue(roster).column == "用途"
    assert the_issue(roster).reason_zh.startswith("只能填写：住宅、商铺、")


def test_a_room_that_the_spreadsheet_turned_into_a_date_is_refused() -> None:
    def as_date(book: Workbook) -> None:
        from datetime import date

        book["房屋"]["C2"] = date(2026, 1, 1)

    issue = the_issue(read(changed(own_workbook(), as_date)))
    assert (issue.column, issue.cell) == ("房号", "C2")
    assert issue.reason_zh == "被 Excel 变成了日期，请把单元格设为文本格式后重填"


def test_the_later_of_two_rows_with_one_house_code_is_refused_whatever_its_spelling() -> None:
    houses = [GOOD_HOUSE, ("1号楼", "1单元", "101", 80, "住宅", "自住", 1, "WY")]
    roster = read(own_workbook(houses=houses))
    assert [(h.code, h.row) for h in roster.houses] == [("1-1-101", 2)]
    assert (the_issue(roster).row, the_issue(roster).reason_zh) == (3, "与第 2 行重复（1-1-101）")


@pytest.mark.covers("C57")
@pytest.mark.parametrize(
    ("person", "column", "shown"),
    [
        ((1, "王小明", "个人", "1390000800", "", ""), "手机", "****0800"),
        ((1, "王小明", "个人", "13900008000", "2390000800A", ""), "备用手机", "****800A"),
        ((1, "王小明", "个人", 1.39e10, "", "12345678"), "证件号", "1******8"),
        ((1, "王小明", "个人", "", "", 110101199001011234), "证件号", "1*******************7"),
        ((1, "", "个人", "13900008000", "", ""), "姓名", ""),
    ],
)
def test_a_bad_person_is_refused_with_a_masked_value_and_so_is_the_house(
    person: tuple[object, ...], column: str, shown: str
) -> None:
    roster = read(own_workbook(people=[person]))
    assert (roster.houses, roster.parties, roster.liabilities) == ([], [], [])
    house, party = roster.issues
    assert (party.sheet, party.row, party.column, party.value_masked) == ("人员", 2, column, shown)
    assert (house.sheet, house.row) == ("房屋", 2)
    assert house.reason_zh == "业主编号 1 所在的“人员”第 2 行未通过检查"


def test_full_width_digits_trailing_blanks_and_leading_zeros_are_read_as_meant() -> None:
    house = (" 1 ", "01", "0101 ", "94.56", "住宅 ", "自住", " 001", "wy ")
    person = ("1", " 王 小明 ", "个人", "13900008000 ", "", "")
    roster = read(own_workbook(houses=[house], people=[person]))
    assert roster.issues == []
    assert (roster.houses[0].code, str(roster.houses[0].area)) == ("1-1-101", "94.56")
    assert (roster.parties[0].name, roster.parties[0].phones) == ("王小明", ("13900008000",))


def with_formula(cell: str, formula: str, cached: str) -> bytes:
    """Return the good workbook with a formula and its stored result (openpyxl keeps no result)."""
    data = changed(own_workbook(), lambda book: book["房屋"].__setitem__(cell, formula))
    part = next(
        f"xl/worksheets/sheet{n}.xml"
        for n, name in enumerate(load_workbook(io.BytesIO(data)).sheetnames, start=1)
        if name == "房屋"
    )
    stored = f"</f><v>{cached}</v>".encode()
    return with_part(data, part, lambda xml: re.sub(rb"</f><v\s*/>|</f><v></v>", stored, xml))


def test_a_formula_in_an_area_is_refused_even_with_a_stored_result() -> None:
    issue = the_issue(read(with_formula("D2", "=90+4.56", "94.56")))
    assert (issue.severity, issue.row, issue.column, issue.cell) == ("refused", 2, "面积", "D2")
    assert issue.value_masked == "94.56"
    assert issue.reason_zh == "单元格是公式，请用“选择性粘贴→数值”改成固定值"


def test_a_formula_elsewhere_gives_its_stored_result_with_a_warning() -> None:
    roster = read(with_formula("G2", "=2-1", "1"))
    assert len(roster.houses) == 1
    assert (the_issue(roster).severity, the_issue(roster).column) == ("warning", "业主编号")


def test_a_formula_without_result_and_an_error_value_refuse_the_row() -> None:
    def spoil(book: Workbook) -> None:
        book["房屋"]["G2"] = "=VLOOKUP(1,Z:Z,1,0)"
        book["房屋"].append((1, 1, 102, 80, "住宅", "自住", "#N/A", "WY"))
        book["房屋"]["G3"].data_type = "e"

    roster = read(changed(own_workbook(), spoil))
    assert roster.houses == []
    said = {(i.row, i.column): i.reason_zh for i in roster.refused}
    assert said[(2, "业主编号")].startswith("单元格是公式")
    assert said[(3, "业主编号")] == "单元格是错误值（如 #N/A、#REF!）"
    assert len(said) == len(roster.issues) == 2


def test_merged_cells_in_the_data_refuse_the_rows_they_cover() -> None:
    houses = [GOOD_HOUSE, (1, 1, 102, 80, "住宅", "自住", 1, "WY"), (1, 1, 103, 80, "", "", 1, "")]
    data = changed(own_workbook(houses=houses), lambda book: book["房屋"].merge_cells("A2:A3"))
    roster = read(data)
    assert [house.code for house in roster.houses] == ["1-1-103"]
    assert {issue.row for issue in roster.refused} == {2, 3}
    assert "有合并单元格 A2:A3，请取消合并后逐行填写" in {i.reason_zh for i in roster.refused}


CSV_HEAD = "楼栋,单元,房号,面积,业主姓名,手机\n"


def test_an_unreadable_csv_names_row_and_column_of_the_first_bad_byte() -> None:
    data = (CSV_HEAD + "1,1,101,90,王小明,\n").encode("gbk") + b"1,1,102,90,\xff\xff,\n"
    refusal = refusal_of(data, "名册.csv")
    assert refusal.code == "roster_csv_unreadable"
    assert refusal.fields == {"sheet": "CSV", "row": 3, "column": 5}
    assert "按 GBK 读到第 3 行第 5 列时遇到无效字节" in refusal.message_zh


def test_a_csv_cut_inside_a_character_or_a_quotation_is_refused() -> None:
    whole = (CSV_HEAD + "1,1,101,90,王小明,\n1,1,102,90,李").encode()
    assert "文件可能被截断" in refusal_of(whole[:-1], "名册.csv").message_zh
    quoted = (CSV_HEAD + '1,1,101,90,"王小明,\n').encode()
    refusal = refusal_of(quoted, "名册.csv")
    assert refusal.fields == {"sheet": "CSV", "row": 2}
    assert "引号没有配对" in refusal.message_zh


def test_a_csv_row_that_is_cut_or_too_wide_is_refused() -> None:
    cut = read((CSV_HEAD + "1,1,101,90,王小明,\n1,1,102,9").encode(), "名册.csv")
    assert [house.code for house in cut.houses] == ["1-1-101"]
    assert (2 + 1, "最后一行不完整，文件可能被截断") in {(i.row, i.reason_zh) for i in cut.refused}
    wide = read((CSV_HEAD + "1,1,101,1,090,王小明,\n").encode(), "名册.csv")
    assert wide.houses == []
    assert "有 7 列，多于表头的 6 列（文字中的逗号须加引号）" in {i.reason_zh for i in wide.refused}


def test_a_doubled_owner_number_is_refused_and_the_first_one_stays() -> None:
    roster = read(own_workbook(people=[GOOD_PARTY, (1, "李四", "个人", "", "", "")]))
    assert [party.name for party in roster.parties] == ["王小明"]
    assert (the_issue(roster).sheet, the_issue(roster).row) == ("人员", 3)


def test_a_missing_file_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        read_roster(tmp_path / "名册.xlsx", filename="名册.xlsx")
    assert caught.value.message_zh == "无法导入：文件 名册.xlsx 不存在或无法打开。"


def test_a_damaged_workbook_is_read_or_refused_but_never_fails_otherwise() -> None:
    chance = random.Random(1)
    data = own_workbook()
    outcomes = Counter()
    for _ in range(200):
        spoiled = bytearray(data)
        for _ in range(chance.choice((1, 3, 20))):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        try:
            read(bytes(spoiled))
            outcomes["read"] += 1
        except Refusal as refusal:
            outcomes[refusal.code] += 1
    assert outcomes["roster_not_a_workbook"] > 100
    assert outcomes.total() == 200


def test_a_csv_cut_at_any_byte_never_passes_for_the_whole_file() -> None:
    rows = [f"1,1,{n},94.56,王小{n},1390000{n:04d}\n" for n in range(101, 106)]
    whole = (CSV_HEAD + "".join(rows)).encode()
    ends_of_lines = {n + 1 for n, byte in enumerate(whole) if byte == ord("\n")}
    for cut in range(1, len(whole)):
        if cut in ends_of_lines:
            continue
        try:
            assert read(whole[:cut], "名册.csv").issues, cut
        except Refusal:
            continue
