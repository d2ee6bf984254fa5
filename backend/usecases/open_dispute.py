"""An owner objects to a bill: the disputed amount leaves reminders and late fee at once (C13).

Reminders of the bill stop (hold), the late fee of the disputed amount stops (freeze), the rest
stays payable. An answer is due within three working days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from backend import audit, clock
from backend.billing import operations as billing
from backend.billing.models import Bill, LateFeeFreeze
from backend.conduct.holidays import add_working_days
from backend.conduct.models import Hold
from backend.conduct.operations import place_hold
from backend.db import db, retrying, transaction
from backend.errors import Refusal
from backend.money import yuan_text

ANSWER_DAYS = 3
REASONS = (
    "wrong_amount", "not_mine", "no_service", "dissatisfied", "price", "developer_legacy", "other",
)  # fmt: skip


@dataclass(frozen=True)
class Dispute:
    """hold_id names it; answer_by: the business day by which the company answers."""

    hold_id: int
    answer_by: date


def open_dispute(
    *, bill_id: int, amount_fen: int | None, reason_code: str, text: str, by: str, company_id: int
) -> Dispute:
    """Place the hold and the freeze. amount_fen None disputes the whole bill.

    The caller has checked that `by` ('account:7') may see the bill. Raises Refusal
    `nothing_to_dispute`, `dispute_amount` (422), `dispute_open`.
    """
    return retrying(lambda: _open(bill_id, amount_fen, reason_code, text, by, company_id))


def _open(
    bill_id: int, amount_fen: int | None, reason_code: str, text: str, by: str, company_id: int
) -> Dispute:
    now, today = clock.business_now(), clock.business_today()
    with transaction():
        bill = db.session.get_one(Bill, bill_id)
        billing.lock_houses([bill.house_id])
        db.session.refresh(bill)
        _check(bill, amount_fen, today)
        part = None if amount_fen in (None, bill.open_fen) else amount_fen
        hold = place_hold(
            kind="dispute",
            house_id=bill.house_id,
            party_id=bill.party_id,
            bill_id=bill.id,
            from_day=today,
            until_day=None,
            reason=f"{reason_code}:{text}",
            source=by,
            now=now,
        )
        db.session.add(
            LateFeeFreeze(
                bill_id=bill.id, day_from=today, amount_fen=part, reason=f"dispute:{hold.id}"
            )
        )
        answer_by = add_working_days(today, ANSWER_DAYS)
        audit.record(
            actor=by,
            action="dispute_opened",
            object=f"hold:{hold.id}",
            at=clock.wire_now(),
            company_id=company_id,
            detail={
                "bill_id": bill.id,
                "amount_fen": part or bill.open_fen,
                "reason": reason_code,
                "answer_by": answer_by.isoformat(),
            },
        )
        return Dispute(hold.id, answer_by)


def _check(bill: Bill, amount_fen: int | None, today: date) -> None:
    if bill.reversed or bill.open_fen <= 0:
        raise Refusal(
            "nothing_to_dispute",
            message="nothing open on this bill",
            message_zh="该账单已无未缴金额，无需在此提出异议。",
            what_to_do="如对已缴金额有疑问，请联系物业服务中心申请退费核对。",
        )
    if amount_fen is not None and amount_fen > bill.open_fen:
        raise Refusal(
            "dispute_amount",
            message="more than is open",
            message_zh=f"异议金额不能超过未缴本金 {yuan_text(bill.open_fen)} 元。",
            http=422,
            fields={"amount_fen": f"最多 {bill.open_fen} 分。"},
        )
    found = db.session.scalar(
        db.select(Hold.id).where(
            Hold.bill_id == bill.id,
            Hold.kind == "dispute",
            Hold.lifted_at.is_(None),
            (Hold.until_day.is_(None)) | (Hold.until_day > today),
        )
    )
    if found:
        raise Refusal(
            "dispute_open",
            message="this bill is already disputed",
            message_zh="该账单的异议正在处理中。",
            what_to_do="如需补充材料，请联系物业服务中心。",
        )
