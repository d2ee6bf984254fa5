"""Find the header row of a sheet, or say exactly what is wrong with it.

The header is the first of the top rows that carries every required column, in any order and in
any of the spellings we know. A merged, doubled or incomplete header is refused as a whole: with
it no cell below could be trusted to mean what it seems to mean.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import Refusal
from backend.estate.roster_cells import normalise_header
from backend.estate.roster_sheets import Grid, column_letters

_HEADER_SEARCH = 10


@dataclass(frozen=True, slots=True)
class Column:
    """A column we read. name: our header; secret: how its value is masked in an issue.

    number: an amount or area, where a formula is refused even if it has a stored value.
    """

    name: str
    aliases: tuple[str, ...] = ()
    required: bool = False
    secret: str = ""
    number: bool = False


def find_header(grid: Grid, columns: tuple[Column, ...]) -> tuple[int, dict[str, int]]:
    """Return (0-based header row, column name -> 0-based position), or raise Refusal."""
    names = {
        normalise_header(spelling): column.name
        for column in columns
        for spelling in (column.name, *column.aliases)
    }
    required = {column.name for column in columns if column.required}
    best: tuple[int, int, set[str]] = (0, 0, required)
    for index, cells in enumerate(grid.rows[:_HEADER_SEARCH]):
        found = [
            (names[header], at)
            for at, cell in enumerate(cells)
            if isinstance(cell, str) and (header := normalise_header(cell)) in names
        ]
        missing = required - {name for name, _ in found}
        if found and not missing:
            _refuse_unclear_header(grid, index, found)
            return index, dict(found)
        if len(found) > best[1]:
            best = (index, len(found), missing)
    raise _missing_columns(grid, best[0], [c.name for c in columns if c.name in best[2]])


def _refuse_unclear_header(grid: Grid, index: int, found: list[tuple[str, int]]) -> None:
    first: dict[str, int] = {}
    for name, at in found:
        if name in first:
            raise header_refusal(
                grid.name, index, name,
                f"“{name}”列出现两次（{column_letters(first[name])} 列和 {column_letters(at)} 列）",
            )  # fmt: skip
        first[name] = at
    last = max(first.values())
    for top, left, bottom, right in grid.merges:
        if top <= index <= bottom and left <= last:
            where = range_text(top, left, bottom, right)
            raise header_refusal(grid.name, index, where, f"有合并单元格 {where}")


def _missing_columns(grid: Grid, index: int, missing: list[str]) -> Refusal:
    merges = [m for m in grid.merges if m[0] < _HEADER_SEARCH]
    detail = f"缺少列：{'、'.join(missing)}"
    if merges:
        detail += f"(有合并单元格 {range_text(*merges[0])})"
    return header_refusal(grid.name, index, "、".join(missing), detail)


def header_refusal(sheet: str, index: int, column: str, detail: str) -> Refusal:
    """Return the refusal of a sheet whose header row (0-based index) cannot be used."""
    return Refusal(
        "roster_header",
        message=f"the header row of sheet {sheet!r} cannot be used",
        message_zh=f"无法导入：工作表“{sheet}”第 {index + 1} 行表头{detail}。",
        http=422,
        what_to_do="表头应为一行、不合并、列名不重复；可下载导入模板对照修改。",
        fields={"sheet": sheet, "row": index + 1, "column": column},
    )


def range_text(top: int, left: int, bottom: int, right: int) -> str:
    """Return a 0-based rectangle as "A1:C2"."""
    return f"{column_letters(left)}{top + 1}:{column_letters(right)}{bottom + 1}"
