"""An owner pays chosen bills: which bills he may see, as whom he pays, and his openid.

The rest is `start_payment`; the quick-pay page pays with a query code in place of a log-in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import current_app

from backend.billing.models import Bill
from backend.errors import Refusal
from backend.identity import queries
from backend.identity.models import PayCode
from backend.payments import gateways
from backend.reports.owner import require_bills
from backend.usecases.start_payment import Payer, start_payment


def pay_as_owner(
    *,
    account_id: int,
    company_id: int,
    bill_ids: Sequence[int],
    channel: str,
    method: str,
    client_ip: str | None,
    reference: str | None,
    bind: Callable[[str], None],
) -> dict[str, Any]:
    """Open (or, with `reference`, rebuild) the account's order; return {order, params}.

    Raises NotFound for a bill he may not see, Refusal `openid_missing`, and start_payment's.
    """
    chosen = require_bills(account_id=account_id, bill_ids=bill_ids)
    method = "native" if (channel, method) == ("wechatpay", "qr") else method
    openid = None
    if (channel, method) == ("wechatpay", "jsapi"):
        openid = _openid(account_id, chosen, channel)
    payer = Payer(
        key=f"account:{account_id}",
        party_id=queries.binding_of(account_id, chosen[0].house_id).party_id,
        company_id=company_id,
        openid=openid,
        client_ip=client_ip,
        return_url=_base() + "/pay/done?no={no}",
    )
    return _start(payer, chosen, channel, method, reference, bind)


def pay_by_code(
    *,
    pay_code: PayCode,
    company_id: int,
    bills: Sequence[Bill],
    channel: str,
    method: str,
    client_ip: str | None,
) -> dict[str, Any]:
    """Open an order from the quick-pay page; `bills` are of the code's house and party."""
    payer = Payer(
        key=f"code:{pay_code.code}",
        party_id=pay_code.party_id,
        company_id=company_id,
        client_ip=client_ip,
        return_url=_base() + "/pay/status/{no}?c=" + pay_code.code,
    )
    return _start(payer, bills, channel, method, None, None)


def _start(
    payer: Payer,
    chosen: Sequence[Bill],
    channel: str,
    method: str,
    reference: str | None,
    bind: Callable[[str], None] | None,
) -> dict[str, Any]:
    return start_payment(
        payer=payer,
        bill_ids=[bill.id for bill in chosen],
        channel=channel,
        method=method,
        public_base_url=_base(),
        out_trade_no=reference,
        bind=bind,
    )


def _openid(account_id: int, chosen: Sequence[Bill], channel: str) -> str:
    """Return the payer's openid in the app the payee's merchant account is tied to."""
    if len({bill.payee_id for bill in chosen}) > 1:
        raise _several_payees()
    merchant = gateways.merchant_for(payee_id=chosen[0].payee_id, channel=channel)
    appid = str(gateways.config_of(merchant).config.get("appid", ""))
    openid = queries.openid_of(account_id=account_id, appid=appid)
    if openid is None:
        raise Refusal(
            "openid_missing",
            message="not logged in through the app this merchant account is tied to",
            message_zh="当前登录方式不支持该收款账户的微信支付。",
            what_to_do="请从物业公众号菜单重新打开小程序，或改用支付宝、网页快捷缴费。",
        )
    return openid


def _several_payees() -> Refusal:
    return Refusal(
        "one_payee_per_order",
        message="bills of different payees",
        message_zh="所选账单属于不同收款单位，请分开支付。",
        what_to_do="请一次只选同一收款单位的账单。",
    )


def _base() -> str:
    return current_app.config["SETTINGS"].public_base_url
