"""A worker process: RQ's in-process worker on exactly one queue (facts RQ: two queues lose jobs).

It survives Redis going away: RQ's loop ends, we wait and begin again.
"""

from __future__ import annotations

import time

from redis.exceptions import RedisError
from rq import SimpleWorker

from backend.jobs import queues
from backend.telemetry import log


def run_worker(name: str, redis_url: str) -> None:
    """Work one queue until SIGTERM."""
    while True:
        connection = queues.connect(redis_url)
        try:
            queue = queues.queue_named(name, connection)
            worker = SimpleWorker(
                [queue],
                connection=connection,
                serializer=queue.serializer,
                job_monitoring_interval=5,
            )
            worker.work(with_scheduler=False, logging_level="WARNING")
            return  # asked to stop
        except (RedisError, OSError) as error:
            log.warning("worker_redis_away", queue=name, error=type(error).__name__)
            time.sleep(1)
