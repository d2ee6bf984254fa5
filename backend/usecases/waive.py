"""Waiving late fee or principal of one bill, within the role's limit (S9, C54).

The late fee waived is charged first and waived in the same journal, so that the ledger shows what
was given up; nothing is edited.
"""

from __future__ import annotations

from sqlalchemy import text

from backend import audit, clock
from backend.billing import operations as billing
from backend.billing import queries as bills
from backend.billing.models import Bill, PrincipalEvent
from backend.db import db, retrying, transaction
from backend.dunning import operations as dunning
from backend.dunning import rules
from backend.errors import NotFound, Refusal
from backend.identity.scope import Scope, require_house
from backend.ledger import operations as ledger
from backend.ledger.operations import Entry
from backend.money import yuan_text
from backend.reminders import operations as reminders


def waive(
    *, scope: Scope, role: str, bill_id: int, principal_fen: int, late_fee_fen: int, reason: str
) -> int:
    """Waive fen of one bill's principal and late fee; return the bill's id.

    Raises NotFound outside the scope, Refusal `waiver_invalid`, `reason_required`,
    `waiver_exceeds` (422), `waiver_limit` (403, beyond the role).
    """
    rules.check_waiver(role=role, principal_fen=principal_fen, late_fee_fen=late_fee_fen)
    if len(reason.strip()) < 4:
        raise Refusal(
            "reason_required",
            message="a reason is required",
            message_zh="请填写减免原因（至少 4 个字）。",
            http=422,
            fields={"reason": "至少 4 个字"},
        )
    return retrying(lambda: _waive(scope, bill_id, principal_fen, late_fee_fen, reason.strip()))


def _waive(scope: Scope, bill_id: int, principal_fen: int, late_fee_fen: int, reason: str) -> int:
    with transaction():
        bill = db.session.get(Bill, bill_id)
        if bill is None:
            raise NotFound("账单")
        require_house(scope, bill.house_id)
        billing.lock_houses([bill.house_id])
        bill = bills.bills_by_id([bill_id])[0]
        _check_open(bill, principal_fen, late_fee_fen)
        journal_id = _book(scope, bill, principal_fen, late_fee_fen)
        _move(bill, principal_fen, late_fee_fen, journal_id)
        _after(bill)
        audit.record(
            actor=f"steward:{scope.steward_id}",
            action="waived",
            object=f"bill:{bill_id}",
            at=clock.wire_now(),
            company_id=scope.company_id,
            detail={
                "principal_fen": principal_fen,
                "late_fee_fen": late_fee_fen,
                "reason": reason,
            },
        )
        return bill_id


def _check_open(bill: Bill, principal_fen: int, late_fee_fen: int) -> None:
    open_fee = bills.late_fees([bill], clock.business_today())[bill.id].open
    fields: dict[str, object] = {}
    if bill.reversed or principal_fen > bill.open_fen:
        fields["principal_fen"] = f"未缴本金为 {yuan_text(bill.open_fen)} 元"
    if bill.reversed or late_fee_fen > open_fee:
        fields["late_fee_fen"] = f"未缴违约金为 {yuan_text(open_fee)} 元"
    if fields:
        raise Refusal(
            "waiver_exceeds",
            message="more than is open",
            message_zh="减免金额超过未缴金额：" + "；".join(str(text) for text in fields.values()),
            http=422,
            what_to_do="请刷新账单后重新填写。",
            fields=fields,
        )


def _book(scope: Scope, bill: Bill, principal_fen: int, late_fee_fen: int) -> int:
    now = clock.wire_now()
    return ledger.post(
        company_id=scope.company_id,
        source_type="waiver",
        source_key=f"{bill.id}:{now.timestamp():.6f}",
        entries=[
            Entry("late_fee", -late_fee_fen),
            Entry("receivable", late_fee_fen, bill.id),
            Entry("receivable", -(late_fee_fen + principal_fen), bill.id),
            Entry("waiver", late_fee_fen + principal_fen, bill.id),
        ],
        at=now,
    )


def _move(bill: Bill, principal_fen: int, late_fee_fen: int, journal_id: int) -> None:
    db.session.execute(
        text(
            "UPDATE bill SET waived_fen = waived_fen + :p, "
            "late_fee_posted_fen = late_fee_posted_fen + :f, "
            "late_fee_waived_fen = late_fee_waived_fen + :f WHERE id = :id"
        ),
        {"id": bill.id, "p": principal_fen, "f": late_fee_fen},
    )
    if principal_fen:
        db.session.add(
            PrincipalEvent(
                bill_id=bill.id,
                day=clock.business_today(),
                kind="waiver",
                amount_fen=principal_fen,
                journal_id=journal_id,
            )
        )
    db.session.flush()


def _after(bill: Bill) -> None:
    """What is not owed any more is not reminded of and not on the list."""
    reminders.cancel_for_paid_bills([bill.id])
    dunning.after_payment(
        house_ids=[bill.house_id], day=clock.business_today(), now=clock.business_now()
    )
    db.session.expire(bill)
