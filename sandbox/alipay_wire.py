"""Alipay on the wire: who signed a request, signed parameters, asynchronous notifications."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

from . import keys
from .accounts import merchant_by
from .state import Book, plain_time
from .web import Sandbox

NEEDED = ("app_id", "method", "charset", "sign_type", "sign", "timestamp", "version")


class Problem(Exception):
    """A business refusal with Alipay's sub_code; the text is its sub_msg."""

    def __init__(self, sub_code: str, text: str, code: str = "40004"):
        super().__init__(text)
        self.sub_code, self.code = sub_code, code


def fen(text: object) -> int:
    """Fen from a decimal string of yuan such as ``12.30``. Raises Problem."""
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,9}(\.\d{1,2})?", text):
        raise Problem("ACQ.INVALID_PARAMETER", f"金额格式错误：{text}")
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int((part + "00")[:2])


def yuan(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02d}"


def logon_id(person: dict) -> str:
    phone = person.get("phone", "")
    return f"{phone[:3]}******{phone[-2:]}" if phone else "159******00"


def authenticate(book: Book, params: dict) -> dict:
    """The merchant who signed these parameters. Raises Problem."""
    missing = [name for name in NEEDED if not params.get(name)]
    if missing:
        raise Problem(f"isv.missing-{missing[0]}", "缺少参数", code="40001")
    merchant = merchant_by(book, app_id=params["app_id"])
    if merchant is None:
        raise Problem("isv.invalid-app-id", "无效的AppID参数", code="40002")
    signed = {k: v for k, v in params.items() if k != "sign" and v != ""}
    message = "&".join(f"{k}={signed[k]}" for k in sorted(signed)).encode()
    good = params["sign_type"] == "RSA2" and keys.verify(
        merchant["merchant_public_pem"], message, params["sign"]
    )
    if not good:
        raise Problem("isv.invalid-signature", "验签出错，请检查签名参数", code="40002")
    return merchant


def notify(box: Sandbox, order: dict, more: dict) -> None:
    """Queue an asynchronous notification of the trade's present state."""
    merchant = box.book.get("merchants", order["merchant"])
    person = box.book.get("people", order["payer"] or order["person"]) or {}
    now, number = plain_time(box.book.business_ms()), keys.token(34).lower()
    form = {
        "notify_time": now, "notify_type": "trade_status_sync", "notify_id": number,
        "app_id": merchant["app_id"], "auth_app_id": merchant["app_id"], "charset": "utf-8",
        "version": "1.0", "sign_type": "RSA2", "trade_no": order["transaction_id"],
        "out_trade_no": order["out_trade_no"], "seller_id": merchant["seller_id"],
        "buyer_id": person.get("buyer_id", "2088000000000000"), "buyer_logon_id": logon_id(person),
        "trade_status": order["state"], "total_amount": yuan(order["amount_fen"]),
        "subject": order["description"], "gmt_create": plain_time(order["created_ms"]),
    }  # fmt: skip
    if order["paid_at"]:
        total = yuan(order["amount_fen"])
        form |= {
            "receipt_amount": total, "invoice_amount": total, "buyer_pay_amount": total,
            "point_amount": "0.00", "gmt_payment": plain_time(order["success_ms"]),
            "fund_bill_list": f'[{{"amount":"{total}","fundChannel":"ALIPAYACCOUNT"}}]',
        }  # fmt: skip
    for name, field in (("passback_params", "attach"), ("body", "body")):
        if order.get(field):
            form[name] = order[field]
    form |= more
    box.notifier.send(
        point="alipay.notify", ladder="alipay", url=order["notify_url"],
        body=json.dumps(form, ensure_ascii=False), channel="alipay", merchant=merchant["name"],
        event=order["state"], event_id=number, out_trade_no=order["out_trade_no"],
        out_refund_no=more.get("out_biz_no", ""),
    )  # fmt: skip


def signed_form(merchant: dict, form: dict, *, keep_sign_type: bool = False) -> dict:
    """The parameters plus ``sign``; notifications leave sign_type out of the signed text."""
    names = sorted(k for k in form if (keep_sign_type or k != "sign_type") and form[k] != "")
    message = "&".join(f"{k}={form[k]}" for k in names).encode()
    return form | {"sign": keys.sign(merchant["platform_private_pem"], message)}


def sign_callback(box: Sandbox, row: dict, *, kind: str) -> tuple[str, dict, str]:
    merchant = box.book.get("merchants", row["about"]["merchant"])
    form = signed_form(merchant, json.loads(row["body"]))
    if kind == "spoiled":
        form["sign"] = keys.spoil(form["sign"])
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    return row["url"], headers, urlencode(form)


def accepts(status: int, answer: bytes) -> bool:
    return status == 200 and answer == b"success"


def return_link(box: Sandbox, order: dict) -> str:
    """Where the browser goes after paying: return_url with signed parameters."""
    merchant = box.book.get("merchants", order["merchant"])
    form = {
        "charset": "utf-8", "out_trade_no": order["out_trade_no"],
        "method": "alipay.trade.wap.pay.return", "total_amount": yuan(order["amount_fen"]),
        "trade_no": order["transaction_id"], "auth_app_id": merchant["app_id"], "version": "1.0",
        "app_id": merchant["app_id"], "sign_type": "RSA2", "seller_id": merchant["seller_id"],
        "timestamp": plain_time(box.book.business_ms()),
    }  # fmt: skip
    url = order["return_url"]
    return url + ("&" if "?" in url else "?") + urlencode(signed_form(merchant, form))
