"""A CSV file as one grid: which encoding, which separator, and whether it was cut off.

Excel in China writes GBK, everything else writes UTF-8; the bytes decide, not the file name.
A text that fits neither is refused with the line and column of the first unreadable byte.
"""

from __future__ import annotations

import codecs
import csv
import io

from backend.errors import Refusal
from backend.estate.roster_sheets import Grid, not_a_workbook

SHEET_NAME = "CSV"


def read_csv(data: bytes) -> Grid:
    """Return the records of a CSV as a grid; the row number is the record's, from 1.

    Raises Refusal: unreadable encoding, binary content, an unclosed quotation mark.
    """
    text = _decode(data)
    lines = text.lstrip("\ufeff")
    delimiter = max(",\t;", key=lines.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[object]] = []
    try:
        rows.extend(list(record) for record in reader)
    except csv.Error as error:
        raise _refusal(
            f"第 {len(rows) + 1} 行（文件第 {reader.line_num} 行）的引号没有配对，或文件被截断",
            row=len(rows) + 1,
        ) from error
    return Grid(SHEET_NAME, rows, csv=True, cut_at_end=not text.endswith(("\n", "\r")))


def looks_like_text(data: bytes) -> bool:
    """Tell whether the bytes may be a text table (no NUL bytes unless UTF-16 with a mark)."""
    return data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" not in data[:65536]


def _decode(data: bytes) -> str:
    if not looks_like_text(data):
        raise not_a_workbook("文件含有二进制内容，不是 CSV 文本")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif data.startswith(codecs.BOM_UTF8):
        encodings = ["utf-8-sig"]
    else:
        encodings = ["utf-8", "gb18030"]
    errors = []
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            if "unexpected end" in error.reason and encoding != "gb18030":
                # Half a character at the very end: a cut UTF-8 file, which GBK would misread.
                raise _encoding_refusal(data, error, detail=",文件可能被截断") from error
            errors.append(error)
    # The encoding that got further is the one the file was meant to be in.
    raise _encoding_refusal(data, max(errors, key=lambda error: error.start))


def _encoding_refusal(data: bytes, error: UnicodeDecodeError, *, detail: str = "") -> Refusal:
    before = data[: error.start]
    row = before.count(b"\n") + 1
    column = before.rsplit(b"\n", 1)[-1].count(b",") + 1
    name = {"gb18030": "GBK"}.get(error.encoding, error.encoding.upper())
    return _refusal(
        f"文字编码无法识别：按 {name} 读到第 {row} 行第 {column} 列时遇到无效字节{detail}",
        row=row,
        column=column,
    )


def _refusal(detail: str, *, row: int, column: int | None = None) -> Refusal:
    fields: dict[str, object] = {"sheet": SHEET_NAME, "row": row}
    if column is not None:
        fields["column"] = column
    return Refusal(
        "roster_csv_unreadable",
        message=f"the CSV cannot be read at row {row}",
        message_zh=f"无法导入：{detail}。",
        http=422,
        what_to_do="请用 Excel 打开后另存为“CSV UTF-8(逗号分隔)”或 .xlsx 再上传。",
        fields=fields,
    )
