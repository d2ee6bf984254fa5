"""Free ports on the loopback address."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from launcher.say import Stop

LOOPBACK = "127.0.0.1"
HIGHEST = 65_535


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def need_ports(wanted: Mapping[str, str]) -> None:
    """Raise Stop unless {setting: port} are ports, free, and each another one."""
    for name, port in wanted.items():
        if not port.isdecimal() or not 0 < int(port) <= HIGHEST:
            raise Stop(
                f"{name}={port} 不是端口号，请改为 1 至 {HIGHEST} / is no port:"
                f" choose 1 to {HIGHEST}, e.g. `{name}=8000 make run`."
            )
        if not is_free(int(port)):
            raise Stop(
                f"端口 {port} 不可用，请停止占用它的程序或换一个 / port {port} is taken: stop what"
                f" listens there, or choose another, e.g. `{name}={_another(port)} make run`."
            )
    if len({int(port) for port in wanted.values()}) < len(wanted):
        raise Stop(
            f"{'、'.join(wanted)} 不能相同，请改其中一个 / {' and '.join(wanted)} are both {port}:"
            f" choose another, e.g. `{name}={_another(port)} make run`."
        )


def _another(port: str) -> int:
    return int(port) + 10 if int(port) + 10 <= HIGHEST else int(port) - 10


def free_port(preferred: int | None = None) -> int:
    """Return `preferred` when it is free, else a port the system picks."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def answers(host: str, port: int, timeout: float = 1.0) -> bool:
    """Tell whether something accepts connections at host:port."""
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError:
        return False
    return True
