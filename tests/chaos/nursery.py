"""Workers and relays in a tenth of a second: one warm process that forks them on demand.

`python -m tests.chaos.nursery [--lease SECONDS]` imports the product once, then forks for each
line of stdin (`relay`, `money`, `messages`, `bulk`) a child that runs what `flask relay` and
`flask worker NAME` run, and answers its process id. The fork happens before any application,
connection or thread exists. --lease shortens the lease of messages here, in this driver, so that
a test need not wait 45 s for the work of a killed worker.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys

# everything a worker will need, so that the children share it
import alibabacloud_dysmsapi20170525.client  # noqa: F401
import wechatpayv3  # noqa: F401
import wechatpy  # noqa: F401
from flask import current_app

from backend.app import create_app
from backend.jobs import relay, work, worker

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork a child per line until stdin ends; children die with this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lease", type=int, default=0)
    lease = parser.parse_args().lease
    if lease:
        work.LEASE_SECONDS = {**work.LEASE_SECONDS, "messages": lease}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    print("ready", flush=True)
    for line in sys.stdin:
        role = line.strip()
        pid = os.fork()
        if pid == 0:
            _live(role)
        print(pid, flush=True)


def _live(role: str) -> None:
    """Be the child: never return."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        app = create_app()
        with app.app_context():
            url = current_app.config["SETTINGS"].redis_url
            if role == "relay":
                relay.run_forever(url)
            else:
                worker.run_worker(role, url)
        status = 0
    except BaseException as error:  # noqa: BLE001 - said before the child ends
        print(f"nursery {role}: {error!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
