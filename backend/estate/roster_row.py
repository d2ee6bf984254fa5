"""One data row: its cells as values, its faults as issues.

A cell that cannot be used becomes an `Issue` of the row and the row is marked refused, but
reading goes on, so that one pass over a file shows everything that is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from backend.estate import rules
from backend.estate.roster_cells import cell_text, masked, normalise_header, split_dates, split_list
from backend.estate.roster_model import Issue
from backend.estate.roster_sheets import column_letters

if TYPE_CHECKING:
    from backend.estate.roster_table import Table

T = TypeVar("T")
_UNUSABLE = object()


class Row:
    """One data row. Cell methods return None (or "") and mark the row refused on bad input."""

    __slots__ = ("cells", "flagged", "index", "refused", "table")

    def __init__(self, table: Table, index: int, cells: list[object], *, flagged: bool) -> None:
        self.table = table
        self.index = index
        self.cells = cells
        self.flagged = flagged
        self.refused = False

    @property
    def number(self) -> int:
        """Return the spreadsheet row number, from 1."""
        return self.index + 1

    @property
    def sheet(self) -> str:
        """Return the name of the sheet."""
        return self.table.grid.name

    def refuse(self, name: str, reason_zh: str) -> None:
        """Refuse the row for a reason found in column `name` ("" = the whole row)."""
        self.refused = True
        self._issue("refused", name, reason_zh)

    def warn(self, name: str, reason_zh: str) -> None:
        """Note something about column `name`; the row stays."""
        self._issue("warning", name, reason_zh)

    def _issue(self, severity: str, name: str, reason_zh: str) -> None:
        at = self.table.at.get(name)
        shown = (
            "" if at is None else masked(cell_text(self.cells[at]), self.table.columns[name].secret)
        )
        self.table.report.result.issues.append(
            Issue(
                severity, self.sheet, self.number, self.table.headers.get(name, name), shown,
                reason_zh, "" if at is None else f"{column_letters(at)}{self.number}",
            )
        )  # fmt: skip

    def _raw(self, name: str) -> object:
        at = self.table.at.get(name)
        if at is None:
            return ""
        value = self.cells[at]
        if self.flagged and not self._usable(name, at, value):
            return _UNUSABLE
        return value

    def _usable(self, name: str, at: int, value: object) -> bool:
        place = (self.index, at)
        if place in self.table.grid.errors:
            self.refuse(name, "单元格是错误值（如 #N/A、#REF!）")
        elif place in self.table.grid.formulas:
            if not self.table.columns[name].number and value not in ("", None):
                self.table.warn_formula_once(self, name)
                return True
            self.refuse(name, "单元格是公式，请用“选择性粘贴→数值”改成固定值")
        else:
            return True
        return False

    def text(self, name: str, *, required: bool = False) -> str:
        """Return the cell as text, "" when blank; a blank required cell refuses the row."""
        value = self._raw(name)
        if value is _UNUSABLE:
            return ""
        text = value.strip() if isinstance(value, str) else cell_text(value)
        if required and not text:
            self.refuse(name, "不能为空")
        return text

    def code(self, name: str, *, required: bool = False) -> str:
        """Return the text of a cell that holds a code; a date or a fraction there is refused."""
        value = self._raw(name)
        if value is _UNUSABLE:
            return ""
        if isinstance(value, date):
            self.refuse(name, "被 Excel 变成了日期，请把单元格设为文本格式后重填")
            return ""
        if isinstance(value, float) and (value != int(value) or abs(value) >= 1e15):
            self.refuse(name, "是小数或过长的数字，请设为文本格式后重填（数字格式会丢失末位）")
            return ""
        text = value.strip() if isinstance(value, str) else cell_text(value)
        if required and not text:
            self.refuse(name, "不能为空")
        return text

    def parse(
        self, name: str, parser: Callable[[str], T | None], *, required: bool = False
    ) -> T | None:
        """Return `parser(code text)`, None when blank; its ValueError refuses the row."""
        return self._parsed(name, self.code(name, required=required), parser)

    def _parsed(self, name: str, text: str, parser: Callable[[str], T | None]) -> T | None:
        if not text:
            return None
        try:
            return parser(text)
        except ValueError as error:
            self.refuse(name, str(error))
            return None

    def part(self, name: str, *, part: str, default: str | None = None) -> str | None:
        """Return a normalised part of a house code ("building", "unit", "room")."""
        value = self.parse(
            name,
            lambda text: rules.normalise_part(text, part=part),
            required=default is None,
        )
        return default if value is None and not self.refused else value

    def keys(self, name: str) -> list[str]:
        """Return the owner numbers or fee codes listed in the cell, without repeats."""
        codes = (rules.normalise_key(text) for text in split_list(self.code(name)))
        return list(dict.fromkeys(codes))

    def key(self, name: str, *, required: bool = True) -> str:
        """Return one owner number or fee code, "" when blank or refused."""
        return self.parse(name, rules.normalise_key, required=required) or ""

    def dates(self, name: str) -> list[date]:
        """Return the dates listed in the cell ("2020-06-10#2020-07-10"), in order."""
        value = self._raw(name)
        texts = [] if value is _UNUSABLE else split_dates(cell_text(value))
        found = [self._parsed(name, text, rules.parse_date) for text in texts]
        return [day for day in found if day is not None]

    def phones(self, *names: str) -> tuple[str, ...]:
        """Return the phones of several columns in order, placeholders and repeats left out."""
        found: list[str] = []
        for name in names:
            for text in split_list(self.code(name)):
                phone = self._parsed(name, text, rules.normalise_phone)
                if phone and phone not in found:
                    found.append(phone)
        return tuple(sorted(found, key=lambda phone: not rules.is_mobile(phone)))

    def id_no(self, name: str) -> str | None:
        """Return an ID number; one with a wrong check digit stays, with a warning."""
        found = self.parse(name, rules.normalise_id)
        if found and not rules.id_checksum_ok(found):
            self.warn(name, "身份证号校验位不符，请核对")
        return found

    def decimal(self, name: str, *, places: int = 4, required: bool = False) -> Decimal | None:
        """Return an exact number of at most `places` decimals; blank is None or refused."""
        text = self.text(name, required=required)
        return self._parsed(name, text, lambda bare: rules.parse_decimal(bare, places=places))

    def integer(self, name: str, *, low: int, high: int) -> int | None:
        """Return a whole number between low and high; blank is None."""
        number = self.decimal(name)
        if number is None:
            return None
        if number != int(number) or not low <= number <= high:
            self.refuse(name, f"应为 {low} 到 {high} 的整数")
            return None
        return int(number)

    def area(self, name: str, *, required: bool = True) -> Decimal | None:
        """Return an area in ㎡: above 0, at most 100,000, at most 4 decimals."""
        number = self.decimal(name, required=required)
        if number is not None and not 0 < number <= 100_000:
            self.refuse(name, "面积应大于 0 且不超过 100000 ㎡")
            return None
        return number

    def money(self, name: str) -> Decimal | None:
        """Return an amount or a rate in 元: 0 or more, at most 4 decimals; blank is None."""
        number = self.decimal(name)
        if number is not None and not 0 <= number <= 10_000_000:
            self.refuse(name, "金额不能为负，且不超过 1000 万元")
            return None
        return number

    def date(self, name: str) -> date | None:
        """Return a calendar date from a date cell or a text such as 2020-6-10; blank is None."""
        value = self._raw(name)
        if value is _UNUSABLE:
            return None
        return self._parsed(name, cell_text(value), rules.parse_date)

    def choice(self, name: str, options: Mapping[str, T], *, default: T) -> T:
        """Return the value of the option written in the cell; blank is `default`."""
        text = normalise_header(self.text(name))
        if not text:
            return default
        if text not in options:
            self.refuse(name, "只能填写：" + "、".join(options))
            return default
        return options[text]
