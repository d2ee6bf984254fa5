"""Read a roster file (房屋与业主名册) into one `RosterFile`, whatever layout it comes in.

Three layouts are recognised by their sheets: our own template (also as a CSV), the five-sheet
import workbook of HC小区管理系统, and its one-sheet asset workbook. Pure: no database, no clock.
A file that cannot be read at all raises `Refusal`; rows that cannot be used become issues.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path

from backend.errors import Refusal
from backend.estate import roster_own_layout, rules
from backend.estate.roster_cells import normalise_header
from backend.estate.roster_csv import looks_like_text, read_csv
from backend.estate.roster_hc import ASSETS, HC_SHEETS, HOUSES, OWNERS, read_hc, read_hc_assets
from backend.estate.roster_model import NotImported, Progress, RosterFile, RosterKind
from backend.estate.roster_own import read_own
from backend.estate.roster_sheets import Grid, Workbook, not_a_workbook, refuse_too_large
from backend.estate.roster_table import Report

_OTHER_HC_TEMPLATES = {
    "房屋缴费历史": "这是 HC 的“缴费历史”导入模板，不是房屋名册",
    "水电表": "这是 HC 的“水电表”导入模板，不是房屋名册",
}
_NO_DATA = frozenset({"填写说明", "说明"})
_HINT = "请使用本系统的导入模板（工作表“房屋”“人员”），或 HC小区管理系统的导入工作簿。"

Reader = Callable[..., None]


def read_roster(
    path_or_bytes: str | PathLike[str] | bytes, *, filename: str, progress: Progress | None = None
) -> RosterFile:
    """Return what the roster file says, with every problem named by sheet, row and column.

    filename: what the user called the file (for messages and the report). The content decides
    what it is. `progress(done, total, sheet)` is called every 500 rows and once at the end.
    Raises Refusal: `roster_no_file`, `roster_too_large` (over 30 MB, before reading),
    `roster_empty`, `roster_not_a_workbook`, `roster_csv_unreadable`, `roster_unknown_layout`,
    `roster_header` (its `fields` carry sheet, row and column).
    """
    data = _bytes_of(path_or_bytes)
    if not data.strip():
        raise _refusal("roster_empty", "文件是空的", "the file is empty")
    kind, reader, grids, ignored = _layout_of(data, filename)
    result = RosterFile(kind, filename, hashlib.sha256(data).hexdigest())
    total = sum(len(grid.rows) for grid in grids.values())
    reader(grids, report=Report(result=result, progress=progress, total=total))
    if not result.rows_read:
        raise _refusal("roster_empty", "没有任何数据行", "the roster has no data rows")
    result.not_imported.extend(ignored)
    result.issues.sort(key=_file_order(list(grids.values())))
    return result


def _bytes_of(path_or_bytes: str | PathLike[str] | bytes) -> bytes:
    if isinstance(path_or_bytes, bytes):
        refuse_too_large(len(path_or_bytes))
        return path_or_bytes
    path = Path(path_or_bytes)
    try:
        refuse_too_large(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise _refusal(
            "roster_no_file", f"文件 {path.name} 不存在或无法打开", "the file cannot be opened"
        ) from error


def _layout_of(
    data: bytes, filename: str
) -> tuple[RosterKind, Reader, Mapping[str, Grid], list[NotImported]]:
    if _is_text_table(data, filename):
        return *_one_sheet(read_csv(data)), []
    book = Workbook(data)
    sheets = {rules.plain(name): name for name in book.names}
    kind, reader, grids = _workbook_layout(book, sheets)
    read = {grid.name for grid in grids.values()}
    ignored = [
        NotImported(name, "", book.height(name), "不是名册的工作表，未读取")
        for name in book.names
        if name not in read and rules.plain(name) not in _NO_DATA
    ]
    return kind, reader, grids, ignored


def _workbook_layout(
    book: Workbook, sheets: Mapping[str, str]
) -> tuple[RosterKind, Reader, Mapping[str, Grid]]:
    if OWNERS in sheets and HOUSES in sheets:
        names = [name for name in HC_SHEETS if name in sheets]
        return "hc", read_hc, {name: book.grid(sheets[name]) for name in names}
    if ASSETS in sheets:
        return "hc", read_hc_assets, {ASSETS: book.grid(sheets[ASSETS])}
    if roster_own_layout.HOUSES in sheets:
        names = [name for name in roster_own_layout.SHEETS if name in sheets]
        return "own", read_own, {name: book.grid(sheets[name]) for name in names}
    for name, reason in _OTHER_HC_TEMPLATES.items():
        if name in sheets:
            raise _unknown_layout(f"{reason}，未导入")
    if len(sheets) == 1:
        return _one_sheet(book.grid(*sheets.values()))
    raise _unknown_layout(f"没有找到工作表“房屋”(文件中有：{'、'.join(sheets) or '无'})")


def _is_text_table(data: bytes, filename: str) -> bool:
    if filename.lower().endswith((".csv", ".txt", ".tsv")):
        return not data.startswith(b"PK\x03\x04")
    if data.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        return False
    if looks_like_text(data) and b"," in data[:4096] and not data[:256].lstrip()[:1] == b"<":
        raise not_a_workbook("内容是文本表格而不是工作簿，请把扩展名改为 .csv")
    return False


def _one_sheet(grid: Grid) -> tuple[RosterKind, Reader, Mapping[str, Grid]]:
    """Tell by its header whether a lone sheet is the HC asset list or our house list."""
    headers = {
        normalise_header(cell) for row in grid.rows[:10] for cell in row if isinstance(cell, str)
    }
    if not any(grid.rows):
        raise _refusal("roster_empty", "没有任何内容", "the file has no cells")
    if {"房间", "业主名称", "建筑面积"} <= headers:
        return "hc", read_hc_assets, {ASSETS: grid}
    spellings = {
        normalise_header(text)
        for column in roster_own_layout.HOUSE_COLUMNS
        for text in (column.name, *column.aliases)
    }
    if len(headers & spellings) < 2:
        raise _unknown_layout(f"工作表“{grid.name}”前 10 行没有房屋名册的表头（楼栋、房号、面积…）")
    return "own", read_own, {roster_own_layout.HOUSES: grid}


def _file_order(grids: list[Grid]) -> Callable[..., tuple[int, int]]:
    order = {grid.name: n for n, grid in enumerate(grids)}
    return lambda issue: (order.get(issue.sheet, 0), issue.row)


def _unknown_layout(detail: str) -> Refusal:
    return _refusal("roster_unknown_layout", detail, "the layout is not a known roster")


def _refusal(code: str, detail: str, message: str) -> Refusal:
    return Refusal(
        code, message=message, message_zh=f"无法导入：{detail}。", http=422, what_to_do=_HINT
    )
