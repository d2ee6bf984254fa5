"""The road of a platform's callback: whose is it, and into the inbox in one statement.

At the year's end hundreds arrive every second, and round trips are what they cost. So a process
remembers which provider a callback path means, with the mark of the configuration it was built
from, and the statement that stores a notice takes effect only while that mark is still the
merchant's. A rotated key is therefore in force at once: the caller looks again and verifies again.
The statement can also be told to store nothing that contradicts its order, so that the usual
notice needs no transaction around it: what has to be judged at once is stored the long way.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from backend.payments import gateways
from backend.payments.providers.base import Notice, Provider

MARK_BYTES = 24
"""The nonce and the first sealed bytes of a configuration: new with every encryption."""


@dataclass(frozen=True)
class Addressee:
    """The merchant a callback path names, as known to this process."""

    name: str
    merchant_id: int
    mark: bytes
    provider: Provider


@dataclass(frozen=True)
class Stored:
    """What the inbox said: the new row, and the order it is about.

    inbox_id None: the event was there before, or only what fits was wanted and it does not fit.
    """

    inbox_id: int | None
    order_amount_fen: int | None
    order_merchant_id: int | None


_known: dict[tuple[str, str], Addressee] = {}
_lock = threading.Lock()

_STORE = """
    WITH addressee AS (
        SELECT id FROM merchant WHERE id = %(merchant)s AND name = %(name)s
           AND substring(config_enc FROM 1 FOR %(mark_bytes)s) = %(mark)s),
    asked AS (
        SELECT amount_fen, merchant_id FROM payment_order WHERE out_trade_no = %(number)s),
    kept AS (
        INSERT INTO inbox (channel, merchant_id, event_key, kind, out_trade_no, raw, headers,
                           parsed, received_at)
        SELECT %(channel)s, a.id, %(event_key)s, %(kind)s, %(number)s, %(raw)s,
               CAST(%(headers)s AS jsonb), CAST(%(parsed)s AS jsonb), %(at)s
        FROM addressee a
        WHERE NOT (%(only_fitting)s AND EXISTS (
            SELECT 1 FROM asked WHERE asked.merchant_id <> a.id
               OR asked.amount_fen IS DISTINCT FROM CAST(%(amount)s AS bigint)))
        ON CONFLICT DO NOTHING RETURNING id)
    SELECT kept.id, asked.amount_fen, asked.merchant_id
    FROM addressee a LEFT JOIN kept ON true LEFT JOIN asked ON true
"""


def remembered(name: str, channel: str) -> Addressee | None:
    """Return the addressee as this process last saw it, without asking the database."""
    return _known.get((channel, name))


def look_up(name: str, channel: str) -> Addressee | None:
    """Return the addressee from the database and remember it; None if there is none."""
    merchant = gateways.merchant_named(name, channel)
    with _lock:
        if merchant is None:
            _known.pop((channel, name), None)
            return None
        found = _known[(channel, name)] = Addressee(
            name=name,
            merchant_id=merchant.id,
            mark=bytes(merchant.config_enc[:MARK_BYTES]),
            provider=gateways.provider_of(merchant),
        )
    return found


def store(
    connection: psycopg.Connection,
    *,
    addressee: Addressee,
    notice: Notice,
    headers: Mapping[str, str],
    parsed: Mapping[str, Any],
    raw: bytes,
    at: datetime,
    only_fitting: bool,
) -> Stored | None:
    """Append a verified notice to the inbox over a given driver connection; the caller commits.

    only_fitting: store nothing if the order's merchant or amount is not the notice's. None, and
    nothing stored: the merchant's configuration is no longer the one it was verified with.
    """
    values = {
        "merchant": addressee.merchant_id,
        "name": addressee.name,
        "mark": addressee.mark,
        "mark_bytes": MARK_BYTES,
        "channel": addressee.provider.channel,
        "event_key": notice.event_key,
        "kind": notice.kind,
        "number": notice.out_trade_no or "",
        "amount": notice.amount_fen,
        "only_fitting": only_fitting,
        "raw": raw,
        "headers": json.dumps(headers),
        "parsed": json.dumps(parsed),
        "at": at,
    }
    row = connection.execute(_STORE, values, binary=True).fetchone()
    return Stored(*row) if row else None
