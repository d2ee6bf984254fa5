"""What gunicorn reads beside the options of the Procfile."""

import os

from prometheus_client import multiprocess


def child_exit(_server, worker) -> None:
    """Take a dead worker out of the gauges; what it counted stays counted."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)
