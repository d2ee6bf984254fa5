"""SMS through Aliyun: the last channel, few and neutral.

The vendor has no idempotence: a second SendSms is a second message. So a timeout is a doubt, and
the doubt is settled by asking (`QuerySendDetails` finds our OutId) or by the receipt. The text is
fixed in the approved template; only short parameters are ours, never a link.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar
from urllib.parse import urlsplit

from alibabacloud_dysmsapi20170525 import models
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_tea_openapi.exceptions import ServerException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.exceptions import ResponseException
from darabonba.runtime import RuntimeOptions

from backend.reminders.channels.base import (
    Attempt,
    Channel,
    NotSent,
    Outcome,
    VendorRefusal,
    VendorTemplate,
    Verdict,
)
from backend.reminders.channels.sms_report import SmsReceipt, parse_sms_report

__all__ = ["SmsChannel", "SmsReceipt", "parse_sms_report"]

_PAGE = 50
_MAX_PAGES = 3
_PARAM_LIMIT = 35  # characters per variable (Aliyun template rules)

# Code of the answer → what it means. No code leads to a repetition of the same text at once.
_CODES: dict[str, Verdict] = {
    "isv.MOBILE_NUMBER_ILLEGAL": Verdict("refused", "next_channel", "手机号格式不正确。"),
    "isv.BUSINESS_LIMIT_CONTROL": Verdict("refused", "retry", "该号码达到短信频次上限。"),
    "isv.DAY_LIMIT_CONTROL": Verdict("refused", "retry", "达到短信日发送上限。"),
    "isv.MONTH_LIMIT_CONTROL": Verdict("refused", "stop", "达到短信月发送上限。"),
    "Throttling.User": Verdict("refused", "retry", "短信接口限流。"),
    "Throttling.Api": Verdict("refused", "retry", "短信接口限流。"),
    "Throttling": Verdict("refused", "retry", "短信接口限流。"),
    "isv.AMOUNT_NOT_ENOUGH": Verdict("refused", "stop", "短信账户余额不足。"),
    "isv.OUT_OF_SERVICE": Verdict("refused", "stop", "短信业务已停机。"),
    "isv.PRODUCT_UN_SUBSCRIPT": Verdict("refused", "stop", "未开通短信产品。"),
    "isv.ACCOUNT_NOT_EXISTS": Verdict("refused", "stop", "短信账户不存在。"),
    "isv.ACCOUNT_ABNORMAL": Verdict("refused", "stop", "短信账户异常。"),
    "isv.SMS_TEMPLATE_ILLEGAL": Verdict("refused", "stop", "短信模板未审核通过或不存在。"),
    "isv.SMS_SIGNATURE_ILLEGAL": Verdict("refused", "stop", "短信签名未审核通过或不存在。"),
    "isv.TEMPLATE_MISSING_PARAMETERS": Verdict("refused", "stop", "短信模板缺少变量。"),
    "isv.TEMPLATE_PARAMS_ILLEGAL": Verdict("refused", "stop", "短信变量不合要求。"),
    "isv.INVALID_PARAMETERS": Verdict("refused", "stop", "短信参数异常。"),
    "isv.INVALID_JSON_PARAM": Verdict("refused", "stop", "短信变量格式错误。"),
    "isv.PARAM_LENGTH_LIMIT": Verdict("refused", "stop", "短信变量超过长度限制。"),
    "isv.PARAM_NOT_SUPPORT_URL": Verdict("refused", "stop", "短信变量不能含链接。"),
    "isv.BLACK_KEY_CONTROL_LIMIT": Verdict("refused", "stop", "短信内容含黑名单词。"),
    "isv.DENY_IP_RANGE": Verdict("refused", "stop", "服务器 IP 不在短信白名单。"),
    "isp.RAM_PERMISSION_DENY": Verdict("refused", "stop", "短信子账号没有权限。"),
    "isp.SYSTEM_ERROR": Verdict("in_doubt", "stop", "短信系统错误，结果未知。"),
    "SignatureDoesNotMatch": Verdict("refused", "stop", "短信密钥不正确。"),
    "IncompleteSignature": Verdict("refused", "stop", "短信签名参数不完整。"),
    "InvalidAccessKeyId.NotFound": Verdict("refused", "stop", "短信 AccessKey 不存在。"),
    "InvalidAccessKeyId.Inactive": Verdict("refused", "stop", "短信 AccessKey 已停用。"),
    "InvalidTimeStamp.Expired": Verdict("refused", "stop", "服务器时间不准，请校时。"),
    "Forbidden.RAM": Verdict("refused", "stop", "短信子账号没有权限。"),
}


class SmsChannel(Channel):
    """Aliyun SendSms for one account and signature; see `Channel`."""

    name = "sms"
    codes: ClassVar[Mapping[str, Verdict]] = _CODES
    can_ask = True

    def __init__(self, *, config: Mapping[str, Any], endpoint: str) -> None:
        """config: the sms file's dict. endpoint: SMS_ENDPOINT, an http(s) URL or a bare host."""
        for key in ("access_key_id", "access_key_secret", "sign_name"):
            if not config.get(key):
                raise ValueError(f"sms file lacks {key}")
        url = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        self._sign_name = config["sign_name"]
        self._templates = config.get("templates") or {}
        self._client = Client(
            Config(
                access_key_id=config["access_key_id"],
                access_key_secret=config["access_key_secret"],
                endpoint=url.netloc,
                protocol=url.scheme,
                retry_options=None,
            )
        )

    def template_for(
        self, event: str, *, page: str | None = None, url: str | None = None
    ) -> VendorTemplate | None:
        """Return the approved template; `page` and `url` do not apply: the link is in its text."""
        template = self._templates.get(event)
        if isinstance(template, str):
            return VendorTemplate(template, {})
        if not template or not template.get("id"):
            return None
        fields = template.get("fields") or {}
        named = fields if isinstance(fields, Mapping) else {name: name for name in fields}
        return VendorTemplate(str(template["id"]), dict(named))

    def deliver(
        self,
        *,
        recipient: str,
        template: VendorTemplate,
        data: Mapping[str, str],
        out_id: str,
        attempt: Attempt,
    ) -> str | None:
        request = models.SendSmsRequest(
            phone_numbers=recipient,
            sign_name=self._sign_name,
            template_code=template.id,
            template_param=json.dumps(_params(data, template.fields), ensure_ascii=False),
            out_id=out_id,
        )
        runtime = _runtime(attempt)
        attempt.begin_write()
        body = _answer(lambda: self._client.send_sms_with_options(request, runtime).body)
        if body.code != "OK":
            raise VendorRefusal(body.code or "?")
        return body.biz_id

    def enquire(
        self, *, out_id: str, recipient: str, day: date, attempt: Attempt
    ) -> Outcome | None:
        for page in range(1, _MAX_PAGES + 1):
            request = models.QuerySendDetailsRequest(
                phone_number=recipient,
                send_date=day.strftime("%Y%m%d"),
                page_size=_PAGE,
                current_page=page,
            )
            runtime = _runtime(attempt)
            body = _answer(
                lambda q=request, r=runtime: self._client.query_send_details_with_options(q, r).body
            )
            if body.code != "OK":
                raise NotSent("ask_refused", "短信查询被拒绝。")
            rows = (
                body.sms_send_detail_dtos and body.sms_send_detail_dtos.sms_send_detail_dto
            ) or []
            for row in rows:
                if row.out_id == out_id:
                    return _status(row)
            if len(rows) < _PAGE:
                return None
        raise NotSent("ask_unfinished", "短信记录太多，未查完。")


