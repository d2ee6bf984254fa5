"""Write our roster template: empty sheets that `read_roster` reads, with rules in front.

The same content gives the same bytes: openpyxl stamps the time into the archive, so it is packed
again with a fixed one. Cells that hold codes, phones and ID numbers are formatted as text, because
a spreadsheet otherwise eats leading zeros and the last digits of an ID number.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from backend.estate import roster_own_layout as layout
from backend.estate.roster_header import Column
from backend.estate.roster_sheets import column_letters

GUIDE = "填写说明"
_STAMP = (2026, 1, 1, 0, 0, 0)
_CORE_TIMES = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")
_TEXT_ROWS = 500
_NUMBERS = frozenset({"面积", "单价", "附加费", "固定金额", "缴费周期", "楼层"})
_SHEETS: Mapping[str, tuple[tuple[Column, ...], str]] = {
    layout.HOUSES: (
        layout.HOUSE_COLUMNS,
        "说明：一行一套房屋，同一小区内“楼栋-单元-房号”不能重复；带 * 的列必填；本行可以保留",
    ),
    layout.PARTIES: (
        layout.PARTY_COLUMNS,
        "说明：一行一个人或单位，业主编号不能重复；开发商的类型填“开发商”；没有电话就留空",
    ),
    layout.STANDARDS: (
        layout.STANDARD_COLUMNS,
        "说明：面积计费填单价和附加费(元/月),固定和车位计费填固定金额(元/月);公示后才生效",
    ),
    layout.PARKING: (
        layout.PARKING_COLUMNS,
        "说明：一行一个车位；房屋写成 1-1-101；没有人使用的车位只填编号和类型",
    ),
}
_CHOICES: Mapping[str, Iterable[str]] = {
    "用途": ("住宅", "商铺", "车位", "办公"),
    "使用状态": ("自住", "出租", "空置", "未售", "未交付", "未知"),
    "类型": ("个人", "单位", "开发商"),
    "缴费责任人": ("业主", "租户"),
    "计费方式": ("面积", "固定", "车位"),
    "付费方式": ("预付", "后付"),
    "车位类型": ("地上", "地下"),
    "使用方式": ("出租", "出售"),
}
_GUIDE_LINES = (
    ("导入模板填写说明",),
    (
        "工作表“房屋”必填，“人员”“收费标准”“车位”按需填写；列的顺序可以调整，列名不要改，表头不要合并。",
    ),
    ("有一行不合格，整个文件都不导入，并逐行说明原因；同一文件重复导入不会产生变化。",),
    ("电话没有就留空；证件号只在需要诉讼材料时填写；不要填写与缴费无关的个人信息。",),
    ("多个业主用 # 分隔，第一个为缴费人，例如 1#2；多个收费项目同样用 # 分隔。",),
    ("未售和未交付房屋的业主编号填开发商：交付前的物业费由开发商承担。",),
    ("面积最多 4 位小数，不能是公式；日期写成 2026-01-01。",),
    (),
    ("示例(不会被导入)",),
    ("房屋", "楼栋 1", "单元 1", "房号 101", "面积 94.56", "业主编号 1#2", "收费项目 WY"),
    ("人员", "业主编号 1", "姓名 王小明", "类型 个人", "手机 13900001234"),
    ("收费标准", "收费编号 WY", "收费项目 物业服务费", "计费方式 面积", "单价 2.2", "缴费周期 1"),
    ("车位", "车位编号 B1-001", "房屋 1-1-101", "使用方式 出租", "收费项目 TC"),
)


def write_template(path: str | PathLike[str]) -> None:
    """Write the empty template workbook to `path` (.xlsx)."""
    Path(path).write_bytes(template_bytes())


def template_bytes() -> bytes:
    """Return the empty template workbook; always the same bytes."""
    book = Workbook()
    guide = book.active
    guide.title = GUIDE
    for line in _GUIDE_LINES:
        guide.append(line)
    guide["A1"].font = Font(bold=True, size=14)
    guide.column_dimensions["A"].width = 24
    for name, (columns, note) in _SHEETS.items():
        _lay_out(book.create_sheet(name), columns, note)
    return fixed_bytes(book)


def roster_bytes(rows: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    """Return a workbook with one sheet per name; the first row of each is its header."""
    book = Workbook(write_only=True)
    for name, lines in rows.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
    return fixed_bytes(book)


def fixed_bytes(book: Workbook) -> bytes:
    """Return the saved workbook with every time stamp fixed: same content, same bytes."""
    saved, packed = io.BytesIO(), io.BytesIO()
    book.save(saved)
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(packed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "docProps/core.xml":
                data = _CORE_TIMES.sub(rb"\g<1>2026-01-01T00:00:00Z", data)
            info = zipfile.ZipInfo(name, date_time=_STAMP)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, data)
    return packed.getvalue()


def _lay_out(sheet: Worksheet, columns: tuple[Column, ...], note: str) -> None:
    sheet.append([note])
    starred = {column.name for column in columns if column.required}
    if sheet.title == layout.HOUSES:
        starred.add("业主编号")  # not needed in the one-sheet form, which this template is not
    sheet.append([column.name + "*" * (column.name in starred) for column in columns])
    sheet["A1"].alignment = Alignment(wrap_text=False)
    sheet.freeze_panes = "A3"
    for index, column in enumerate(columns):
        letters = column_letters(index)
        head = sheet[f"{letters}2"]
        head.font = Font(bold=True)
        head.fill = PatternFill("solid", fgColor="DDEBF7")
        sheet.column_dimensions[letters].width = 14
        if column.name not in _NUMBERS and "日" not in column.name:
            _format_as_text(sheet, letters)
        if column.name in _CHOICES:
            listed = ",".join(_CHOICES[column.name])
            rule = DataValidation("list", formula1=f'"{listed}"', allow_blank=True)
            rule.add(f"{letters}3:{letters}20002")
            sheet.add_data_validation(rule)


def _format_as_text(sheet: Worksheet, letters: str) -> None:
    sheet.column_dimensions[letters].number_format = "@"
    for number in range(3, 3 + _TEXT_ROWS):
        sheet[f"{letters}{number}"].number_format = "@"
