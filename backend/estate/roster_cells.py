"""Small readings of single cells: text of any stored value, header spelling, masking, lists."""

from __future__ import annotations

import re
from datetime import date, datetime

from backend.estate import rules

_BRACKETS = re.compile(r"\(.*?\)$")
_HEADER_NOISE = re.compile(r"[\s*::]")
_LIST = re.compile(r"[#、,;/|]")
_SHOWN = 40


def cell_text(value: object) -> str:
    """Return a stored value as text: 101.0 is "101", dates ISO, None ""."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def normalise_header(text: str) -> str:
    """Return a header without blanks, stars, colons and bracket: "面积(㎡)*" is "面积"."""
    bare = _HEADER_NOISE.sub("", rules.plain(text))
    return _BRACKETS.sub("", bare) or bare


def split_list(text: str) -> list[str]:
    """Split "1#2" (also 、 , ; / |) into its non-empty parts."""
    return [part.strip() for part in _LIST.split(rules.plain(text)) if part.strip()]


def split_dates(text: str) -> list[str]:
    """Split a list of dates; "/" stays, it may stand inside a date."""
    return [part.strip() for part in re.split(r"[#、,;]", rules.plain(text)) if part.strip()]


def masked(text: str, secret: str) -> str:
    """Return what an issue may show of a cell; `secret` is "phone", "name", "id" or ""."""
    if not text:
        return ""
    if secret == "phone":
        return rules.mask_phone(text)
    if secret == "name":
        return rules.mask_name(text)[:_SHOWN]
    if secret == "id":
        return rules.mask_id(text)[:_SHOWN]
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
