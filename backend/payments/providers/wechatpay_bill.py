"""WeChat Pay's daily trade statement (bill_type ALL), read by column name.

UTF-8 with BOM; every value carries a leading backtick, and free text of the merchant may hold
commas, so a row is split on ",`" and not on ",". Amounts are in yuan although the API speaks
fen. Older merchants get an older header: columns are found by name, never by position. A refund
stands on the day it was accepted, in a row of its own with an order amount of 0.00.
"""

from __future__ import annotations

from backend.payments.providers.base import StatementRow
from backend.payments.providers.values import fen_of_yuan, millifen_of_yuan, shanghai_time

_SUMMARY = "总交易单数"


def parse(content: bytes) -> list[StatementRow]:
    """Read the unzipped statement file. Raises ValueError when it is not one."""
    lines = content.decode("utf-8-sig").splitlines()
    if not lines or "商户订单号" not in lines[0]:
        raise ValueError("not a trade statement")
    header = lines[0].strip().split(",")
    rows = []
    for line in lines[1:]:
        if line.startswith(_SUMMARY):
            return rows
        if line.strip():
            rows.append(_row(dict(zip(header, split_row(line), strict=True))))
    raise ValueError("the trade statement is cut off")


def split_row(line: str) -> list[str]:
    """Split "`a,`b, with comma,`c" into its values."""
    return line.strip().removeprefix("`").split(",`")


def _row(cells: dict[str, str]) -> StatementRow:
    at = shanghai_time(cells["交易时间"])
    if at is None:
        raise ValueError("a statement row without time")
    is_refund = cells["交易状态"] != "SUCCESS"
    fee = abs(millifen_of_yuan(cells.get("手续费", "")))
    return StatementRow(
        kind="refund" if is_refund else "payment",
        out_trade_no=cells["商户订单号"],
        channel_txn=cells["微信订单号"],
        amount_fen=_refund_amount(cells) if is_refund else _order_amount(cells),
        fee_millifen=-fee if is_refund else fee,
        at=at,
        state=cells["退款状态"] if is_refund else cells["交易状态"],
        out_refund_no=cells["商户退款单号"] if is_refund else None,
        channel_refund_no=cells["微信退款单号"] if is_refund else None,
        appid=cells["公众账号ID"],
        mchid=cells["商户号"],
        attach=cells.get("商户数据包", ""),
        raw=cells,
    )


def _order_amount(cells: dict[str, str]) -> int:
    """The order's total as quoted; the settled amount is lower where a coupon was used."""
    return fen_of_yuan(cells.get("订单金额") or cells.get("应结订单金额") or cells["总金额"])


def _refund_amount(cells: dict[str, str]) -> int:
    return fen_of_yuan(cells.get("申请退款金额") or cells["退款金额"])
