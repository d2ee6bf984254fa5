"""Every "no" of the product in one JSON shape (`backend.errors.Refusal.as_json`).

Refusals of the rules, validation, unknown addresses, overload and our own faults all end here. A
fault is logged with its place in the code but without values: they may be personal data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg.errors as pg
from flask import Flask, Response, g, jsonify, request
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from backend.db import db
from backend.errors import Refusal
from backend.money import AmountRefused
from backend.periods import PeriodRefused
from backend.telemetry import log, where

_BY_STATUS = {
    400: ("bad_request", "请求格式不正确。", None),
    401: ("login_required", "请先登录。", "请重新登录后再试。"),
    403: ("forbidden_role", "没有权限。", None),
    404: ("not_found", "没有找到该内容。", "请返回列表刷新后重试。"),
    405: ("method_not_allowed", "不支持该操作方式。", None),
    413: ("too_large", "提交的内容过大。", "请缩小后重试。"),
    415: ("unsupported_media_type", "不支持该内容格式。", None),
    429: ("too_many_requests", "操作太频繁。", "请稍后再试。"),
}
_BUSY = (pg.LockNotAvailable, pg.QueryCanceled, pg.DeadlockDetected, pg.SerializationFailure)
_ZH = {
    "Missing data for required field.": "必填。",
    "Field may not be null.": "不能为空。",
    "Unknown field.": "不认识的字段。",
    "Not a valid integer.": "须为整数。",
    "Not a valid string.": "须为文本。",
    "Not a valid date.": "须为日期，如 2026-01-31。",
    "Not a valid datetime.": "须为时间，如 2026-01-31T08:00:00Z。",
    "Not a valid boolean.": "须为 true 或 false。",
    "Not a valid list.": "须为列表。",
    "Invalid input type.": "格式不正确。",
    "Invalid JSON body.": "不是合法的 JSON。",
}


def init_app(app: Flask) -> None:
    """Register the handlers; after the APIs, whose own handlers they replace."""
    app.register_error_handler(Refusal, answer)
    app.register_error_handler(AmountRefused, _value_refused)
    app.register_error_handler(PeriodRefused, _value_refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DataError, lambda _: answer(bad_input()))
    app.register_error_handler(UnicodeEncodeError, lambda _: answer(bad_input()))
    app.register_error_handler(RecursionError, lambda _: answer(bad_input()))
    app.register_error_handler(PoolTimeout, lambda _: answer(busy()))
    app.register_error_handler(pg.OperationalError, lambda _: answer(busy()))
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(Exception, _fault)


def answer(refusal: Refusal) -> Response:
    """Return the refusal as a response; whatever the request had begun is rolled back."""
    db.session.rollback()
    response = jsonify(refusal.as_json())
    response.status_code = refusal.http
    if refusal.http in (429, 503):
        response.headers.setdefault("Retry-After", "3")
    return response


def bad_input() -> Refusal:
    """A value that cannot be stored at all (NUL, half a character, endless nesting)."""
    return Refusal(
        "bad_input", message="unusable value", message_zh="提交的内容含有无法处理的字符。", http=422
    )


def busy() -> Refusal:
    """A lock or connection was not to be had in time; nothing was done."""
    return Refusal(
        "busy",
        message="try again",
        message_zh="系统繁忙，本次操作没有生效。",
        http=503,
        what_to_do="请几秒后重试。",
    )


def _value_refused(error: AmountRefused | PeriodRefused) -> Response:
    return answer(Refusal(error.code, message_zh=error.message_zh, http=422))


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status == 422:
        return answer(_validation(getattr(error, "data", None) or {}))
    if status >= 500:
        return _fault(error)
    if status < 400:
        return error.get_response()
    code, message_zh, what_to_do = _BY_STATUS.get(status, ("refused", "请求被拒绝。", None))
    if getattr(error, "data", None):
        code = "bad_json"
    response = answer(
        Refusal(code, message=error.name, message_zh=message_zh, http=status, what_to_do=what_to_do)
    )
    if status == 405 and getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _validation(data: dict[str, Any]) -> Refusal:
    fields: dict[str, object] = {}
    for messages in (data.get("messages") or {}).values():
        fields.update(_flat(messages, ""))
    return Refusal(
        "validation_failed",
        message="validation failed",
        message_zh="提交的内容有误，请检查标出的项目。",
        http=422,
        fields=fields,
    )


def _flat(messages: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (field path, Chinese reason): {"a": {0: ["…"]}} → ("a.0", "…")."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            own = "" if name == "_schema" else str(name)
            yield from _flat(inner, ".".join(part for part in (path, own) if part))
    else:
        texts = messages if isinstance(messages, list) else [messages]
        yield path or "body", " ".join(_ZH.get(str(text), str(text)) for text in texts)


def _database(error: DBAPIError) -> Response:
    if isinstance(error.orig, _BUSY) or isinstance(error, OperationalError):
        log.warning("database_busy", reason=type(error.orig).__name__, endpoint=request.endpoint)
        return answer(busy())
    return _fault(error)


def _fault(error: Exception) -> Response:
    log.error("fault", error=type(error).__name__, endpoint=request.endpoint, where=where(error))
    return answer(
        Refusal(
            "internal_error",
            message=f"internal error, request {g.get('request_id', '-')}",
            message_zh="系统出错，本次操作没有生效。",
            http=500,
            what_to_do="请稍后重试；多次出现请把页面上的请求编号告诉物业服务中心。",
        )
    )
