"""What the launcher tells people: one line of progress, or one line of what to do and the end."""

from __future__ import annotations

import sys


class Stop(Exception):
    """The launcher cannot go on; the text is one line saying why and what to do."""


def say(text: str) -> None:
    """Print one line at once, so that it stands before the logs of the processes."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Print one line to the error stream."""
    print(text, file=sys.stderr, flush=True)
