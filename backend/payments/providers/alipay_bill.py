"""Alipay's daily trade statement (bill_type trade): a zip of GBK csv files with GBK names.

The detail file (the other one is the summary, 汇总) has comment lines beginning with #, one
header and 25 columns; many cells end with a TAB; refunds are negative and carry the original
order number plus our refund number in 退款批次号/请求号. Columns are found by name.
"""

from __future__ import annotations

import csv
import io
import zipfile

from backend.payments.providers.base import StatementRow
from backend.payments.providers.values import fen_of_yuan, millifen_of_yuan, shanghai_time

_FREE_TEXT = "商品名称"


def parse(packed: bytes) -> list[StatementRow]:
    """Read the downloaded zip. Raises ValueError (or zipfile.BadZipFile) when it is not one."""
    with zipfile.ZipFile(io.BytesIO(packed), metadata_encoding="gbk") as archive:
        names = [name for name in archive.namelist() if "汇总" not in name]
        if len(names) != 1:
            raise ValueError("the statement has no single detail file")
        return parse_detail(archive.read(names[0]).decode("gb18030"))


def parse_detail(text: str) -> list[StatementRow]:
    """Read the detail csv's text. Raises ValueError, also when its end mark is missing."""
    lines = text.splitlines()
    if not any(line.startswith("#") and "列表结束" in line for line in lines):
        raise ValueError("the statement is cut off")
    table = csv.reader(line for line in lines if line.strip() and not line.startswith("#"))
    cells = [[cell.strip() for cell in row] for row in table]
    if not cells or "商户订单号" not in cells[0]:
        raise ValueError("the statement has no header")
    header = cells[0]
    return [_row(dict(zip(header, _fitted(header, row), strict=True))) for row in cells[1:]]


def _fitted(header: list[str], row: list[str]) -> list[str]:
    """Put a subject that holds commas together again: every other column is free of them."""
    surplus = len(row) - len(header)
    if surplus <= 0:
        return row
    at = header.index(_FREE_TEXT)
    return [*row[:at], ",".join(row[at : at + surplus + 1]), *row[at + surplus + 1 :]]


def _row(cells: dict[str, str]) -> StatementRow:
    at = shanghai_time(cells["完成时间"])
    if at is None:
        raise ValueError("a statement row without time")
    is_refund = cells["业务类型"] == "退款"
    fee = abs(millifen_of_yuan(cells.get("服务费（元）", "")))
    return StatementRow(
        kind="refund" if is_refund else "payment",
        out_trade_no=cells["商户订单号"],
        channel_txn=cells["支付宝交易号"],
        amount_fen=abs(fen_of_yuan(cells["订单金额（元）"])),
        fee_millifen=-fee if is_refund else fee,
        at=at,
        state=cells["业务类型"],
        out_refund_no=cells["退款批次号/请求号"] or None if is_refund else None,
        attach=cells.get("备注", ""),
        raw=cells,
    )
