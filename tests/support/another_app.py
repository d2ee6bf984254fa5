"""A second application in the same process, without disturbing the first.

The source of the business clock and the rate limiter's storage belong to the process: the last
application built wins. Here they are put back on leaving.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Flask

from backend import clock
from backend.app import create_app
from backend.config import load
from backend.web import limiter
from tests.support.product import environ


@contextmanager
def another_app(values: Mapping[str, str]) -> Iterator[Flask]:
    """Yield an application built under these environment variables."""
    source, limits = clock._source, dict(limiter.__dict__)
    try:
        with environ(dict(values)):
            yield create_app(load())
    finally:
        clock.set_offset_source(source)
        limiter.__dict__.clear()
        limiter.__dict__.update(limits)
