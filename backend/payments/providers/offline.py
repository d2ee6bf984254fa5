"""Money that reaches the company without a payment platform: who takes it and when it is sure.

No network: cash, POS slips, bank transfers and bank auto-debit are entered by a person or
imported from a bank statement. What differs between them is whether a reference must be
written down, whether the money is already in hand, and which way a refund goes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OfflineChannel:
    """One way of paying by hand.

    reference_zh: what the clerk must write down (unique per channel and payee), None if
    nothing. in_hand: True when the money is there at once; otherwise it counts as paid when
    entered, and the bank statement confirms it. refund_zh: how money goes back.
    """

    channel: str
    name_zh: str
    reference_zh: str | None
    in_hand: bool
    refund_zh: str


OFFLINE_CHANNELS = {
    item.channel: item
    for item in (
        OfflineChannel("cash", "现金", None, True, "现金退还，由收款人签字"),
        OfflineChannel("pos", "POS 刷卡", "POS 参考号", False, "原卡撤销或退货"),
        OfflineChannel("bank", "银行转账", "银行流水号", False, "转回原付款账户"),
        OfflineChannel("withhold", "银行代扣", "代扣批次与序号", False, "转回原扣款账户"),
    )
}


def offline_channel(channel: str) -> OfflineChannel:
    """Return the description of an offline channel. Raises KeyError for a platform's name."""
    return OFFLINE_CHANNELS[channel]
