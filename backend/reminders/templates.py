"""From an event and its facts to the finished message of one channel.

The words live in `messages_zh.toml`; here they are filled in. A message shows a masked name and
the tail of the house (C66), the amount, the period and the day; the rest stands on the landing
page. On WeChat the facts go into typed fields, by SMS into the variables of an approved text.
Every finished text passes the wording lint, so an edit of the file cannot smuggle in a threat.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from backend.conduct.wording import require_clean
from backend.money import yuan_text

ChannelName = Literal["wechat_template", "wechat_subscribe", "sms"]
CHANNELS: tuple[ChannelName, ...] = ("wechat_template", "wechat_subscribe", "sms")

_FILE = Path(__file__).with_name("messages_zh.toml")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_NOTE_LIMIT = 20  # characters of a WeChat `thing`
_PARAM_LIMIT = 35  # characters of an SMS variable

_NO_PHONE = "物业服务中心"  # where the company registered no line

# Not our words: a street may be called 公安路 and a query code may contain QQ.
_PROPER_NAMES = ("house", "house_no", "name", "company", "phone", "code")


@dataclass(frozen=True)
class MessageFacts:
    """What a message says. Nothing here may identify more than the owner needs (C66).

    house_label: room tail for people ("幸福里3-2-1201"), never a full address. house_no: the same
    as code ("3-2-1201"). name_masked: from `addressee`. amount_fen: what is asked or was paid.
    period_text: "2026年11月". due_date: of the (oldest) bill. on_date: the day the event is about
    where that is not the due date (promise, payment, refund). pay_url: the company's fixed
    quick-pay address; query_code: the owner's short code there. phone: the company's line.
    """

    house_label: str
    house_no: str
    name_masked: str
    amount_fen: int
    period_text: str
    company: str
    phone: str
    pay_url: str
    query_code: str
    due_date: date | None = None
    on_date: date | None = None

    def __post_init__(self) -> None:
        if "*" not in self.name_masked:
            raise ValueError("name_masked must be masked, see templates.addressee")


@dataclass(frozen=True)
class MessageKind:
    """One event of the message file."""

    event: str
    title: str
    kind: str
    stage: str
    conduct_class: str
    wording_class: str
    page: str
    date: str
    state: str
    how_to_pay: str
    sms: str


@dataclass(frozen=True)
class Rendered:
    """A finished message.

    data: our field names → texts, for `Channel.send`. text: what the owner reads, for the record
    (C32). page: mini-program path; url: address for a tap outside it. version: of the texts.
    """

    event: str
    channel: str
    data: Mapping[str, str]
    text: str
    page: str
    url: str
    version: str


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def version() -> str:
    """Return the version of the texts, stored with every message."""
    return str(_file()["version"])


def events() -> tuple[str, ...]:
    """Return all message events, in the order of the file."""
    return tuple(name for name, table in _file().items() if isinstance(table, dict))


def kind_of(event: str) -> MessageKind:
    """Return the event's class, stage and texts. Raises KeyError for an unknown event."""
    return MessageKind(event=event, **_file()[event])


def render(event: str, data: MessageFacts, channel: str) -> Rendered:
    """Fill in the event's texts for `wechat_template`, `wechat_subscribe` or `sms`.

    Raises KeyError for an unknown event, ValueError when a needed date is missing or the channel
    unknown, Refusal `E-C20` when the finished text breaks the wording rules.
    """
    if channel not in CHANNELS:
        raise ValueError(f"no texts for channel {channel}")
    kind = kind_of(event)
    values = _values(kind, data)
    values["house"] = _tail(data.house_label, _PARAM_LIMIT if channel == "sms" else _NOTE_LIMIT)
    if channel == "sms":
        values = {name: _cut(value, _PARAM_LIMIT) for name, value in values.items()}
        values["amount"] = values["amount_number"]
    words = _text(kind, values | dict.fromkeys(_PROPER_NAMES, "□"), channel, "□", "□")
    require_clean(words, kind.wording_class, channel=channel)  # type: ignore[arg-type]
    text = _text(kind, values, channel, data.pay_url, data.phone or _NO_PHONE)
    return Rendered(event, channel, values, text, kind.page, data.pay_url, version())


