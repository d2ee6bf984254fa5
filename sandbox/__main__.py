"""``python -m sandbox --port 8090 --state var/sandbox``."""

from __future__ import annotations

import argparse
import sys

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from .app import create_app


class Server(BaseApplication):
    """One gunicorn worker with threads: the state lives in its memory."""

    def __init__(self, options: dict, state: str):
        self.options, self.state = options, state
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self):
        try:
            return create_app(self.state)
        except SystemExit as error:
            print(error, file=sys.stderr, flush=True)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)  # any other status would be tried again for ever


def main() -> None:
    """Parse the command line and serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--state", default="var/sandbox", help="directory of keys and journal")
    args = parser.parse_args()
    options = {
        "bind": f"{args.host}:{args.port}", "workers": 1, "worker_class": "gthread",
        "threads": 64, "timeout": 0, "graceful_timeout": 1, "keepalive": 15,
        "loglevel": "warning", "backlog": 1024,
    }  # fmt: skip
    print(f"sandbox: http://{args.host}:{args.port}/phone", flush=True)
    Server(options, args.state).run()


if __name__ == "__main__":
    main()
