"""Aliyun SMS (Dysmsapi) and voice (Dyvmsapi): sending, asking, and delivery receipts.

Sending is not idempotent, exactly as on the real platform: the same OutId twice is two messages.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable

from flask import Blueprint, Response, g, redirect, request

from .aliyun_wire import Problem, authenticate
from .state import now_ms, plain_time
from .web import Sandbox, guard, here

bp = Blueprint("aliyun", __name__)
DAY_MS = 86_400_000
LIMIT = "触发天级流控Permits:{}"


@bp.route("/", methods=["GET", "POST"])
def gateway() -> Response:
    request.get_data()  # keep the raw body: the signature covers it, and form parsing eats it
    action = request.headers.get("x-acs-action", "")
    if not action and request.method == "GET":
        return redirect("/phone")  # a person with a browser
    point, handle = ACTIONS.get(action, ("aliyun.unknown", None))
    params = request.args.to_dict() | request.form.to_dict()
    key = " ".join(
        params.get(n, "") for n in ("PhoneNumbers", "PhoneNumber", "CalledNumber", "OutId")
    ).strip()

    def run() -> Response:
        try:
            account = authenticate()
            if handle is None:
                raise Problem(404, "InvalidAction.NotFound", "Specified api is not found.")
            return _ok(handle(account, params))
        except Problem as problem:
            return _error(problem.status, problem.code, problem.message)
        except Business as refusal:
            return _ok({"Code": refusal.code, "Message": str(refusal)})

    return guard(point, run, _refuse, key)


class Business(Exception):
    """A refusal that comes with HTTP 200, such as isv.MOBILE_NUMBER_ILLEGAL."""

    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.code = code


def _ok(body: dict) -> Response:
    request_id = str(uuid.uuid4()).upper()
    full = {"Code": "OK", "Message": "OK", "RequestId": request_id} | body
    return Response(json.dumps(full, ensure_ascii=False), mimetype="application/json")


def _error(status: int, code: str, message: str) -> Response:
    body = {"RequestId": str(uuid.uuid4()).upper(), "HostId": request.host, "Code": code,
            "Message": message, "Recommend": ""}  # fmt: skip
    return Response(json.dumps(body), status, mimetype="application/json")


def _refuse(code: str) -> Response:
    if code == "http_500":
        return _error(500, "InternalError", "The request processing has failed.")
    if code.startswith("Throttling"):
        return _error(429, code, "Request was denied due to request throttling.")
    return _ok({"Code": code, "Message": code})


# --- sending --------------------------------------------------------------------------------
def send_sms(account: dict, params: dict) -> dict:
    phones = params.get("PhoneNumbers", "").split(",")
    if len(phones) > 1000:
        raise Business("isv.MOBILE_COUNT_OVER_LIMIT", "手机号码数量超过限制")
    one = (params.get("SignName", ""), params.get("TemplateParam") or "{}")
    return _send(account, params, [(phone, *one) for phone in phones])


def send_batch(account: dict, params: dict) -> dict:
    try:
        phones = json.loads(params.get("PhoneNumberJson", ""))
        signs = json.loads(params.get("SignNameJson", ""))
        values = json.loads(params.get("TemplateParamJson") or "[]") or [{}] * len(phones)
    except ValueError:
        raise Business("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为字符串值") from None
    if not len(phones) == len(signs) == len(values):
        raise Business("isv.PARAM_LENGTH_LIMIT", "参数个数不一致")
    if len(phones) > 100:
        raise Business("isv.MOBILE_COUNT_OVER_LIMIT", "手机号码数量超过限制")
    texts = [v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
    return _send(account, params, list(zip(phones, signs, texts, strict=True)))


def _send(account: dict, params: dict, wanted: list[tuple[str, str, str]]) -> dict:
    """Check everything first, then book all messages under one BizId."""
    box, code = here(), params.get("TemplateCode", "")
    found = [(e, t) for e, t in account["templates"].items() if t["id"] == code]
    if not found:
        raise Business("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板")
    event, template = found[0]
    biz_id = f"{box.book.number(15)}^0"
    rows = [_message(account, event, template, *one, params.get("OutId", "")) for one in wanted]
    with box.book.lock:
        for row in rows:
            _check_limit(box, row)
        rows = [_book(row | {"biz_id": biz_id}) for row in rows]
    for row in rows:
        box.notifier.at(box.settings["receipt_ms"] / 1000, receipt, box, row["id"])
    return {"BizId": biz_id}


def _message(account, event, template, phone, sign, values, out_id) -> dict:
    phone = re.sub(r"^(\+86|0086|86)(?=1\d{10}$)", "", phone)
    if not re.fullmatch(r"1\d{10}", phone):
        raise Business("isv.MOBILE_NUMBER_ILLEGAL", "非法手机号")
    if sign != account["sign_name"]:
        raise Business("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名")
    text = fill(template, values)
    person = here().book.by_phone.get(phone, "")
    return {
        "channel": "sms", "account": account["name"], "to": phone, "person": person,
        "template": template["id"], "event": event, "data": json.loads(values),
        "text": f"【{sign}】{text}", "out_id": out_id, "accepted": True, "result": "OK",
    }  # fmt: skip


def fill(template: dict, values: str) -> str:
    """The template's text with its variables; refuses missing, over-long or linked ones."""
    try:
        data = json.loads(values)
    except ValueError:
        raise Business("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为字符串值") from None
    if not isinstance(data, dict) or any(isinstance(v, dict | list) for v in data.values()):
        raise Business("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为字符串值")
    missing = [name for name in template["fields"] if not str(data.get(name, ""))]
    if missing:
        raise Business("isv.TEMPLATE_MISSING_PARAMETERS", f"模板缺少变量{missing[0]}")
    for name in template["fields"]:
        if len(str(data[name])) > 35:
            raise Business("isv.PARAM_LENGTH_LIMIT", f"变量{name}超过35个字符")
        if re.search(r"https?://|www\.", str(data[name])):
            raise Business("isv.BLACK_KEY_CONTROL_LIMIT", f"变量{name}不能含有链接")
    return re.sub(r"\$\{(\w+)\}", lambda m: str(data[m[1]]), template["text"])


