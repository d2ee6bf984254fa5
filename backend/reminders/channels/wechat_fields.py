"""What WeChat accepts in a template field, checked before sending.

One empty or over-long field makes the platform refuse the whole message with 47003, so a 47003
from the platform means a fault in this file. Free text is shortened; anything whose meaning would
change by shortening (amounts, dates, numbers) is refused here instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from backend.reminders.channels.wechat_app import type_of

_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_DATE = r"\d{4}年\d{1,2}月\d{1,2}日"


class BadField(ValueError):
    """A text the platform would refuse; the message names the field, never the text."""


def fit_all(data: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the platform's `data` object: {"thing1": {"value": …}, …}.

    data: our name → text. fields: our name → platform name. Raises BadField for a missing or
    unfit text.
    """
    result = {}
    for ours, keyword in fields.items():
        if ours not in data:
            raise BadField(f"{keyword}: no value for {ours}")
        result[keyword] = {"value": fit(keyword, data[ours])}
    return result


def fit(keyword: str, text: str) -> str:
    """Return `text` as field `keyword` may carry it. Raises BadField."""
    text = re.sub(r"\s+", " ", text).strip()
    if not text:
        raise BadField(f"{keyword}: empty")
    rule = _RULES.get(type_of(keyword))
    if rule is None:
        raise BadField(f"{keyword}: unknown field type")
    fitted = rule(text)
    if fitted is None:
        raise BadField(f"{keyword}: does not fit")
    return fitted


def _short(limit: int) -> Callable[[str], str | None]:
    return lambda text: text if len(text) <= limit else text[: limit - 1] + "…"


def _exactly(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: text if compiled.fullmatch(text) else None


def _name(text: str) -> str | None:
    limit = 10 if _CHINESE.search(text) else 20
    return text[:limit]


def _phrase(text: str) -> str | None:
    return text[:5] if re.fullmatch(r"[\u4e00-\u9fff]+", text) else None


_RULES: dict[str, Callable[[str], str | None]] = {
    "thing": _short(20),
    "number": _exactly(r"\d{1,32}|(?=.{3,32}$)\d+\.\d+"),
    "letter": _exactly(r"[A-Za-z]{1,32}"),
    "symbol": _exactly(r"[^\w\s]{1,5}"),
    "character_string": _exactly(r"[\x21-\x7e]{1,32}"),
    "time": _exactly(rf"({_DATE} )?\d{{1,2}}:\d{{2}}(:\d{{2}})?"),
    "date": _exactly(_DATE),
    "amount": _exactly(r"[\u00a5\uffe5$]?(?=[\d.]{1,11}元?$)\d{1,10}(\.\d{1,2})?元?"),
    "phone_number": _exactly(r"[+\d-]{1,17}"),
    "car_number": _short(8),
    "name": _name,
    "phrase": _phrase,
    "enum": _short(20),
    "const": _short(20),
}
