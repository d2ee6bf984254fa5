"""The racing processes: `python -m tests.chaos.racers payer|sender|money …`.

payer: reads batches of orders from stdin, a JSON list `[{key, party_id, company_id, bill_ids, at}]`
per line; at its moment (`at` seconds after the line) each is opened by start_payment and confirmed
at the sandbox's cashier; answers one line a batch.
sender: works the message queue again and again, as its worker does. With `--without-lock` its
permit is the plain "check, then send": the bill is looked at, no lock is taken, no platform is
asked. This replacement lives in this driver only; the product has no such switch.
money: works the money queue.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from flask import Flask

from backend.db import db
from backend.jobs.work import work
from backend.usecases.start_payment import Payer, start_payment

IDLE_SECONDS = 0.03


def main() -> None:
    """Parse the command line, build the product and run one role until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("payer", "sender", "money"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--sandbox", default="")
    parser.add_argument("--callback", default="http://127.0.0.1:9")
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--without-lock", action="store_true")
    asked = parser.parse_args()

    from backend.app import create_app

    app = create_app()
    if asked.role == "payer":
        pay_batches(app, asked)
        return
    if asked.without_lock:
        take_the_lock_out()
    say({"ready": True})
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    queue = "messages" if asked.role == "sender" else "money"
    with app.app_context():
        while not _stopped.is_set():
            try:
                if not work(queue, threads=asked.threads):
                    time.sleep(IDLE_SECONDS)
            except Exception as error:  # noqa: BLE001 - a worker survives what its database does
                print(f"racer: {error!r}", file=sys.stderr, flush=True)
                time.sleep(0.2)


_stopped = threading.Event()


def _end_with_stdin() -> None:
    sys.stdin.read()
    _stopped.set()


def say(line: dict[str, Any]) -> None:
    """Answer the test on stdout."""
    print(json.dumps(line), flush=True)


def take_the_lock_out() -> None:
    """Make the permit "check, then send": no lock, no question to the platform."""
    from backend.conduct import operations as conduct
    from backend.usecases import send_message as sending

    sending.lock_for_sending = lambda message: None
    sending.ask_orders = lambda numbers: {}
    conduct.payment_doubt = lambda bill_ids, house_id: None
    conduct.oldest_answer = lambda bill_ids: None


# ---------------------------------------------------------------- payers
def pay_batches(app: Flask, asked: argparse.Namespace) -> None:
    """Pay one batch of orders per line of stdin, each at its moment; answer {"paid": n}."""
    link = threading.local()
    say({"ready": True})
    with ThreadPoolExecutor(asked.threads) as pool:
        for line in sys.stdin:
            began = time.monotonic()
            done = pool.map(lambda one, t=began: _pay(app, asked, link, one, t), json.loads(line))
            say({"paid": sum(done)})


def _pay(
    app: Flask, asked: argparse.Namespace, link: threading.local, one: dict, began: float
) -> bool:
    """Open the order and confirm it at the cashier; again if another checkout stood in the way."""
    time.sleep(max(0.0, began + one["at"] - time.monotonic()))
    if not hasattr(link, "session"):
        link.session = requests.Session()
        link.session.trust_env = False
    for attempt in range(asked.tries):
        time.sleep(min(1.0, 0.25 * attempt))
        try:
            with app.app_context():
                number = _open(asked, one)
            answer = link.session.post(
                asked.sandbox + "/_sandbox/pay", json={"out_trade_no": number}, timeout=30
            )
            return answer.ok
        except Exception as error:  # noqa: BLE001 - shown here, tried again
            print(f"payer: {error!r}"[:300], file=sys.stderr, flush=True)
    return False


def _open(asked: argparse.Namespace, one: dict) -> str:
    payer = Payer(
        key=f"account:{one['key']}", party_id=one["party_id"], company_id=one["company_id"]
    )
    try:
        answer = start_payment(
            payer=payer,
            bill_ids=one["bill_ids"],
            channel="wechatpay",
            method="native",
            public_base_url=asked.callback,
        )
        return answer["order"].out_trade_no
    finally:
        db.session.remove()


if __name__ == "__main__":
    main()
