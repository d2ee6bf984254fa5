"""A light closed-loop HTTP client: prepared bytes over a few kept connections, one thread.

It shares the machine with what it measures, so it does as little as it can: no HTTP library, no
thread per connection, one `epoll` loop that sends the next request when an answer is complete.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

PATIENCE_SECONDS = 30.0


@dataclass
class Outcome:
    """What a run saw: seconds for all, seconds per request, answers by status."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.latencies, n=100)[98] * 1000


@dataclass
class _Line:
    """One kept connection: the bytes of the answer so far and when its request left."""

    socket: socket.socket
    received: bytes = b""
    began: float = 0.0


def drive(*, port: int, requests: Sequence[bytes], connections: int = 16) -> Outcome:
    """Send every request once, as fast as answers come; raise on a broken connection or silence."""
    outcome, waiting = Outcome(), iter(requests)
    lines = [_Line(_connect(port)) for _ in range(connections)]
    began = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
        open_requests = sum(_send_next(line, waiting) for line in lines)
        while open_requests:
            ready = selector.select(PATIENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer for {PATIENCE_SECONDS} s")
            for key, _ in ready:
                if _read(key.data, outcome):
                    open_requests += _send_next(key.data, waiting) - 1
    outcome.seconds = time.perf_counter() - began
    for line in lines:
        line.socket.close()
    return outcome


def _connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _send_next(line: _Line, waiting) -> int:
    request = next(waiting, None)
    if request is None:
        return 0
    line.received, line.began = b"", time.perf_counter()
    line.socket.sendall(request)
    return 1


def _read(line: _Line, outcome: Outcome) -> bool:
    """Take what arrived; True when the answer is complete and counted."""
    data = line.socket.recv(65536)
    if not data:
        raise ConnectionError("the server closed a connection in mid-run")
    line.received += data
    head, separator, body = line.received.partition(b"\r\n\r\n")
    if not separator or len(body) < _length(head):
        return False
    outcome.latencies.append(time.perf_counter() - line.began)
    outcome.statuses[int(head.split(b" ", 2)[1])] += 1
    return True


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0
