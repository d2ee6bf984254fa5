"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T],
    timeout: float = 5.0,
    *,
    what: str = "",
    every: float = 0.02,
) -> T:
    """Call `condition` until it returns something true, and return that.

    An AssertionError or a KeyError/IndexError/LookupError inside counts as "not yet".
    Raises AssertionError after `timeout` seconds, naming `what` and the last result or error.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            result = condition()
            if result:
                return result
            last = result
        except (AssertionError, LookupError) as error:
            last = error
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"waited {timeout} s for {name}; last: {last!r}")
        time.sleep(every)
