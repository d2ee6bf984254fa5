"""The job bodies RQ knows. A wake-up says only which queue to look at."""

from __future__ import annotations

from backend.jobs.work import work


def wake(queue: str) -> int:
    """Work the queue until nothing is due."""
    return work(queue)
