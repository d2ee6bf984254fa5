"""One message, one attempt, one honest answer.

A channel (WeChat template, WeChat subscribe, SMS) carries a finished message to one recipient.
What the caller needs from it is never an exception but an `Outcome`: the vendor *accepted*,
*refused*, or nobody can say (*in_doubt*), and what may happen next. The distinction that matters
is whether the request can have reached the vendor: before that point a failure is a refusal and
may be repeated, after it the message may be on its way and is never sent again blindly.

The base class owns the deadline, the log line and the wrapping of every error. A vendor adds one
verb (`deliver`), a name, and one annotated dict of its codes at the top of its file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, Literal

import structlog

from backend import clock
from backend.reminders.channels.attempt import Attempt, Next, NotSent, is_not_written, pool

State = Literal["accepted", "delivered", "refused", "in_doubt"]

MAX_SECONDS = 2.0  # the call is made while a house account is locked (design 4.7)

__all__ = [
    "Attempt", "Channel", "Next", "NotSent", "Outcome", "VendorRefusal", "VendorTemplate",
    "Verdict",
]  # fmt: skip

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What is known after an attempt or an enquiry.

    state: accepted (the vendor took it) · delivered (only from `ask` or a receipt) · refused (it
        definitely did not and will not go out) · in_doubt (it may have; do not send again).
    vendor_id: the vendor's own number (WeChat msgid, Aliyun BizId), None if it gave none.
    code: the vendor's code as text, or ours (`timeout`, `connect`, `http_500`, `bad_field`).
    reason_zh: for the staff screen; carries no personal data.
    next: what a refusal permits: `next_channel`, `retry` (same channel, later), `stop` (a fault
        of ours or of the set-up: somebody must look). For accepted and delivered always `stop`;
        for in_doubt always `stop`: ask or wait for the receipt, never resend.
    """

    state: State
    vendor_id: str | None = None
    code: str = "ok"
    reason_zh: str = ""
    next: Next = "stop"


@dataclass(frozen=True)
class Verdict:
    """One line of a vendor's code table: what the code means for this message."""

    state: State
    next: Next
    reason_zh: str


@dataclass(frozen=True)
class VendorTemplate:
    """A template as approved by the vendor, plus where a tap on the message leads.

    fields: our field name → the vendor's keyword or parameter name ({"amount": "amount2"}).
    page: mini-program path without leading slash; url: https page for those outside it.
    """

    id: str
    fields: Mapping[str, str] = field(default_factory=dict)
    page: str | None = None
    url: str | None = None


