"""What every payment channel can do, in the product's own words (design 4.3-4.5).

A provider is a pure adapter: no database, no Flask, no decision about our orders. It turns a
question into the platform's wire format and the answer back into one of few words. Two rules
shape the words: an answer that cannot be trusted (timeout, 5xx, unsigned, badly signed) is
`unknown`, never "failed"; and a code is a refusal only when the platform itself said so.
All amounts are integer fen, all instants UTC aware.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

Method = Literal["jsapi", "h5", "native", "wap", "qr", "bar"]
TradeWord = Literal["paid", "unpaid", "closed", "not_exist", "refunded", "unknown"]
RefundWord = Literal["processing", "succeeded", "closed", "abnormal", "unknown", "not_exist"]
CloseWord = Literal["closed", "paid", "not_exist", "unknown"]
NoticeKind = Literal["payment", "refund", "closed", "other"]
BadReason = Literal["bad_signature", "stale", "wrong_serial", "probe", "malformed", "undecryptable"]
Answer = tuple[int, str, bytes]  # HTTP status, content type, body


@dataclass(frozen=True)
class MerchantConfig:
    """One merchant account. `config` is the `wechatpay` or `alipay` dict of `merchant add`.

    It may carry `verifiers`: [{"serial", "public_key_pem" | "certificate_pem"}], the platform's
    old and new keys during a rotation; the main key is one of them implicitly. Alipay keys have
    no serial. `config` holds secrets and stays out of repr.
    """

    id: int
    name: str
    channel: str
    config: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class PrepayRequest:
    """One payment to open. Retrying the same number must repeat identical values (wechat 3.2).

    method: wechatpay `jsapi` (needs openid), `h5` (needs client_ip), `native`; alipay `wap`,
    `qr`, `bar` (needs auth_code). `time_expire` is the last moment to pay. `attach` comes back
    in notices; no personal data.
    """

    out_trade_no: str
    amount_fen: int
    description: str
    time_expire: datetime
    notify_url: str
    method: Method
    openid: str | None = field(default=None, repr=False)
    client_ip: str | None = field(default=None, repr=False)
    return_url: str | None = None
    auth_code: str | None = field(default=None, repr=False)
    attach: str = ""


@dataclass(frozen=True)
class TradeState:
    """What the platform says about one payment.

    state: `refunded` = it was paid and (part of) it went back; `unknown` = being paid right now
    or the platform named a state we do not know. `raw_code` is the platform's own word.
    `currency`, `appid`, `mchid` (Alipay: the seller) are as reported, None where not reported.
    """

    state: TradeWord
    raw_code: str = ""
    channel_txn: str | None = None
    amount_fen: int | None = None
    paid_at: datetime | None = None
    payer: str | None = field(default=None, repr=False)
    currency: str | None = None
    appid: str | None = None
    mchid: str | None = None


@dataclass(frozen=True)
class Prepay:
    """What the client needs to pay.

    params: jsapi -> the `wx.requestPayment` arguments; h5 -> {"h5_url"}; native, qr ->
    {"qr_code"}; wap -> {"pay_url"}; bar -> {} with `trade` telling what the scan led to.
    """

    params: dict[str, str] = field(repr=False)
    trade: TradeState | None = None


@dataclass(frozen=True)
class RefundState:
    """What the platform says about one refund. Only `succeeded` means the money went back.

    `abnormal` needs a person (the payer's card is closed). `amount_fen` is this refund's amount.
    """

    state: RefundWord
    raw_code: str = ""
    amount_fen: int | None = None
    channel_refund_no: str | None = None
    refunded_at: datetime | None = None


@dataclass(frozen=True)
class Notice:
    """One verified callback, parsed and nothing more: the caller compares it with the order.

    event_key: unique per platform event, equal across redeliveries (inbox key).
    kind `payment` means paid; `other` is acknowledged and ignored.
    amount_fen: payment -> the order's total; refund -> this refund's amount, or None where the
    platform reports only the running total of the trade (Alipay), which then stands in
    `refunded_total_fen`: ask `query_refund`. refund_state: only for kind `refund`.
    at: the platform's success time (payment or refund). merchant_ids: what to compare with our
    account: {"appid", "mchid", "sub_mchid"?} or {"app_id", "seller_id"}.
    payload: the decrypted or decoded message (may hold personal data: do not log).
    """

    kind: NoticeKind
    event_key: str
    event_type: str
    out_trade_no: str | None
    out_refund_no: str | None = None
    channel_txn: str | None = None
    amount_fen: int | None = None
    refunded_total_fen: int | None = None
    refund_state: RefundWord | None = None
    currency: str | None = None
    paid_at: datetime | None = None
    payer: str | None = field(default=None, repr=False)
    merchant_ids: dict[str, str] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class StatementRow:
    """One line of the platform's daily statement (reconciliation, facts of both platforms).

    amount_fen is positive for payments and refunds alike. The fee keeps the platform's five
    decimals as thousandths of a fen; it is negative where the platform gives a fee back.
    """

    kind: Literal["payment", "refund"]
    out_trade_no: str
    channel_txn: str
    amount_fen: int
    fee_millifen: int
    at: datetime
    state: str
    out_refund_no: str | None = None
    channel_refund_no: str | None = None
    appid: str | None = None
    mchid: str | None = None
    attach: str = ""
    raw: dict[str, str] = field(default_factory=dict, repr=False)


class ProviderError(Exception):
    """The platform refused, or nobody knows whether it acted.

    outcome `unknown`: it may have happened -> ask (`query`, `query_refund`), never assume.
    outcome `refused`: it did not happen. `code` is the platform's spelling, `reason` ours:
    already_paid, closed, not_exist, number_used, expired, not_enough, not_refundable,
    rate_limited, bad_request, bad_signature, no_right, config, busy, other.
    retryable: the same request with the same number may succeed later.
    """

    def __init__(
        self,
        outcome: Literal["unknown", "refused"],
        code: str,
        *,
        reason: str = "other",
        retryable: bool = False,
        detail: str = "",
    ) -> None:
        super().__init__(f"{outcome}: {code} {detail}".strip())
        self.outcome = outcome
        self.code = code
        self.reason = reason
        self.retryable = retryable
        self.detail = detail


class BadNotice(Exception):
    """A callback that must not be believed; `http` is what to answer.

    401 signature, serial, age and probes; 400 malformed; 500 undecryptable, so that the
    platform keeps trying for a day while somebody corrects the APIv3 key (an alarm is due).
    A `probe` is WeChat testing that we do verify: log at info, never alert.
    """

    HTTP = {"malformed": 400, "undecryptable": 500}

    def __init__(self, reason: BadReason, detail: str = "") -> None:
        super().__init__(f"{reason} {detail}".strip())
        self.reason = reason
        self.http = self.HTTP.get(reason, 401)


class Provider(ABC):
    """One merchant account at one platform. Instances are cheap to call from many threads."""

    channel: str
    merchant: MerchantConfig

    @abstractmethod
    def prepay(self, request: PrepayRequest) -> Prepay:
        """Open the payment. Raises ProviderError."""

    @abstractmethod
    def query(self, out_trade_no: str, *, timeout: float | None = None) -> TradeState:
        """Ask what became of a payment; `not_exist` is an answer. Raises ProviderError when
        the platform gave no trustworthy answer. timeout: seconds for this question only."""

    @abstractmethod
    def close(self, out_trade_no: str) -> CloseWord:
        """Close an unpaid payment; never raises for an outcome, a doubt is `unknown`."""

    @abstractmethod
    def refund(
        self,
        *,
        out_trade_no: str,
        out_refund_no: str,
        amount_fen: int,
        total_fen: int,
        reason: str = "",
        notify_url: str | None = None,
    ) -> RefundState:
        """Ask for a refund; a retry must carry the same number and amount. Raises
        ProviderError. WeChat answers `processing`: the result comes by notice or query."""

    @abstractmethod
    def query_refund(self, *, out_trade_no: str, out_refund_no: str) -> RefundState:
        """Ask what became of a refund; `not_exist` is an answer. Raises ProviderError."""

    @abstractmethod
    def download_bill(self, day: date) -> list[StatementRow]:
        """Fetch the statement of a past Shanghai day; [] on a day without trades.

        day: on the platform's calendar, so from the wire clock. Raises ProviderError (retryable
        while the platform still prepares it, usually until 10:00)."""

    @abstractmethod
    def parse_notice(self, headers: Mapping[str, str], raw_body: bytes, now: datetime) -> Notice:
        """Verify and parse a callback from its raw bytes; `now` is `clock.wire_now()`. Raises
        BadNotice. Never touches the network."""

    @abstractmethod
    def ack(self) -> Answer:
        """The answer that stops redelivery; give it only after the inbox row is committed."""

    @abstractmethod
    def nack(self, error: BadNotice | None = None) -> Answer:
        """The answer that asks for redelivery (bad notice, or our own trouble: HTTP 500)."""
