"""The database handle, the transaction rule and the column idioms every room uses.

Only `backend.usecases` opens `transaction()`; operations write and queries read inside the
session they are given. PostgreSQL does the guarding: constraints and triggers stand in
`migrations/`, and what they refuse surfaces here as an IntegrityError, never as a wrong row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import psycopg
import psycopg.errors as pg
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Date, DateTime, Identity, LargeBinary, MetaData, Numeric, Text
from sqlalchemy.dialects.postgresql import DATERANGE, JSONB, Range
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry

from backend import clock

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

Code = Annotated[str, mapped_column(Text(collation="C"))]
"""A code compares as bytes, whatever the server's locale (A19)."""

Pk = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
DateRange = Annotated[Range[date], mapped_column(DATERANGE)]


class Base(DeclarativeBase):
    """Declarative base: every int is a bigint, every instant carries a zone."""

    registry = registry(
        metadata=MetaData(naming_convention=NAMING),
        type_annotation_map={
            int: BigInteger,
            str: Text,
            bytes: LargeBinary,
            datetime: DateTime(timezone=True),
            date: Date,
            Decimal: Numeric,
            dict: JSONB,
            dict[str, Any]: JSONB,
            list[str]: JSONB,
        },
    )


db = SQLAlchemy(model_class=Base)


class BusinessClock(db.Model):
    """One row: how far the business clock runs ahead of real time (development only)."""

    __tablename__ = "business_clock"
    __table_args__ = {"comment": "reference"}
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    offset_seconds: Mapped[int] = mapped_column(default=0)


class _Unit:
    """A bigger transaction that the `transaction()` blocks inside it belong to."""

    failed = False


_unit: ContextVar[_Unit | None] = ContextVar("unit", default=None)


@contextmanager
def transaction() -> Iterator[Any]:
    """Commit on leaving, roll back on any exception. For `backend.usecases` only.

    Inside `one_transaction()` it only flushes: the outer block commits, or nothing is.
    Not `session.begin()`: that raises after any earlier read of the same request.
    """
    unit = _unit.get()
    try:
        yield db.session
        if unit is None:
            db.session.commit()
        else:
            db.session.flush()
    except BaseException:
        if unit is None:
            db.session.rollback()
        else:
            unit.failed = True
        raise


@contextmanager
def one_transaction() -> Iterator[Any]:
    """Make all `transaction()` blocks inside one: they commit together on leaving, or not at all.

    For `backend.web`, which stores the first answer to an idempotency key in the transaction that
    did the work (design 4.6). Never around a call to a platform. A block that failed condemns the
    whole, even if its exception was swallowed.
    """
    unit = _Unit()
    token = _unit.set(unit)
    try:
        yield db.session
        if unit.failed:
            raise RuntimeError("a part of this transaction failed; nothing is committed")
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        _unit.reset(token)


@contextmanager
def committing_each_statement() -> Iterator[psycopg.Connection]:
    """Yield a driver connection of the pool on which every statement commits by itself.

    For the callbacks, where the session's and the engine's layers cost more than the work. A
    connection that is not idle afterwards is thrown away.
    """
    pooled = db.engine.raw_connection()
    driver = pooled.driver_connection
    try:
        driver.autocommit = True
        yield driver
    finally:
        if driver.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            driver.autocommit = False
            pooled.close()
        else:
            pooled.invalidate()


T = TypeVar("T")
_RETRYABLE = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)


def retrying(unit: Callable[[], T], *, tries: int = 3) -> T:
    """Run a whole unit of work again after a deadlock or lock timeout; then let it surface.

    Inside `one_transaction()` it runs once: only the whole may be repeated.
    """
    if _unit.get() is not None:
        return unit()
    for attempt in range(1, tries + 1):
        try:
            return unit()
        except DBAPIError as error:
            db.session.rollback()
            if attempt == tries or not isinstance(error.orig, _RETRYABLE):
                raise
    raise AssertionError("unreachable")


def engine_options(*, pool_size: int = 5) -> dict[str, Any]:
    """Return the engine options of one process; the table of pools is in docs/operations.md."""
    return {
        "pool_size": pool_size,
        "max_overflow": 2,
        "pool_events": [(_note_use, "checkin"), (_ask_if_alive, "checkout")],
        "pool_timeout": 10,
        "hide_parameters": True,  # an error text must not carry a name or a phone into a log
        "connect_args": {
            "options": "-c timezone=UTC -c lock_timeout=4000 -c statement_timeout=60000",
            "connect_timeout": 5,
        },
    }


_TRUSTED_SECONDS = 1.0


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used_at"] = clock.monotonic()


def _ask_if_alive(connection: psycopg.Connection, record: Any, _pooled: Any) -> None:
    """Ping a pooled connection that has rested; a dead one is replaced, and all like it.

    SQLAlchemy's own pre-ping asks at every checkout, a round trip for each transaction. One that
    was in use a moment ago need not be asked: should the server have gone since, the statement
    fails as it would between a ping and a statement, and the caller comes again.
    """
    used_at = record.info.get("used_at")
    if used_at is None or clock.monotonic() - used_at < _TRUSTED_SECONDS:
        return
    try:
        db.engine.dialect.do_ping(connection)
    except psycopg.OperationalError as gone:
        raise InvalidatePoolError("the server has closed this connection") from gone
