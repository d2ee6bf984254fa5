"""What the quick-pay pages show, and which way of paying fits the browser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from backend import clock
from backend.billing.models import Bill
from backend.billing.queries import payable_bills
from backend.db import db
from backend.errors import NotFound
from backend.estate.models import Community, Company, House, Party
from backend.identity.models import PayCode
from backend.identity.pay_codes import ALPHABET, LENGTH
from backend.reminders.templates import addressee
from backend.reports.bills import bill_views, totals

_CODE = re.compile(rf"[{ALPHABET}]{{{LENGTH},32}}")
_MOBILE = re.compile(r"Android|iPhone|iPad|HarmonyOS|Mobile", re.IGNORECASE)


@dataclass(frozen=True)
class Household:
    """Who a query code stands for; shown masked until somebody pays, and after."""

    code: PayCode
    company_id: int
    company: str
    hotline: str
    name: str
    room: str


def household_of(text: str) -> Household:
    """Return the household of a query code as typed. Raises NotFound."""
    code = re.sub(r"[\s-]", "", text).upper()
    row = db.session.get(PayCode, code) if _CODE.fullmatch(code) else None
    if row is None:
        unknown = NotFound("查询码")
        unknown.what_to_do = "请核对短信或账单上的查询码后重新输入。"
        raise unknown
    house = db.session.get_one(House, row.house_id)
    community = db.session.get_one(Community, house.community_id)
    company = db.session.get_one(Company, community.company_id)
    return Household(
        code=row,
        company_id=company.id,
        company=company.name,
        hotline=community.hotline or company.hotline,
        name=addressee(db.session.get_one(Party, row.party_id).name),
        room=room_tail(house.room or house.code),
    )


def room_tail(room: str) -> str:
    """Return the last characters of a room number: '1201' → '**01'."""
    return "**" + room[-2:] if len(room) > 2 else "*" + room[-1:]


def bills_of(household: Household) -> list[Bill]:
    """Return the bills the code's party can pay at its house, oldest due first."""
    code = household.code
    payable = payable_bills([code.house_id], clock.business_today())
    return [bill for bill in payable if bill.party_id == code.party_id]


def bill_list(household: Household) -> dict[str, Any]:
    """Return the bills and totals as the page shows them."""
    views = bill_views(bills_of(household), as_of=clock.business_today())
    return {"bills": views, "totals": totals(views)}


def chosen_bills(household: Household, ids: list[int | None]) -> list[Bill]:
    """Return the chosen ones of the open bills. Raises NotFound for any other id."""
    mine = {bill.id: bill for bill in bills_of(household)}
    if not ids or any(bill_id not in mine for bill_id in ids):
        raise NotFound("账单")
    return [bill for bill in mine.values() if bill.id in ids]


def inside_wechat(user_agent: str) -> bool:
    """Tell whether the page stands in WeChat's own browser, where Alipay cannot open."""
    return "MicroMessenger" in user_agent


def method_for(channel: str, user_agent: str) -> str | None:
    """Return how this browser can pay, None where it cannot at all.

    A phone's browser opens the cashier; a desk shows a code to scan; inside WeChat the Alipay code
    is saved and scanned from the album, and WeChat's own web payment is refused by WeChat.
    """
    if channel not in ("wechatpay", "alipay"):
        return None
    if inside_wechat(user_agent):
        return "qr" if channel == "alipay" else None
    if not _MOBILE.search(user_agent):
        return "native" if channel == "wechatpay" else "qr"
    return "h5" if channel == "wechatpay" else "wap"
