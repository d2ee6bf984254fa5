"""Keyset paging: a cursor is the sort key of the last row shown, never an offset."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any

from backend.errors import Refusal

PAGE = 20


def encode(*key: Any) -> str:
    """Return the cursor of a sort key of JSON values."""
    return base64.urlsafe_b64encode(json.dumps(key, default=str).encode()).decode().rstrip("=")


def decode(cursor: str | None, *kinds: Callable[[Any], Any]) -> tuple[Any, ...] | None:
    """Return the sort key of a cursor, each part read by its kind; None without a cursor.

    Raises Refusal `bad_cursor` (422) for anything that is not one of ours.
    """
    if not cursor:
        return None
    try:
        raw = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(raw, list) or len(raw) != len(kinds):
            raise ValueError
        return tuple(kind(part) for kind, part in zip(kinds, raw, strict=True))
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise Refusal(
            "bad_cursor",
            message="unusable cursor",
            message_zh="翻页位置无效。",
            http=422,
            what_to_do="请从第一页重新读取。",
        ) from error


def big(value: Any) -> int:
    """Read a bigint of a cursor."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(value)
    return value


def page(
    rows: Sequence[Any], limit: int, key: Callable[[Any], tuple[Any, ...]]
) -> tuple[list[Any], str | None]:
    """Return (rows of this page, next cursor); ask the database for `limit` + 1 rows."""
    shown = list(rows[:limit])
    return shown, encode(*key(shown[-1])) if len(rows) > limit else None
