"""Finding a browser that is installed on the machine; nothing is downloaded."""

from __future__ import annotations

import os
import shutil

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """Return the path of an installed Chromium or Chrome.

    Without one the test is skipped; under JIAOQING_CI it fails, so that nothing passes unseen.
    """
    for name in _NAMES:
        path = shutil.which(name)
        if path:
            return path
    missing("no Chromium or Chrome found (as root: apt-get install chromium)")
    raise AssertionError("unreachable")


def missing(reason: str) -> None:
    """Skip for a tool the machine lacks; fail instead when JIAOQING_CI is set."""
    if os.environ.get("JIAOQING_CI"):
        pytest.fail(f"JIAOQING_CI: {reason}")
    pytest.skip(reason)
