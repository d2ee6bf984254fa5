"""The typed fields of WeChat message templates: a wrong one fails the whole message (47003)."""

from __future__ import annotations

import re

CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
KEY = re.compile(r"([a-z_]+?)\d+")


def problem(key: str, value: object) -> str | None:
    """Why ``value`` is refused for the template key (``thing1``, ``amount3`` ...), or None."""
    if not isinstance(value, str) or not value.strip():
        return "is empty"
    kind = KEY.fullmatch(key)
    rule = RULES.get(kind[1]) if kind else None
    if rule is not None and not rule(value):
        return "invalid"
    return None


def _amount(value: str) -> bool:
    return bool(re.fullmatch(r"[¥￥$€£]?\d{1,10}(,\d{3})*(\.\d+)?元?", value))


DAY = r"(\d{4}年\d{1,2}月\d{1,2}日|\d{4}-\d{1,2}-\d{1,2})"
TIME = rf"{DAY}( ?\d{{1,2}}:\d{{2}}(:\d{{2}})?)?|\d{{1,2}}:\d{{2}}(:\d{{2}})?"
RULES = {
    "thing": lambda v: len(v) <= 20,
    "number": lambda v: bool(re.fullmatch(r"-?[\d.]{1,32}", v)),
    "letter": lambda v: bool(re.fullmatch(r"[A-Za-z]{1,32}", v)),
    "symbol": lambda v: len(v) <= 5 and not re.search(r"[\w]", v),
    "character_string": lambda v: len(v) <= 32 and not CHINESE.search(v),
    "time": lambda v: bool(re.fullmatch(rf"({TIME})([~～]({TIME}))?", v)),
    "date": lambda v: bool(re.fullmatch(rf"{DAY}([~～]{DAY})?", v)),
    "amount": _amount,
    "phone_number": lambda v: bool(re.fullmatch(r"[\d+\-()（） ]{1,17}", v)),
    "car_number": lambda v: len(v) <= 8,
    "name": lambda v: len(v) <= (10 if CHINESE.search(v) else 20),
    "phrase": lambda v: bool(re.fullmatch(r"[\u3400-\u9fff]{1,5}", v)),
}


def template_keys(template: dict) -> list[str]:
    """The keys a template has: a list, or the values of {our name: key}."""
    fields = template.get("fields") or []
    found = fields.values() if isinstance(fields, dict) else fields
    return [f["key"] if isinstance(f, dict) else str(f) for f in found]


def refuse(template: dict, data: object) -> str | None:
    """WeChat's errmsg for this ``data`` ({key: {"value": ...}}), or None if it is good."""
    if not isinstance(data, dict):
        return "argument invalid! data is empty"
    keys = template_keys(template)
    for key in [*keys, *(k for k in data if k not in keys)]:
        if keys and key not in keys:
            return f"argument invalid! data.{key} is not in the template"
        entry = data.get(key)
        value = entry.get("value") if isinstance(entry, dict) else entry
        why = problem(key, value)
        if why:
            return f"argument invalid! data.{key}.value {why}"
    return None


def text_of(template: dict, data: dict) -> str:
    """The message as the receiver reads it, one field per line."""
    keys = template_keys(template) or list(data)
    return "\n".join(str(data[k]["value"]) for k in keys if k in data)
