"""Small roster files for tests: one good file, and the means to spoil it in one place."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence

from openpyxl import Workbook, load_workbook

from backend.estate.roster_model import Issue, RosterFile
from backend.estate.roster_reader import read_roster
from backend.estate.roster_template import fixed_bytes, roster_bytes

HOUSE_HEADER = ("楼栋", "单元", "房号", "面积", "用途", "使用状态", "业主编号", "收费项目")
PARTY_HEADER = ("业主编号", "姓名", "类型", "手机", "备用手机", "证件号")
STANDARD_HEADER = (
    "收费编号",
    "收费项目",
    "计费方式",
    "单价",
    "附加费",
    "固定金额",
    "缴费周期",
    "生效日期",
)

GOOD_HOUSE = (1, 1, "0101", 94.56, "住宅", "自住", 1, "WY")
GOOD_PARTY = (1, "王小明", "个人", "13900008000", "", "")
GOOD_STANDARD = ("WY", "物业服务费", "面积", 2.2, "", "", 1, "2026-01-01")


def own_workbook(
    *,
    houses: Sequence[Sequence[object]] = (GOOD_HOUSE,),
    people: Sequence[Sequence[object]] = (GOOD_PARTY,),
    standards: Sequence[Sequence[object]] = (GOOD_STANDARD,),
    house_header: Sequence[str] = HOUSE_HEADER,
) -> bytes:
    """Return a workbook of our layout with these data rows (the first is spreadsheet row 2)."""
    return roster_bytes(
        {
            "房屋": [house_header, *houses],
            "人员": [PARTY_HEADER, *people],
            "收费标准": [STANDARD_HEADER, *standards],
        }
    )


def changed(data: bytes, change: Callable[[Workbook], None]) -> bytes:
    """Return the workbook after `change` was applied to it (merges, formulas …)."""
    book = load_workbook(io.BytesIO(data))
    change(book)
    return fixed_bytes(book)


def with_part(data: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return the archive with one member's bytes changed (what a spreadsheet never writes)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(packed, "w") as target:
        for name in source.namelist():
            body = source.read(name)
            target.writestr(name, change(body) if name == part else body)
    return packed.getvalue()


def read(data: bytes, filename: str = "名册.xlsx") -> RosterFile:
    """Read a roster from bytes."""
    return read_roster(data, filename=filename)


def the_issue(roster: RosterFile) -> Issue:
    """Return the only issue of a roster."""
    (issue,) = roster.issues
    return issue