def _status(row: Any) -> Outcome:
    """SendStatus 1 waiting for the carrier, 2 failed, 3 delivered."""
    if int(row.send_status or 1) == 3:
        return Outcome("delivered", code=row.err_code or "DELIVERED")
    if int(row.send_status or 1) == 2:
        return Outcome("refused", None, row.err_code or "?", "短信未送达。", "next_channel")
    return Outcome("accepted", code="waiting")


def _params(data: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the template's variables. Raises NotSent for a missing one or a link in one."""
    params = {}
    for ours, name in fields.items():
        text = data.get(ours, "").strip()
        if not text or "://" in text or len(text) > _PARAM_LIMIT:
            raise NotSent("bad_field", f"短信变量 {name} 缺失、过长或含链接。", next="stop")
        params[name] = text
    return params


def _runtime(attempt: Attempt) -> RuntimeOptions:
    milliseconds = int(attempt.seconds_left * 1000)
    return RuntimeOptions(autoretry=False, connect_timeout=milliseconds, read_timeout=milliseconds)


def _answer(call: Any) -> Any:
    """Run an SDK call; a coded HTTP error becomes VendorRefusal, a 5xx `http_500`."""
    try:
        return call()
    except ServerException as error:
        raise VendorRefusal(f"http_{error.status_code}") from None
    except ResponseException as error:
        raise VendorRefusal(str(error.code)) from None
