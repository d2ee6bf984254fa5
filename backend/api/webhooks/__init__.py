"""Where platforms call back, under /notify. Signatures and secrets admit, not log-ins.

The raw bytes are taken before anything looks at the form; the answer is the platform's own.
"""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    """Register every callback address."""
    from backend.api.webhooks import alipay, sms, wechat, wechatpay

    for part in (wechatpay, alipay, wechat, sms):
        app.register_blueprint(part.blp)
