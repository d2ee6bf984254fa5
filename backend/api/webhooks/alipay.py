"""Alipay's asynchronous notices (form encoded, signed)."""

from __future__ import annotations

from flask import Blueprint, Response

from backend.api.webhooks.platform import answer_notice
from backend.web import policy

blp = Blueprint("notify_alipay", __name__)


@blp.post("/notify/alipay/<string(maxlength=64):merchant>")
@policy("public")
def notify(merchant: str) -> Response:
    """Verify, store, commit, acknowledge."""
    return answer_notice("alipay", merchant)
