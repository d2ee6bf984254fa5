"""RQ as a doorbell: one queue per worker process, JSON wake-ups, nothing kept in Redis."""

from __future__ import annotations

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

JOB_TIMEOUT = {"money": 120, "messages": 300, "bulk": 3600}
WAKE_TTL = 30


def connect(url: str) -> Redis:
    """Return a client that gives up quickly: Redis being away may cost latency, nothing else."""
    return Redis.from_url(
        url, socket_connect_timeout=2, socket_timeout=60, health_check_interval=15
    )


def queue_named(name: str, connection: Redis) -> Queue:
    """Return the queue of one worker process."""
    return Queue(f"jiaoqing-{name}", connection=connection, serializer=JSONSerializer)


def ring(name: str, connection: Redis) -> bool:
    """Wake one worker unless a wake-up is already waiting; a lost one is rung again."""
    queue = queue_named(name, connection)
    if queue.count:
        return False
    queue.enqueue(
        "backend.jobs.tasks.wake",
        name,
        job_timeout=JOB_TIMEOUT[name],
        ttl=WAKE_TTL,
        result_ttl=0,
        failure_ttl=60,
    )
    return True
