"""Opening accounts and paying at the sandbox platforms, over HTTP as an operator would."""

from __future__ import annotations

from typing import Any

import requests
from flask import current_app

from backend.errors import Refusal
from backend.reminders import templates

TIMEOUT = 30


class Console:
    """The sandbox's console. Raises Refusal `sandbox_away` when nobody answers there."""

    def __init__(self) -> None:
        self.base = current_app.config["SETTINGS"].wechatpay_api_base
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy of the machine must not see loopback calls

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """POST a JSON object to /_sandbox/<path>; return the answer."""
        try:
            answer = self._http.post(f"{self.base}/_sandbox/{path}", json=body, timeout=TIMEOUT)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise Refusal(
                "sandbox_away",
                message=f"{self.base}: {error}",
                message_zh="沙箱平台没有应答，无法载入示范数据。",
                http=503,
                what_to_do="请先启动沙箱：python -m sandbox --port 8090 --state var/sandbox。",
            ) from error
        return answer.json()


def open_accounts(console: Console, *, company: str, hotline: str) -> dict[str, dict[str, Any]]:
    """Open apps, merchants and SMS; return the files for the set-up use cases by kind."""
    public = current_app.config["SETTINGS"].public_base_url
    texts = {
        event: templates.vendor_text(event, f"{public}/pay/", hotline)
        for event in templates.events()
    }
    prefix = company.lower()
    receipts = f"{public}/notify/sms/aliyun/"
    apps = {
        kind: console.post(
            "apps", kind=kind, name=f"{prefix}-{short}",
            push_url=f"{public}/notify/wechat/{prefix}-{short}",
        )
        for kind, short in (("miniprogram", "mini"), ("official_account", "oa"))
    }  # fmt: skip
    sms = console.post("sms", name=f"{prefix}-sms", templates=texts)
    console.post("sms", name=f"{prefix}-sms", report_url=receipts + sms["receipt_secret"])
    merchants = {
        channel: console.post(
            "merchants", channel=channel, name=f"{prefix}-{channel}", title="缴清示范物业",
            app=f"{prefix}-mini",
        )
        for channel in ("wechatpay", "alipay")
    }  # fmt: skip
    return {**apps, "sms": sms, **merchants}