class VendorRefusal(Exception):
    """The vendor answered with a code; the channel's code table says what it means."""

    def __init__(self, code: str, *, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class Channel(ABC):
    """One way to reach a person. Build it once per process and configuration; thread-safe.

    name: the value kept in `message.channel`.
    codes: vendor code → Verdict.
    can_ask: the vendor can be asked about a message by our `out_id`.
    resend_is_safe: the vendor drops a second message with the same `out_id`.
    """

    name: ClassVar[str]
    codes: ClassVar[Mapping[str, Verdict]]
    can_ask: ClassVar[bool] = False
    resend_is_safe: ClassVar[bool] = False

    @abstractmethod
    def template_for(
        self, event: str, *, page: str | None = None, url: str | None = None
    ) -> VendorTemplate | None:
        """Return the vendor template configured for a message event; None = not available."""

    @abstractmethod
    def deliver(
        self,
        *,
        recipient: str,
        template: VendorTemplate,
        data: Mapping[str, str],
        out_id: str,
        attempt: Attempt,
    ) -> str | None:
        """Hand the message to the vendor and return the vendor's id.

        Must call `attempt.begin_write()` directly before the request that sends the message.
        Raises VendorRefusal(code) for a coded answer, NotSent before the request was written;
        any other exception is judged by `not_written`.
        """

    def enquire(
        self, *, out_id: str, recipient: str, day: date, attempt: Attempt
    ) -> Outcome | None:
        """Ask the vendor; None = no record (yet). Only for channels with `can_ask`."""
        return None

    def send(
        self,
        *,
        recipient: str,
        template: VendorTemplate,
        data: Mapping[str, str],
        out_id: str,
        timeout: float = MAX_SECONDS,
        start_within: float | None = None,
    ) -> Outcome:
        """Send one message and return what is known after at most `timeout` seconds. Never raises.

        recipient: openid or phone number (never logged). data: our field names → finished texts
        (`templates.render`). out_id: our unique id of this attempt, goes to the vendor.
        timeout: seconds for everything together, capped at 2 s (design 4.7).
        start_within: seconds after which the message may no longer be handed over, because what
        the permit rests on is too old by then (`timeout_before_send`).
        """
        attempt = Attempt(seconds=min(timeout, MAX_SECONDS), start_within=start_within)

        def work() -> Outcome:
            vendor_id = self.deliver(
                recipient=recipient, template=template, data=data, out_id=out_id, attempt=attempt
            )
            return Outcome("accepted", vendor_id=vendor_id)

        return self._timed("channel_send", out_id=out_id, attempt=attempt, work=work)

    def ask(
        self, out_id: str, recipient: str, day: date, *, timeout: float = MAX_SECONDS
    ) -> Outcome | None:
        """Ask the vendor what became of `out_id`, sent to `recipient` on `day`.

        day: the Asia/Shanghai date of the *wire* clock at the send (the vendor keeps real dates).
        Returns accepted / delivered / refused when the vendor knows; None when it has no record
        (right after a send its index may lag) or cannot be asked at all (`can_ask` is False: the
        doubt stays until a receipt or the window's end); in_doubt when asking failed, which says
        nothing about the message.
        """
        if not self.can_ask:
            return None
        attempt = Attempt(seconds=min(timeout, MAX_SECONDS))
        answers: list[Outcome | None] = []

        def work() -> Outcome | None:
            # Kept apart: a failure of the enquiry says nothing about the message.
            answer = self.enquire(out_id=out_id, recipient=recipient, day=day, attempt=attempt)
            answers.append(answer)
            return answer

        ended = self._timed("channel_ask", out_id=out_id, attempt=attempt, work=work)
        if answers:
            return answers[0]
        return Outcome("in_doubt", None, ended.code if ended else "?", "查询未成功，结果未知。")

    def _timed(
        self, event: str, *, out_id: str, attempt: Attempt, work: Callable[[], Outcome | None]
    ) -> Any:
        started = clock.monotonic()
        outcome = self._run(attempt, work)
        log.info(
            event,
            channel=self.name,
            out_id=out_id,
            state=outcome.state if outcome else "no_record",
            code=outcome.code if outcome else "",
            ms=round((clock.monotonic() - started) * 1000),
        )
        return outcome

    def _run(self, attempt: Attempt, work: Callable[[], Outcome | None]) -> Outcome | None:
        future: Future[Outcome | None] = pool().submit(work)
        try:
            return future.result(timeout=attempt.seconds_left)
        except TimeoutError as error:
            future.cancel()
            # A library's own TimeoutError ends the work; ours leaves it running on its thread.
            late = future.done() and not future.cancelled()
            return self._judge_failure(error, attempt) if late else self._gave_up(attempt)
        except Exception as error:  # nothing may escape: the caller holds a lock and a plan
            return self._judge_failure(error, attempt)

    def _gave_up(self, attempt: Attempt) -> Outcome:
        if attempt.abandon():
            return Outcome("refused", None, "timeout_before_send", "超时，消息尚未发出。", "retry")
        return _NO_ANSWER

    def _judge_failure(self, error: Exception, attempt: Attempt) -> Outcome:
        if isinstance(error, VendorRefusal):
            return self.judge(error.code, detail=error.detail)
        if isinstance(error, NotSent):
            return Outcome("refused", None, error.code, error.reason_zh, error.next)
        unwritten = attempt.abandon()
        if self.not_written(error):
            log.warning("channel_unreachable", channel=self.name, error=type(error).__name__)
            return Outcome("refused", None, "connect", "无法连接通道，消息未发出。", "retry")
        if unwritten:
            log.error("channel_fault", channel=self.name, exc_info=error)
            return Outcome(
                "refused", None, "internal", "程序错误，消息未发出，请管理员查看。", "stop"
            )
        log.warning("channel_doubt", channel=self.name, error=type(error).__name__)
        if attempt.over:  # the socket's own limit and ours end together: either may come first
            return _NO_ANSWER
        return Outcome("in_doubt", None, "transport", "通道连接中断，结果未知。", "stop")

    def judge(self, code: str, *, detail: str = "") -> Outcome:
        """Translate a vendor code by the channel's table; codes it lacks go to a person.

        An HTTP 5xx (`http_5xx`) says nothing about the message: it is a doubt (design 4.8).
        """
        verdict = self.codes.get(code)
        if verdict is None and code.startswith("http_5"):
            verdict = _GATEWAY_DOUBT
        if verdict is None:
            log.warning("channel_unknown_code", channel=self.name, code=code)
            verdict = _UNKNOWN
        reason = f"{verdict.reason_zh}({detail})" if detail else verdict.reason_zh
        return Outcome(verdict.state, None, code, reason, verdict.next)

    def not_written(self, error: Exception) -> bool:
        """Tell whether a transport error proves that no byte of the request left this host."""
        return is_not_written(error)


_NO_ANSWER = Outcome("in_doubt", None, "timeout", "通道未在时限内答复，结果未知。", "stop")
_GATEWAY_DOUBT = Verdict("in_doubt", "stop", "通道服务器错误，结果未知。")
_UNKNOWN = Verdict("refused", "stop", "通道返回了未登记的错误码，请管理员查看。")