def _check_limit(box: Sandbox, row: dict) -> None:
    """50 notifications per number, signature and template in rolling 24 hours (setting)."""
    since, limit = now_ms() - DAY_MS, box.settings["sms_daily_limit"]
    key = (row["account"], row["to"], row["template"])
    recent = [at for at in box.book.sms_times.get(key, []) if at > since]
    if len(recent) >= limit:
        raise Business("isv.BUSINESS_LIMIT_CONTROL", LIMIT.format(limit))
    box.book.sms_times[key] = [*recent, now_ms()]


def _book(row: dict) -> dict:
    book = here().book
    number = f"m{book.seq + 1}"
    done = {
        "id": number, **row, "arrived_at": g.arrived_at, "received_at": now_ms(),
        "delivered_at": None, "delivery": "WAIT",
    }  # fmt: skip
    return book.put("messages", number, done)


# --- receipts -------------------------------------------------------------------------------
def receipt(box: Sandbox, number: str) -> None:
    """The phone (or the network) answers: book it and push SmsReport."""
    row = box.book.get("messages", number)
    if row is None:
        return
    hit = box.faults.strike("sms.outcome", {"code", "drop"}, f"{row['to']} {row['out_id']}")
    if "drop" in hit:
        return  # no report from the network: stays WAIT
    code = hit["code"]["code"] if "code" in hit else "DELIVERED"
    row |= {"delivery": code, "delivered_at": now_ms()}
    box.book.put("messages", number, row)
    account = box.book.get("sms", row["account"])
    report = [{
        "phone_number": row["to"], "send_time": plain_time(row["received_at"]),
        "report_time": plain_time(row["delivered_at"]), "success": code == "DELIVERED",
        "err_code": code, "err_msg": "用户接收成功" if code == "DELIVERED" else code,
        "sms_size": str(1 if len(row["text"]) <= 70 else -(-len(row["text"]) // 67)),
        "biz_id": row["biz_id"], "out_id": row["out_id"],
    }]  # fmt: skip
    box.notifier.send(
        point="sms.receipt", ladder="aliyun", url=account["report_url"],
        body=json.dumps(report, ensure_ascii=False), channel="sms", to=row["to"],
        out_id=row["out_id"], message=row["id"],
    )  # fmt: skip


def plain_callback(row: dict) -> tuple[str, dict, str]:
    return row["url"], {"Content-Type": "application/json;charset=UTF-8"}, row["body"]


def accepts(status: int, answer: bytes) -> bool:
    try:
        return status == 200 and json.loads(answer).get("code") == 0
    except (ValueError, AttributeError):
        return False


# --- asking ---------------------------------------------------------------------------------
def query_details(account: dict, params: dict) -> dict:
    phone, day = params.get("PhoneNumber", ""), params.get("SendDate", "")
    size, page = int(params.get("PageSize") or 10), int(params.get("CurrentPage") or 1)
    if not re.fullmatch(r"\d{8}", day) or not 1 <= size <= 50:
        raise Business("isv.INVALID_PARAMETERS", "SendDate或PageSize错误")
    rows = [
        m
        for m in here().book.rows("messages")
        if m["channel"] == "sms" and m["account"] == account["name"] and m["to"] == phone
        and plain_time(m["received_at"])[:10].replace("-", "") == day
        and params.get("BizId", m["biz_id"]) == m["biz_id"]
    ]  # fmt: skip
    shown = [_detail(m) for m in rows[::-1][(page - 1) * size : page * size]]
    return {"TotalCount": str(len(rows)), "SmsSendDetailDTOs": {"SmsSendDetailDTO": shown}}


def _detail(m: dict) -> dict:
    status = {"WAIT": 1, "DELIVERED": 3}.get(m["delivery"], 2)
    body = {
        "PhoneNum": m["to"], "SendStatus": status, "Content": m["text"], "OutId": m["out_id"],
        "TemplateCode": m["template"], "SendDate": plain_time(m["received_at"]),
        "ErrCode": "" if status == 1 else m["delivery"],
    }  # fmt: skip
    if m["delivered_at"]:
        body["ReceiveDate"] = plain_time(m["delivered_at"])
    return body


# --- voice ----------------------------------------------------------------------------------
def call_by_tts(account: dict, params: dict) -> dict:
    box, phone = here(), params.get("CalledNumber", "")
    if not re.fullmatch(r"1\d{10}", phone):
        raise Business("isv.MOBILE_NUMBER_ILLEGAL", "非法手机号")
    found = [(e, t) for e, t in account["templates"].items() if t["id"] == params.get("TtsCode")]
    if not found:
        raise Business("isv.TTS_TEMPLATE_ILLEGAL", "文本转语音模板不合法")
    event, template = found[0]
    text, call_id = fill(template, params.get("TtsParam") or "{}"), f"{box.book.number(12)}^1"
    person = box.book.by_phone.get(phone, "")
    with box.book.lock:
        row = _book({
            "channel": "voice", "account": account["name"], "to": phone, "person": person,
            "template": template["id"], "event": event,
            "data": json.loads(params.get("TtsParam") or "{}"), "text": text,
            "out_id": params.get("OutId", ""), "accepted": True, "result": "OK",
            "biz_id": call_id,
        })  # fmt: skip
    box.notifier.at(box.settings["receipt_ms"] / 1000, voice_report, box, row["id"])
    return {"CallId": call_id}


def voice_report(box: Sandbox, number: str) -> None:
    """The call ended: push VoiceReport."""
    row = box.book.get("messages", number)
    if row is None:
        return
    hit = box.faults.strike("voice.outcome", {"code"}, f"{row['to']} {row['out_id']}")
    code = hit["code"]["code"] if hit else "200000"
    row |= {"delivery": code, "delivered_at": now_ms()}
    box.book.put("messages", number, row)
    good, now = code == "200000", plain_time(now_ms())
    report = [{
        "call_id": row["biz_id"], "status_code": code, "status_msg": "用户接听" if good else code,
        "duration": "12" if good else "0", "originate_time": plain_time(row["received_at"]),
        "ring_time": now, "start_time": now if good else "", "end_time": now,
        "out_id": row["out_id"], "caller": "", "callee": row["to"], "dtmf": "",
        "hangup_direction": "1",
    }]  # fmt: skip
    account = box.book.get("sms", row["account"])
    box.notifier.send(
        point="voice.receipt", ladder="aliyun", url=account["voice_report_url"],
        body=json.dumps(report, ensure_ascii=False), channel="voice", to=row["to"],
        out_id=row["out_id"], message=row["id"],
    )  # fmt: skip


ACTIONS: dict[str, tuple[str, Callable]] = {
    "SendSms": ("sms.send", send_sms),
    "SendBatchSms": ("sms.batch", send_batch),
    "QuerySendDetails": ("sms.query", query_details),
    "SingleCallByTts": ("voice.call", call_by_tts),
}
