"""Alipay statements: a zip of two GBK files with GBK names, behind a URL that lives 30 seconds.

Unlike the real platform, today's statement can be had at any hour, so that tests need not wait.
"""

from __future__ import annotations

import io
import re
import zipfile
from decimal import Decimal

from . import keys
from .alipay_wire import Problem, yuan
from .state import china_time, now_ms, plain_time
from .web import Sandbox, base_url

COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,"
    "券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,"
    "分润（元）,备注"
)
SUMMARY_COLUMNS = (
    "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,"
    "商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）"
)
FEE_RATE = Decimal("0.006")


def url_query(box: Sandbox, merchant: dict, content: dict, params: dict) -> dict:
    day, kind = str(content.get("bill_date", "")), content.get("bill_type")
    today = china_time(box.book.business_ms()).strftime("%Y-%m-%d")
    if kind != "trade" or not re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", day) or day > today:
        raise Problem("isp.bill_not_exist", "账单不存在")
    if not lines_of(box, merchant, day):
        raise Problem("isp.bill_not_exist", "账单不存在")
    token = keys.token(40)
    ticket = {"kind": "bill", "merchant": merchant["name"], "day": day, "ends_at": now_ms() + 30000}
    box.book.put("tickets", token, ticket)
    return {"bill_download_url": f"{base_url()}/alipay/bill?token={token}"}


def file_of(box: Sandbox, token: str) -> bytes | None:
    """The zip behind a URL token, or None after its 30 seconds."""
    ticket = box.book.get("tickets", token)
    if not ticket or ticket["kind"] != "bill" or ticket["ends_at"] < now_ms():
        return None
    merchant = box.book.get("merchants", ticket["merchant"])
    lines = lines_of(box, merchant, ticket["day"])
    stem = f"{merchant['seller_id']}0156_{ticket['day'].replace('-', '')}_业务明细"
    return _zip({
        f"{stem}.csv": detail(merchant, ticket["day"], lines),
        f"{stem}(汇总).csv": summary(merchant, ticket["day"], lines),
    })  # fmt: skip


def _zip(files: dict[str, str]) -> bytes:
    """A zip whose names are raw GBK bytes without the UTF-8 flag, as Alipay's are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            # zipfile writes cp437 names unflagged: the same bytes read back as GBK
            info = _GbkInfo(name)
            archive.writestr(info, text.encode("gbk", "replace"))
    return out.getvalue()


class _GbkInfo(zipfile.ZipInfo):
    def __init__(self, name: str):
        super().__init__(name)
        self.compress_type = zipfile.ZIP_DEFLATED

    def _encodeFilenameFlags(self):
        return self.filename.encode("gbk"), self.flag_bits


def lines_of(box: Sandbox, merchant: dict, day: str) -> list[dict]:
    """The statement's lines: {order, refund or None, at} in order of time."""
    mine = [o for o in box.book.rows("orders") if o["merchant"] == merchant["name"]]
    lines = [
        {"order": o, "refund": None, "at": o["success_ms"]}
        for o in mine
        if o["paid_at"] and plain_time(o["success_ms"]).startswith(day)
    ]
    lines += [
        {"order": box.book.get("orders", r["order"]), "refund": r, "at": r["done_ms"]}
        for r in box.book.rows("refunds")
        if r["merchant"] == merchant["name"] and plain_time(r["done_ms"]).startswith(day)
    ]
    return sorted(lines, key=lambda line: line["at"])


def _span(day: str) -> str:
    parts = day.split("-")
    text = f"{parts[0]}年{parts[1]}月{parts[2] if len(parts) > 2 else '01'}日 00:00:00"
    return f"#起始日期：[{text}]   终止日期：[{text}]"


def detail(merchant: dict, day: str, lines: list[dict]) -> str:
    sold = [x for x in lines if not x["refund"]]
    back = [x for x in lines if x["refund"]]
    income = yuan(sum(x["order"]["amount_fen"] for x in sold))
    outgo = yuan(sum(x["refund"]["amount_fen"] for x in back))
    return "\r\n".join([
        "#支付宝业务明细查询", f"#账号：[{merchant['seller_id']}0156]", _span(day),
        "#-----------------------------------------业务明细列表----------------------------------------",
        COLUMNS, *(_row(x) for x in lines),
        "#-----------------------------------------业务明细列表结束------------------------------------",
        f"#交易合计：{len(sold)}笔，商家实收共{income}元，商家优惠共0.00元",
        f"#退款合计：{len(back)}笔，商家实收退款共-{outgo}元，商家优惠退款共0.00元",
        f"#导出时间：[{plain_time(now_ms())}]", "",
    ])  # fmt: skip


def _row(line: dict) -> str:
    order, refund = line["order"], line["refund"]
    fen = -refund["amount_fen"] if refund else order["amount_fen"]
    amount = f"{'-' if fen < 0 else ''}{yuan(abs(fen))}"
    fee = Decimal(order["amount_fen"]) * FEE_RATE / 100
    cells = [
        order["transaction_id"] + "\t", order["out_trade_no"] + "\t", "退款" if refund else "交易",
        order["description"].replace(",", "，"), plain_time(order["created_ms"]),
        plain_time(line["at"]), "", "", "", "", "159******00\t", amount, amount,
        "0.00", "0.00", "0.00", "0.00", "0.00", "", "0.00", "0.00",
        (refund["out_refund_no"] + "\t") if refund else "",
        "0.00" if refund else f"-{fee:.2f}", "0.00", "",
    ]  # fmt: skip
    return ",".join(cells)


def summary(merchant: dict, day: str, lines: list[dict]) -> str:
    sold = sum(x["order"]["amount_fen"] for x in lines if not x["refund"])
    back = sum(x["refund"]["amount_fen"] for x in lines if x["refund"])
    fee = Decimal(sold) * FEE_RATE / 100
    count = sum(1 for x in lines if not x["refund"])
    cells = ["", "", str(count), str(len(lines) - count), yuan(sold), yuan(sold), "0.00", "0.00",
             "0.00", f"-{fee:.2f}", "0.00", f"{Decimal(sold - back) / 100 - fee:.2f}"]  # fmt: skip
    return "\r\n".join([
        "#支付宝业务汇总查询", f"#账号：[{merchant['seller_id']}0156]", _span(day),
        "#-----------------------------------------业务汇总列表----------------------------------------",
        SUMMARY_COLUMNS, ",".join(cells),
        "#-----------------------------------------业务汇总列表结束------------------------------------",
        f"#导出时间：[{plain_time(now_ms())}]", "",
    ])  # fmt: skip
