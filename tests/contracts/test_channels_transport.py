"""What a broken line proves: before the request was written a refusal, after it a doubt.

The platforms here are bare sockets: the cases are about connections, not about any protocol.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager
from time import monotonic

import pytest
import structlog

from backend.reminders.channels.attempt import Attempt, NotSent
from backend.reminders.channels.base import Channel, Outcome, VendorRefusal, VendorTemplate
from backend.reminders.channels.registry import Bases, build_channels
from backend.reminders.channels.sms import SmsChannel

SMS = {"access_key_id": "id", "access_key_secret": "secret", "sign_name": "缴清物业"}
TEMPLATE = VendorTemplate("SMS_1", {"house": "house"})


@contextmanager
def line(serve: Callable[[socket.socket], None]):
    """Listen on a free port and hand every connection to `serve`; count them."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            taken.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", taken
    finally:
        listener.close()
        for connection in taken:
            connection.close()


def send(channel: Channel, *, timeout: float = 2.0) -> Outcome:
    return channel.send(
        recipient="13900006620",
        template=TEMPLATE,
        data={"house": "3-2-1201"},
        out_id="out-9",
        timeout=timeout,
    )


def test_nobody_listening_is_a_refusal_that_may_be_repeated():
    outcome = send(SmsChannel(config=SMS, endpoint="http://127.0.0.1:1"))
    assert (outcome.state, outcome.code, outcome.next) == ("refused", "connect", "retry")


def test_a_line_cut_after_the_request_is_a_doubt_and_is_not_tried_again():
    def cut(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.close()

    with line(cut) as (url, taken):
        outcome = send(SmsChannel(config=SMS, endpoint=url))
    assert (outcome.state, outcome.code, outcome.next) == ("in_doubt", "transport", "stop")
    assert len(taken) == 1


def drip(connection: socket.socket) -> None:
    """Answer one byte at a time: no single read ever times out."""
    connection.recv(65536)
    ended = threading.Event()
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b" " * 900:
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            return
        ended.wait(0.1)


@pytest.mark.parametrize("asked", [0.3, 60.0])
def test_the_deadline_is_for_the_whole_call_and_never_above_two_seconds(asked):
    with line(drip) as (url, _):
        channel = SmsChannel(config=SMS, endpoint=url)
        started = monotonic()
        outcome = send(channel, timeout=asked)
        took = monotonic() - started
    assert (outcome.state, outcome.code) == ("in_doubt", "timeout")
    assert took < min(asked, 2.0) + 0.5


def test_a_token_that_does_not_come_means_the_message_was_not_written():
    app = {"name": "a", "kind": "miniprogram", "appid": "wx1", "secret": "s"}
    with line(lambda connection: None) as (url, taken):
        bases = Bases(wechat=url, sms=url)
        [channel] = build_channels(apps=[app], sms=None, bases=bases, redis=None).values()
        outcome = channel.send(
            recipient="o", template=VendorTemplate("T", {"house": "thing1"}),
            data={"house": "3-2-1201"}, out_id="out-9", timeout=0.3,
        )  # fmt: skip
    assert (outcome.state, outcome.next) == ("refused", "retry")
    assert outcome.code in ("timeout_before_send", "token_unreachable")
    assert len(taken) == 1


class Scripted(Channel):
    """A channel whose delivery is whatever the test says."""

    name = "scripted"
    codes = {}

    def __init__(self, act: Callable[[Attempt], str | None]) -> None:
        self.act = act

    def template_for(self, event, *, page=None, url=None):
        return TEMPLATE

    def deliver(self, *, recipient, template, data, out_id, attempt):
        return self.act(attempt)


def test_a_worker_that_wakes_up_late_does_not_write_any_more():
    gate, wrote = threading.Event(), threading.Event()

    def late(attempt: Attempt) -> None:
        gate.wait(5)
        try:
            attempt.begin_write()
        except NotSent:
            wrote.clear()
            done.set()
            raise
        wrote.set()
        done.set()

    done = threading.Event()
    outcome = send(Scripted(late), timeout=0.1)
    assert (outcome.state, outcome.code, outcome.next) == (
        "refused", "timeout_before_send", "retry",
    )  # fmt: skip
    gate.set()
    assert done.wait(5) and not wrote.is_set()


def test_a_fault_of_ours_before_the_write_stops_and_after_it_is_a_doubt():
    def before(attempt: Attempt) -> None:
        raise KeyError("bug")

    def after(attempt: Attempt) -> None:
        attempt.begin_write()
        raise KeyError("bug")

    assert (send(Scripted(before)).code, send(Scripted(before)).next) == ("internal", "stop")
    assert send(Scripted(after)).state == "in_doubt"


def test_a_code_nobody_registered_goes_to_a_person():
    def refuse(attempt: Attempt) -> None:
        raise VendorRefusal("brand-new")

    outcome = send(Scripted(refuse))
    assert (outcome.state, outcome.code, outcome.next) == ("refused", "brand-new", "stop")


@pytest.mark.covers("C57")
def test_the_log_line_names_the_attempt_and_nobody():
    with structlog.testing.capture_logs() as logs:
        send(Scripted(lambda attempt: "vendor-7"))
    [entry] = [log for log in logs if log["event"] == "channel_send"]
    assert (entry["out_id"], entry["state"], entry["channel"]) == ("out-9", "accepted", "scripted")
    assert "13900006620" not in str(logs) and "3-2-1201" not in str(logs)
