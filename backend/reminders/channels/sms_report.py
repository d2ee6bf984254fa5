"""Reading an Aliyun SmsReport push, without the vendor's library: an answer is due in 700 ms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

_CHINA = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True)
class SmsReceipt:
    """One line of a SmsReport push. Match on out_id, or on (vendor_id, phone).

    key: the same for a repeated push of the same receipt.
    """

    key: str
    out_id: str | None
    vendor_id: str
    phone: str
    delivered: bool
    code: str
    at: datetime | None


def parse_sms_report(body: bytes) -> list[SmsReceipt]:
    """Read an Aliyun SmsReport push: a JSON array of receipts.

    Raises ValueError when it is not one; the address's secret is checked by the caller, the push
    carries no signature. Answer 200 `{"code":0,"msg":"成功"}` within 700 ms, after storing.
    """
    rows = json.loads(body)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("SmsReport must be an array of objects")
    return [_receipt(row) for row in rows]


def _receipt(row: dict[str, Any]) -> SmsReceipt:
    biz_id, phone = str(row.get("biz_id") or ""), str(row.get("phone_number") or "")
    out_id = str(row.get("out_id") or "") or None
    return SmsReceipt(
        key=f"{biz_id}:{out_id or phone}",
        out_id=out_id,
        vendor_id=biz_id,
        phone=phone,
        delivered=row.get("success") in (True, "true"),
        code=str(row.get("err_code") or ""),
        at=_instant(row.get("report_time")),
    )


def _instant(text: Any) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=_CHINA)
    except ValueError:
        return None
