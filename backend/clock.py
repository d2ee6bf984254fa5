"""Two clocks, and nothing else in the product reads one (design 4.14).

* `business_now` decides dates, due times and quiet hours. Outside production it is the real
  time plus one offset kept in a single database row, so that a month can pass in a minute.
* `wire_now` is the real time: signatures, tokens, leases, the instants a platform measures.

The offset comes from a source registered by the composition root, because this module stands
on the lowest floor and must not import the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
_CACHE_SECONDS = 0.5

_source: Callable[[], timedelta] | None = None
_cached: tuple[float, timedelta] | None = None


def set_offset_source(source: Callable[[], timedelta] | None) -> None:
    """Register where the business offset is read from; None means no offset (production)."""
    global _source
    _source = source
    forget_offset()


def forget_offset() -> None:
    """Drop the cached offset so that the next reading asks the source again."""
    global _cached
    _cached = None


def _offset() -> timedelta:
    global _cached
    if _source is None:
        return timedelta(0)
    now = time.monotonic()
    if _cached is None or now - _cached[0] > _CACHE_SECONDS:
        _cached = (now, _source())
    return _cached[1]


def wire_now() -> datetime:
    """Return the real instant, UTC aware."""
    return datetime.now(UTC)


def business_now() -> datetime:
    """Return the business instant, UTC aware (real time plus the development offset)."""
    return wire_now() + _offset()


def business_today() -> date:
    """Return today's business date in Asia/Shanghai."""
    return date_of(business_now())


def date_of(instant: datetime) -> date:
    """Return the Asia/Shanghai calendar date of an aware instant (A32: 16:00Z is the next day)."""
    if instant.tzinfo is None:
        raise ValueError("naive datetime: every instant is UTC aware")
    return instant.astimezone(SHANGHAI).date()


def to_business(instant: datetime) -> datetime:
    """Carry a platform's real instant over to the business clock (identity in production)."""
    return instant + _offset()


def monotonic() -> float:
    """Return seconds that never go back, for ages and leases held in memory."""
    return time.monotonic()
