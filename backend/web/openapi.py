"""Two documented APIs out of one kit: flask-smorest with our errors, our ids and our field types.

Ids travel as text and are numbers inside; they are parsed and bounded here and nowhere else.
Money travels as whole fen. Bodies are allow-lists: an unknown field is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import flask_smorest
import marshmallow as ma
from flask import Flask
from werkzeug.routing import BaseConverter, ValidationError

from backend.web.idempotent import HEADER

MAX_ID = 2**63 - 1
MAX_FEN = 10**13
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_ID_SCHEMA = {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"}
_KEY_PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"},
    "description": "One key per intent; a repetition gets the first answer.",
}


def parse_id(text: object) -> int | None:
    """Return the number of an id, None for anything that cannot be one (bigint, positive)."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        return None
    number = int(text)
    return number if number <= MAX_ID else None


class IdConverter(BaseConverter):
    """`<id:house_id>` in a rule: an int for the view; anything else is an unknown address."""

    regex = r"[^/]{1,40}"

    def to_python(self, value: str) -> int:
        number = parse_id(value)
        if number is None:
            raise ValidationError
        return number


class Id(ma.fields.Field):
    """An id: text outside, int inside."""

    default_error_messages = {"invalid": "不是有效的编号。"}

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else str(value)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        number = parse_id(value)
        if number is None:
            raise self.make_error("invalid")
        return number


class Fen(ma.fields.Integer):
    """Whole fen; `minimum` (default 1) and an upper bound are checked, floats and bools refused."""

    default_error_messages = {"invalid": "须为整数分。"}

    def __init__(self, *, minimum: int = 1, **kwargs: Any) -> None:
        limits = ma.validate.Range(minimum, MAX_FEN, error=f"须在 {minimum} 到 {MAX_FEN} 分之间。")
        super().__init__(strict=True, validate=kwargs.pop("validate", limits), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        if type(value) is not int:
            raise self.make_error("invalid")
        return value


class Text(ma.fields.String):
    """Text of at most `longest` characters, trimmed; not empty unless `empty`."""

    def __init__(self, longest: int = 200, *, empty: bool = False, **kwargs: Any) -> None:
        limits = ma.validate.Length(0 if empty else 1, longest, error=f"须为 1–{longest} 个字。")
        super().__init__(validate=kwargs.pop("validate", limits), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        return text.strip()


class Choice(ma.fields.String):
    """One word of a list."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        one_of = ma.validate.OneOf(words, error="须为以下之一：" + "、".join(words) + "。")
        super().__init__(validate=one_of, **kwargs)


class Instant(ma.fields.DateTime):
    """An instant: ISO-8601 in UTC with Z; on the way in a zone is required."""

    default_error_messages = {"invalid": "Not a valid datetime."}

    def _serialize(self, value: datetime | None, attr: Any, obj: Any, **kwargs: Any) -> str | None:
        if value is None:
            return None
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> datetime:
        instant = super()._deserialize(value, attr, data, **kwargs)
        if instant.tzinfo is None:
            raise self.make_error("invalid")
        return instant.astimezone(UTC)


class Schema(ma.Schema):
    """Base of every body: keys in the order declared, unknown keys refused."""


class Empty(Schema):
    """A body without fields."""


class ErrorSchema(Schema):
    """The one shape of every refusal."""

    code = ma.fields.String(required=True, metadata={"description": "stable, for programs"})
    message = ma.fields.String(required=True)
    message_zh = ma.fields.String(required=True)
    legal_basis = ma.fields.String()
    what_to_do = ma.fields.String()
    fields = ma.fields.Dict(keys=ma.fields.String())


# `fields` is also the name of a marshmallow attribute, so it is declared under its own key.
ErrorSchema._declared_fields["fields"] = ma.fields.Dict(keys=ma.fields.String())


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's, documenting operationId (the view's name), the policy and the key header."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(self._prepare_policy_doc)

    def _store_endpoint_docs(
        self, endpoint: str, obj: Any, parameters: Any, tags: Any, **options: Any
    ) -> None:
        super()._store_endpoint_docs(endpoint, obj, parameters, tags, **options)
        for method, info in self._docs[endpoint].items():
            if method != "parameters":
                info.setdefault("manual_doc", {}).setdefault("operationId", endpoint)
                info["policy"] = getattr(obj, "_policy", ("public",))

    @staticmethod
    def _prepare_policy_doc(doc: dict, doc_info: dict, **kwargs: Any) -> dict:
        if doc_info.get("idempotent"):
            doc.setdefault("parameters", []).append(dict(_KEY_PARAMETER))
        if doc_info.get("policy") != ("public",):
            doc["security"] = [{"bearer": []}]
        return doc


class Api(flask_smorest.Api):
    """flask-smorest's, with our error shape in the document and our handlers in the app."""

    ERROR_SCHEMA = ErrorSchema

    def _register_error_handlers(self) -> None:
        """Ours are registered by backend.web.errors."""


def make_api(app: Flask, *, prefix: str, title: str, url: str) -> Api:
    """Return an API documented at `<url>/openapi.json` (OpenAPI 3.1.0).

    prefix: its configuration prefix ("OWNER", "ADMIN"). Register blueprints of this module on it.
    """
    app.config.update(
        {
            f"{prefix}_API_TITLE": title,
            f"{prefix}_API_VERSION": "v1",
            f"{prefix}_OPENAPI_VERSION": "3.1.0",
            f"{prefix}_OPENAPI_URL_PREFIX": url,
        }
    )
    app.url_map.converters["id"] = IdConverter
    api = Api(app, config_prefix=prefix)
    api.register_converter(IdConverter, lambda _: dict(_ID_SCHEMA))
    api.register_field(Id, "string", None)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    name = f"{prefix.lower()}-api-docs.openapi_json"
    view = app.view_functions[name]

    def openapi_json() -> Any:
        return view()

    openapi_json._policy = ("public",)  # type: ignore[attr-defined]
    app.view_functions[name] = openapi_json
    return api
