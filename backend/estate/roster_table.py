"""A sheet as a table: its header, its data rows, and what of it is left out.

What stands above the header, to the right of it or in unknown columns is not data; a sheet may
carry notes there. Columns that hold values but are not read are reported, never dropped silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backend.estate import rules
from backend.estate.roster_cells import cell_text, normalise_header
from backend.estate.roster_header import Column, find_header, range_text
from backend.estate.roster_model import NotImported, Progress, RosterFile
from backend.estate.roster_row import Row
from backend.estate.roster_sheets import Grid

_NOTE_STARTS = ("说明", "填写说明", "注:", "备注:", "注：", "备注：")
_PROGRESS_STEP = 500


class Report:
    """Collects what happened to every row into the result, and tells the progress callback."""

    def __init__(self, *, result: RosterFile, progress: Progress | None, total: int) -> None:
        self.result = result
        self._progress = progress
        self._total = total
        self._done = 0

    def tick(self, sheet: str, *, count: int = 1) -> None:
        """Count rows looked at; every 500 rows the callback hears of it."""
        before, self._done = self._done, self._done + count
        if self._progress and self._done // _PROGRESS_STEP > before // _PROGRESS_STEP:
            self._progress(self._done, self._total, sheet)

    def finish(self) -> None:
        """Tell the callback that everything was looked at."""
        if self._progress:
            self._progress(self._total, self._total, "")


class Table:
    """One sheet read as a table. Raises Refusal when its header cannot be used."""

    def __init__(self, grid: Grid, columns: tuple[Column, ...], *, report: Report) -> None:
        self.grid = grid
        self.report = report
        self.columns = {column.name: column for column in columns}
        self.header_row, self.at = find_header(grid, columns)
        self.headers = {
            name: cell_text(grid.rows[self.header_row][at]) for name, at in self.at.items()
        }
        self._flagged = {row for row, _ in grid.formulas | grid.errors}
        self._merged = self._merged_rows()
        self._formula_warned: set[str] = set()

    def has(self, name: str) -> bool:
        """Tell whether the file has this column."""
        return name in self.at

    def rows(self) -> Iterator[Row]:
        """Yield the data rows: not blank, below the header, not a note; structure checked."""
        used = list(self.at.values())
        width = max(used) + 1
        for index in range(self.header_row + 1, len(self.grid.rows)):
            self.report.tick(self.grid.name)
            cells = self.grid.rows[index]
            if len(cells) < width:
                cells = cells + [""] * (width - len(cells))
            row = Row(self, index, cells, flagged=index in self._flagged)
            values = [cells[at] for at in used]
            if not any(value not in ("", None) for value in values) and not row.flagged:
                continue
            if self._is_note(values):
                continue
            self.report.result.rows_read += 1
            if index in self._merged:
                row.refuse("", f"有合并单元格 {self._merged[index]}，请取消合并后逐行填写")
            if self.grid.csv:
                self._check_width(row, index)
            yield row

    def report_left_out(self, reasons: Mapping[str, str]) -> None:
        """Note every column that holds values but is not read, with a reason by header."""
        known = set(self.at.values())
        for at, cell in enumerate(self.grid.rows[self.header_row]):
            header = cell_text(cell)
            if at in known or not header:
                continue
            body = self.grid.rows[self.header_row + 1 :]
            count = sum(1 for row in body if at < len(row) and row[at] not in ("", None))
            if count:
                why = reasons.get(normalise_header(header), "不是导入所需的列")
                self.report.result.not_imported.append(
                    NotImported(self.grid.name, header, count, why)
                )

    def warn_formula_once(self, row: Row, name: str) -> None:
        """Warn at the first formula of a column: its stored value was taken."""
        if name not in self._formula_warned:
            self._formula_warned.add(name)
            row.warn(name, "此列含公式，已采用文件中保存的计算结果（同列其余公式不再逐行提示）")

    def _is_note(self, values: list[object]) -> bool:
        first = next((value for value in values if value not in ("", None)), "")
        return isinstance(first, str) and rules.plain(first).startswith(_NOTE_STARTS)

    def _merged_rows(self) -> dict[int, str]:
        last_column = max(self.at.values())
        rows: dict[int, str] = {}
        for top, left, bottom, right in self.grid.merges:
            if bottom > self.header_row and left <= last_column:
                where = range_text(top, left, bottom, right)
                rows.update(dict.fromkeys(range(max(top, self.header_row + 1), bottom + 1), where))
        return rows

    def _check_width(self, row: Row, index: int) -> None:
        width = len(self.grid.rows[self.header_row])
        cells = self.grid.rows[index]
        if len(cells) > width:
            row.refuse("", f"有 {len(cells)} 列，多于表头的 {width} 列（文字中的逗号须加引号）")
        if index == len(self.grid.rows) - 1 and self.grid.cut_at_end:
            if len(cells) < width:
                row.refuse("", "最后一行不完整，文件可能被截断")
            else:
                row.warn("", "文件末尾没有换行，请核对最后一行是否完整")
