"""Wire spellings of amounts and times, read exactly (never through a float).

Stricter than what people may type (`backend.money`): a platform writes plain digits and a point,
so a sign, a group separator or an exponent means that the text is not what it should be.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from backend.clock import SHANGHAI

_YUAN = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,5}))?")


def millifen_of_yuan(text: str) -> int:
    """Return a yuan text of at most five decimals in thousandths of a fen; "" is 0."""
    if not text:
        return 0
    match = _YUAN.fullmatch(text)
    if not match:
        raise ValueError("not an amount in yuan")
    sign, whole, part = match.groups()
    value = int(whole) * 100_000 + int((part or "").ljust(5, "0"))
    return -value if sign else value


def fen_of_yuan(text: str) -> int:
    """Return a yuan text ("12.30", "-0.1") in fen. Raises ValueError on a fraction of a fen."""
    if not text:
        raise ValueError("an amount is missing")
    fen, rest = divmod(millifen_of_yuan(text), 1000)
    if rest:
        raise ValueError("an amount has a fraction of a fen")
    return fen


def shanghai_time(text: str | None) -> datetime | None:
    """Read "2026-11-21 10:00:00[.123]" as Shanghai time (Alipay, statements); "" is None."""
    if not text:
        return None
    return datetime.fromisoformat(text.strip()).replace(tzinfo=SHANGHAI).astimezone(UTC)


def rfc3339_time(text: str | None) -> datetime | None:
    """Read an RFC 3339 instant with offset (WeChat Pay v3); "" is None. Raises ValueError."""
    if not text:
        return None
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without offset")
    return instant.astimezone(UTC)


def shanghai_text(instant: datetime) -> str:
    """Write "2026-11-21 10:00:00" in Shanghai time (Alipay), whole seconds rounded down."""
    return instant.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def rfc3339_text(instant: datetime) -> str:
    """Write "2026-11-21T10:00:00+08:00" (WeChat Pay v3), whole seconds rounded down."""
    return instant.astimezone(SHANGHAI).isoformat(timespec="seconds")
