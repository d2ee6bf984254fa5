"""Gapless receipt numbers, given after the business transaction by one caller (design 4.11)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from backend.db import db

DIGITS = 6
_LOCK = text("SELECT pg_try_advisory_xact_lock(727002)")
_WAITING = text("SELECT EXISTS (SELECT 1 FROM receipt WHERE number IS NULL)")
_BOOKS = text(
    """
    SELECT 'SJ' || extract(year FROM r.at AT TIME ZONE 'Asia/Shanghai') || '-' || c.code || '-'
           AS prefix, array_agg(r.id ORDER BY r.id) AS ids
    FROM (SELECT * FROM receipt WHERE number IS NULL ORDER BY id LIMIT :limit) r
    JOIN community m ON m.id = r.community_id JOIN company c ON c.id = m.company_id
    GROUP BY 1 ORDER BY 1
    """
)
# Text compares digit by digit: the last number is looked for among those of one length.
_LAST = text(
    """
    SELECT number FROM receipt
    WHERE number BETWEEN :prefix || repeat('0', :digits) AND :prefix || repeat('9', :digits)
      AND length(number) = length(:prefix) + :digits
      AND substr(number, length(:prefix) + 1) ~ '^[0-9]+$'
    ORDER BY number DESC LIMIT 1
    """
)
_GIVE = text(
    """
    UPDATE receipt r SET number = :prefix || lpad(n.k::text, greatest(:digits, length(n.k::text)),
                                                  '0')
    FROM (SELECT id, :last + row_number() OVER (ORDER BY id) AS k
          FROM unnest(CAST(:ids AS bigint[])) AS u(id)) n
    WHERE r.id = n.id
    """
)


def number_receipts(*, limit: int = 1000) -> int:
    """Number receipts that have none, 'SJ<year>-<company code>-000001'; return how many.

    Without gaps per company and per year of the receipt's Shanghai date. One caller at a time: a
    second one gives none.
    """
    if not db.session.scalar(_WAITING) or not db.session.scalar(_LOCK):
        return 0
    books = db.session.execute(_BOOKS, {"limit": limit}).all()
    return sum(_number(book) for book in books)


def _number(book: Any) -> int:
    values = {"prefix": book.prefix, "ids": book.ids, "last": _last(book.prefix), "digits": DIGITS}
    return db.session.execute(_GIVE, values).rowcount


def _last(prefix: str) -> int:
    digits = DIGITS
    while True:
        number = db.session.scalar(_LAST, {"prefix": prefix, "digits": digits})
        if number is None:
            return 10 ** (digits - 1) - 1 if digits > DIGITS else 0
        last = int(number[len(prefix) :])
        if last < 10**digits - 1:
            return last
        digits += 1