def vendor_text(event: str, pay_url: str, phone: str) -> str:
    """Return the SMS text to have approved: constants filled in, `${variables}` left.

    pay_url: the fixed https page, the same for everybody (a variable may not hold a link).
    """
    return kind_of(event).sms.replace("{pay_url}", pay_url).replace("{phone}", phone)


def sms_variables(event: str) -> tuple[str, ...]:
    """Return the variables of the event's SMS text, in order."""
    return tuple(_VARIABLE.findall(kind_of(event).sms))


def addressee(name: str, *, title: str = "业主") -> str:
    """Return how a message addresses somebody: 张小明 → 张*业主; a company → 幸福**公司.

    title: 女士, 先生 where the roster knows it.
    """
    name = name.strip()
    if len(name) > 4:
        return f"{name[:2]}**{name[-2:]}"
    return f"{name[:1]}*{title}"


def _values(kind: MessageKind, data: MessageFacts) -> dict[str, str]:
    """Return every field a template may ask for; all non-empty."""
    day = getattr(data, kind.date)
    if day is None:
        raise ValueError(f"{kind.event} needs {kind.date}")
    amount = yuan_text(data.amount_fen)
    shown_day = f"{day.year}年{day.month}月{day.day}日"
    return {
        "house": data.house_label,
        "house_no": _ascii(data.house_no) or _ascii(data.query_code) or "-",
        "amount": f"{amount}元",
        "amount_number": amount,
        "date": shown_day,
        "time": f"{shown_day} 23:59" if kind.date == "due_date" else f"{shown_day} 09:00",
        "period": data.period_text,
        "note": _note(kind, data.period_text),
        "state": kind.state,
        "how_to_pay": kind.how_to_pay,
        "title": kind.title,
        "name": data.name_masked,
        "company": data.company,
        "phone": data.phone or "-",  # a typed field may not be empty
        "code": data.query_code,
    }


def _note(kind: MessageKind, period: str) -> str:
    """Return period and the convenient way in one short field (S24)."""
    action = {"bill_notice": "点此缴费", "reminder": "点此缴费", "promise": "点此缴费"}.get(
        kind.conduct_class, kind.state
    )
    return f"{_cut(period, _NOTE_LIMIT - len(action) - 1)}，{action}"


def _text(
    kind: MessageKind, values: Mapping[str, str], channel: str, pay_url: str, phone: str
) -> str:
    if channel == "sms":
        return _VARIABLE.sub(lambda m: values[m[1]], vendor_text(kind.event, pay_url, phone))
    rows = [("房屋", "house"), ("账期", "period"), ("金额", "amount"), ("日期", "date")]
    rows += [("说明", "how_to_pay"), ("单位", "company"), ("电话", "phone")]
    return "\n".join([kind.title, *(f"{label}：{values[name]}" for label, name in rows)])


def _ascii(text: str) -> str:
    return re.sub(r"[^\x21-\x7e]+", "-", text).strip("-")[:32]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _tail(text: str, limit: int) -> str:
    """Shorten from the left: the room number at the end is what must stay (S24)."""
    return text if len(text) <= limit else "…" + text[1 - limit :]


def sample_facts(**changes: Any) -> MessageFacts:
    """Return example facts for previews of templates on the staff page."""
    example = MessageFacts(
        house_label="幸福里3-2-1201",
        house_no="3-2-1201",
        name_masked="张*女士",
        amount_fen=21560,
        period_text="2026年11月",
        company="幸福物业服务中心",
        phone="021-55500000",
        pay_url="https://pay.example.com/pay/",
        query_code="AB12CD34",
        due_date=date(2026, 11, 15),
        on_date=date(2026, 11, 20),
    )
    return replace(example, **changes)
