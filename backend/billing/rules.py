"""Where a payment goes (M8) and how a refund comes back out of it (M9): pure, in whole fen.

The payer's choice rules; without one, principal comes before late fees and old before new, and
nobody's money is put on an amount that is disputed, time-barred or another party's. A refund is
the same walk backwards, so what remains is what a smaller payment would have done.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from backend.errors import Refusal
from backend.money import Fen, require_fen

BillId = int | str


@dataclass(frozen=True, slots=True)
class OpenBill:
    """An open bill as a payment sees it. Ids are all numbers or all text (A44).

    liable: whether the payer is; disputed: with disputed_fen None the whole bill is.
    """

    id: BillId
    due: date
    principal: Fen
    late_fee: Fen = 0
    liable: bool = True
    disputed: bool = False
    disputed_fen: Fen | None = None
    time_barred: bool = False


@dataclass(frozen=True, slots=True)
class Appropriation:
    """Fen by bill id in the order they were paid, nothing for bills that got nothing."""

    principal: dict[BillId, Fen]
    late_fee: dict[BillId, Fen]
    credit: Fen


def _queue_key(bill: OpenBill) -> tuple[date, BillId | bytes]:
    return bill.due, bill.id.encode() if isinstance(bill.id, str) else bill.id


def appropriate(
    *, bills: Sequence[OpenBill], amount: Fen, choice: Collection[BillId] | None = None
) -> Appropriation:
    """Return where `amount` fen go (M8, A42–A44).

    choice: the bills the payer named, any of them, paid in full whatever their state; what is left
    is credit. None: all bills he is liable for, without disputed amounts, without late fees of
    disputed bills, without time-barred bills. Principal by due date and id, then late fees in the
    same order. Raises Refusal `bill_not_open`, `mixed_ids`; AmountRefused for a negative amount.
    """
    require_fen(amount, minimum=0)
    _check_ids(bills, choice)
    queue = sorted(
        (b for b in bills if (b.id in choice if choice is not None else _payable(b))),
        key=_queue_key,
    )
    left = amount
    taken: tuple[dict[BillId, Fen], dict[BillId, Fen]] = ({}, {})
    for part, paid in enumerate(taken):
        for bill in queue:
            fen = min(left, _payable_fen(bill, chosen=choice is not None)[part])
            if fen > 0:
                paid[bill.id] = fen
                left -= fen
    return Appropriation(principal=taken[0], late_fee=taken[1], credit=left)


def _payable(bill: OpenBill) -> bool:
    return bill.liable and not bill.time_barred


def _payable_fen(bill: OpenBill, *, chosen: bool) -> tuple[Fen, Fen]:
    if chosen or not bill.disputed:
        return bill.principal, bill.late_fee
    if bill.disputed_fen is None:
        return 0, 0
    return max(0, bill.principal - bill.disputed_fen), 0


def _check_ids(bills: Sequence[OpenBill], choice: Collection[BillId] | None) -> None:
    ids = [bill.id for bill in bills]
    if len({type(bill_id) for bill_id in ids}) > 1 or len(set(ids)) != len(ids):
        raise Refusal("mixed_ids", message_zh="账单编号重复或类型不一致。", http=422)
    unknown = [str(bill_id) for bill_id in choice or () if bill_id not in set(ids)]
    if unknown:
        raise Refusal(
            "bill_not_open",
            message_zh=f"所选账单不存在或已结清：{'、'.join(unknown)}。",
            what_to_do="请刷新账单后重新选择。",
        )


@dataclass(frozen=True, slots=True)
class Reversal:
    """What a refund takes back, in the order taken, and what then remains of the payment."""

    taken: Appropriation
    after: Appropriation


def reverse(*, applied: Appropriation, amount: Fen) -> Reversal:
    """Return how `amount` fen are taken back out of a payment (M9, A47).

    Unspent credit first, then late fees last paid first, then principal last paid first. Give
    `applied.credit` without the credit already spent: it is not returned before it is freed.
    Raises Refusal `refund_too_large`, AmountRefused for a negative amount.
    """
    require_fen(amount, what="退款金额", minimum=0)
    if amount > applied.credit + sum(applied.late_fee.values()) + sum(applied.principal.values()):
        raise Refusal("refund_too_large", message_zh="退款金额超过该笔付款可退的余额。")
    credit = min(amount, applied.credit)
    fees, fees_left, left = _take_back(applied.late_fee, amount - credit)
    principal, principal_left, _ = _take_back(applied.principal, left)
    return Reversal(
        taken=Appropriation(principal=principal, late_fee=fees, credit=credit),
        after=Appropriation(
            principal=principal_left, late_fee=fees_left, credit=applied.credit - credit
        ),
    )


def _take_back(
    paid: dict[BillId, Fen], amount: Fen
) -> tuple[dict[BillId, Fen], dict[BillId, Fen], Fen]:
    taken: dict[BillId, Fen] = {}
    rest = dict(paid)
    for bill_id in reversed(list(paid)):
        fen = min(amount, paid[bill_id])
        if fen <= 0:
            break
        taken[bill_id] = fen
        amount -= fen
        rest[bill_id] -= fen
    return taken, {bill_id: fen for bill_id, fen in rest.items() if fen}, amount
