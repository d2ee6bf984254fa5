"""Delivery receipts of the SMS vendor; the address carries a secret, the push no signature."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from backend.db import db
from backend.reminders.channels.sms_report import parse_sms_report
from backend.reminders.models import SmsAccount
from backend.telemetry import log
from backend.usecases.record_receipts import record_receipts, sms_receipt
from backend.usecases.set_up import secret_hash
from backend.web import policy

blp = Blueprint("notify_sms", __name__)


@blp.post("/notify/sms/<string(maxlength=32):vendor>/<string(maxlength=128):secret>")
@policy("public")
def notify(vendor: str, secret: str) -> Response | tuple[Response, int]:
    """Store the receipts and say so within the vendor's 700 ms."""
    raw = request.get_data(cache=False)
    account = db.session.scalar(
        db.select(SmsAccount).where(
            SmsAccount.vendor == vendor,
            SmsAccount.receipt_secret_hash == secret_hash(secret),
        )
    )
    if account is None:
        return jsonify(code=404, msg="unknown"), 404
    company_id = account.company_id
    try:
        receipts = [sms_receipt(row) for row in parse_sms_report(raw)]
    except ValueError:
        log.warning("sms_report_unreadable", vendor=vendor)
        return jsonify(code=400, msg="格式不正确"), 400
    db.session.rollback()
    record_receipts(receipts=receipts, company_id=company_id)
    return jsonify(code=0, msg="成功")
