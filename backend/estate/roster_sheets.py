"""From the bytes of an uploaded file to plain grids of cells, or one clear refusal.

A workbook is looked at twice: calamine gives the values, and the raw sheet XML tells what
calamine does not: which cells are formulas (their stored value may be stale), which hold an
error such as #N/A, and how large a rectangle the values span (one value in a far corner would
otherwise cost gigabytes). Nothing here knows what a roster is.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from xml.etree import ElementTree

import python_calamine as calamine

from backend.errors import Refusal

MAX_BYTES = 30 * 1024 * 1024
MAX_UNPACKED = 400 * 1024 * 1024
MAX_CELLS = 20_000_000

_SAVE_AS = "请在 Excel 或 WPS 中“另存为”.xlsx 工作簿（或 UTF-8 编码的 CSV）后重新上传。"
_CELL = re.compile(rb"<(?:\w+:)?c\b([^>]*?)(/?)>(\s*<(?:\w+:)?f[\s/>])?")
_REF = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
# None of these found: no formula, no error cell, fewer than MAX_CELLS cells whatever they hold.
_TELLTALES = (b"<f>", b"<f ", b"<f/", b":f>", b":f ", b":f/", b't="e"')
_FAR_CELL = re.compile(rb'r="(?:[A-Z]{3}\d|[B-Z][A-Z]\d{5}|[A-Z]{1,2}\d{6})')
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


@dataclass(slots=True)
class Grid:
    """One sheet: rows of cells from A1 on (list index 0 = spreadsheet row 1).

    formulas, errors: 0-based (row, column) of formula cells and of cells holding an Excel error.
    merges: 0-based inclusive (first row, first column, last row, last column).
    csv: the grid came from a text file; cut_at_end: that file has no final line break.
    """

    name: str
    rows: list[list[object]]
    formulas: frozenset[tuple[int, int]] = frozenset()
    errors: frozenset[tuple[int, int]] = frozenset()
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)
    csv: bool = False
    cut_at_end: bool = False


class Workbook:
    """An opened .xlsx: sheet names, and each sheet's grid when asked for."""

    def __init__(self, data: bytes) -> None:
        self._zip = _open_zip(data)
        self._parts = _sheet_parts(self._zip)
        with _damage_refused("文件内容不是 .xlsx 工作簿，或已损坏"):
            self._book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))

    @cached_property
    def names(self) -> list[str]:
        """Return the names of the worksheets in file order."""
        return [name for name in self._book.sheet_names if name in self._parts]

    def height(self, name: str) -> int:
        """Return how many rows a sheet has that is not going to be read."""
        try:
            return self._book.get_sheet_by_name(name).total_height
        except Exception:  # a damaged sheet that nobody needs is no reason to refuse the file
            return 0

    def grid(self, name: str) -> Grid:
        """Return one sheet. Raises Refusal when it is damaged or its values span too much."""
        xml = _read_part(self._zip, self._parts[name])
        formulas, errors = _scan(xml, sheet=name)
        with _damage_refused(f"工作表“{name}”无法读取"):
            sheet = self._book.get_sheet_by_name(name)
            rows = sheet.to_python(skip_empty_area=False)
            merges = [(*first, *last) for first, last in sheet.merged_cell_ranges or []]
        return Grid(name, rows, frozenset(formulas), frozenset(errors), merges)


def not_a_workbook(detail: str = "文件内容不是 .xlsx 工作簿，或已损坏") -> Refusal:
    """Return the refusal of a file that cannot be opened as a workbook."""
    return Refusal(
        "roster_not_a_workbook",
        message="the file is not a readable .xlsx workbook",
        message_zh=f"无法导入：{detail}。",
        http=422,
        what_to_do=_SAVE_AS,
    )


@contextmanager
def _damage_refused(detail: str) -> Iterator[None]:
    """Turn whatever a damaged archive makes its readers raise into a refusal.

    Their errors share no base class, and a panic of the Rust reader is no `Exception` at all.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit, Refusal):
        raise
    except BaseException as error:
        raise not_a_workbook(detail) from error


def refuse_too_large(size: int) -> None:
    """Raise Refusal when a file of `size` bytes is over the limit; asked before it is read."""
    if size > MAX_BYTES:
        raise Refusal(
            "roster_too_large",
            message=f"the file has {size} bytes, the limit is {MAX_BYTES}",
            message_zh=f"文件 {size / 1048576:.1f} MB，超过上限 {MAX_BYTES // 1048576} MB，"
            "未读取。",
            http=413,
            what_to_do="请删除图片和多余的工作表，或按楼栋拆分成多个文件后分别导入。",
        )


def _open_zip(data: bytes) -> zipfile.ZipFile:
    if data[:4] == b"\xd0\xcf\x11\xe0":
        raise not_a_workbook("这是旧版 .xls 文件，或设置了打开密码的工作簿")
    if data[:256].lstrip()[:1] == b"<":
        raise not_a_workbook("这是网页（HTML/XML）内容，只是扩展名像工作簿")
    with _damage_refused("文件内容不是 .xlsx 工作簿，或已损坏"):
        archive = zipfile.ZipFile(io.BytesIO(data))
        unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > MAX_UNPACKED:
        raise not_a_workbook(f"解压后有 {unpacked // 1048576} MB，超过上限")
    return archive


def _read_part(archive: zipfile.ZipFile, part: str) -> bytes:
    with _damage_refused("工作簿已损坏"):
        xml = archive.read(part)
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise not_a_workbook("工作簿内含不允许的 XML 定义")
    return xml


def _sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return sheet name -> member of the archive, in file order."""
    try:
        book = ElementTree.fromstring(_read_part(archive, "xl/workbook.xml"))
        links = ElementTree.fromstring(_read_part(archive, "xl/_rels/workbook.xml.rels"))
    except ElementTree.ParseError as error:
        raise not_a_workbook() from error
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    parts = {}
    for node in book.iter():
        if node.tag.endswith("}sheet") and node.get(_RELATION) in targets:
            target = targets[node.get(_RELATION)]
            path = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
            if path in archive.NameToInfo and "worksheets" in path:
                parts[node.get("name", "")] = path
    return parts


def _scan(xml: bytes, *, sheet: str) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Return (formula cells, error cells) of one sheet's XML; refuse an absurd extent."""
    if not any(telltale in xml for telltale in _TELLTALES) and not _FAR_CELL.search(xml):
        return set(), set()
    formulas: set[tuple[int, int]] = set()
    errors: set[tuple[int, int]] = set()
    columns: set[bytes] = set()
    last_row = 0
    for attributes, is_formula in _filled_cells(xml):
        ref = _REF.search(attributes)
        if ref is None:
            continue
        columns.add(ref[1])
        row = int(ref[2])
        last_row = row if row > last_row else last_row
        if is_formula:
            formulas.add((row - 1, _column_number(ref[1])))
        if b't="e"' in attributes:
            errors.add((row - 1, _column_number(ref[1])))
    width = max((_column_number(letters) + 1 for letters in columns), default=0)
    if width * last_row > MAX_CELLS:
        raise not_a_workbook(
            f"工作表“{sheet}”的内容散布到第 {last_row} 行、第 {width} 列，范围过大"
        )
    return formulas, errors


def _filled_cells(xml: bytes) -> Iterator[tuple[bytes, bool]]:
    for match in _CELL.finditer(xml):
        if not match[2]:
            yield match[1], match[3] is not None


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def column_letters(index: int) -> str:
    """Return the spreadsheet letters of a 0-based column: 0 → A, 27 → AB."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
