"""A WeChat app as the operator registered it: mini-program or service account.

The platform names template fields by type and number (`thing1`, `amount3`), and numbers them
anew in every account. Either the registration says which of our fields goes where, or it lists
the platform's names only and they are matched by type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Which of our fields a platform type can carry, in order of importance. `thing` depends on how
# many there are: with one or two, period and how to pay share one of them (`note`).
_BY_TYPE: dict[str, tuple[str, ...]] = {
    "amount": ("amount",),
    "date": ("date",),
    "time": ("time",),
    "character_string": ("house_no", "code"),
    "name": ("name",),
    "phone_number": ("phone",),
    "phrase": ("state",),
    "number": ("amount_number",),
}
_FEW_THINGS = ("house", "note")
_MANY_THINGS = ("house", "period", "how_to_pay", "company", "name")


@dataclass(frozen=True)
class WechatApp:
    """One appid with its secrets; kind `miniprogram` or `official_account`.

    templates: event → {"id", "fields"}; fields is {our name: platform name} or a list of
    platform names. token and aes_key belong to the message push; aes_key None = plain mode.
    """

    name: str
    kind: str
    appid: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    aes_key: str | None = field(default=None, repr=False)
    templates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> WechatApp:
        """Build from the dict of an app file. Raises ValueError naming the first thing wrong."""
        if config.get("kind") not in ("miniprogram", "official_account"):
            raise ValueError("kind must be miniprogram or official_account")
        for key in ("name", "appid", "secret"):
            if not config.get(key):
                raise ValueError(f"app file lacks {key}")
        aes_key = config.get("aes_key") or None
        if aes_key is not None and not re.fullmatch(r"[A-Za-z0-9]{43}", aes_key):
            raise ValueError("aes_key must be 43 letters or digits")
        return cls(
            name=config["name"],
            kind=config["kind"],
            appid=config["appid"],
            secret=config["secret"],
            token=config.get("token") or "",
            aes_key=aes_key,
            templates=config.get("templates") or {},
        )

    def fields_of(self, event: str) -> tuple[str, dict[str, str]] | None:
        """Return (template id, {our name: platform name}) for an event, or None.

        None when the event has no template, or the template has a field nothing of ours can fill:
        the platform refuses a message with an empty field.
        """
        template = self.templates.get(event)
        if not template or not template.get("id"):
            return None
        fields = template.get("fields") or {}
        mapped = dict(fields) if isinstance(fields, Mapping) else match_fields(fields)
        return (str(template["id"]), mapped) if mapped else None


def type_of(keyword: str) -> str:
    """Return the platform type of a field name: `thing12` → `thing`."""
    return keyword.rstrip("0123456789")


def match_fields(keywords: Iterable[str]) -> dict[str, str] | None:
    """Give each platform field the first free field of ours that its type can carry.

    None when one of them can carry nothing of ours.
    """
    names = list(keywords)
    things = sum(type_of(name) == "thing" for name in names)
    by_type = _BY_TYPE | {"thing": _FEW_THINGS if things <= 2 else _MANY_THINGS}
    mapped: dict[str, str] = {}
    for keyword in names:
        free = (name for name in by_type.get(type_of(keyword), ()) if name not in mapped)
        ours = next(free, None)
        if ours is None:
            return None
        mapped[ours] = keyword
    return mapped
