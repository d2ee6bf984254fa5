"""The second person's word on a refund above the limit: go, or not (C56)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from backend import audit, clock
from backend.billing import operations as billing
from backend.db import db, transaction
from backend.errors import Refusal
from backend.identity.scope import Scope
from backend.ledger import operations as ledger
from backend.ledger.operations import Entry
from backend.payments.models import PaymentOrder, Refund
from backend.usecases.refund_payment import RefundAnswer, advance, find_refund
from backend.usecases.settle_refunds import reserve_entries

_RESUME = timedelta(seconds=30)


def approve_refund(
    *,
    scope: Scope,
    out_refund_no: str,
    already: bool = False,
    bind: Callable[[str], None] = lambda number: None,
) -> RefundAnswer:
    """Approve a waiting refund and ask the platform; return how it stands.

    already: a retry of an approval that was committed; only the platform is asked again. Raises
    NotFound, Refusal `approval_needs_second` (403), `refund_not_waiting` (409).
    """
    if not already:
        with transaction():
            refund = _waiting(scope, out_refund_no)
            now = clock.wire_now()
            refund.state, refund.approved_by = "pending", f"steward:{scope.steward_id}"
            refund.next_query_at = now + _RESUME
            _audit(scope, refund, "refund_approved")
            bind(out_refund_no)
    return advance(scope, out_refund_no)


def reject_refund(*, scope: Scope, out_refund_no: str, reason: str) -> RefundAnswer:
    """Refuse a waiting refund: the reserved money becomes credit again.

    Raises NotFound, Refusal `approval_needs_second` (403), `refund_not_waiting` (409).
    """
    with transaction():
        refund = _waiting(scope, out_refund_no)
        order = db.session.get_one(PaymentOrder, refund.order_id)
        now = clock.wire_now()
        refund.state, refund.done_at = "rejected", now
        refund.approved_by = f"steward:{scope.steward_id}"
        ledger.post(
            company_id=scope.company_id,
            source_type="refund_rejected",
            source_key=out_refund_no,
            entries=[
                Entry(e.account, -e.amount, e.bill_id) for e in reserve_entries(refund, order)
            ],
            at=now,
        )
        _audit(scope, refund, "refund_rejected", reason=reason)
        return RefundAnswer(out_refund_no, "rejected", refund.amount_fen, False)


def _waiting(scope: Scope, out_refund_no: str) -> Refund:
    """Return the refund, its house account and row locked, if it waits for another person."""
    found = find_refund(scope, out_refund_no)
    order = db.session.get_one(PaymentOrder, found.order_id)
    billing.lock_houses([order.house_id])
    refund = db.session.get_one(Refund, found.id, with_for_update=True, populate_existing=True)
    if refund.state != "requested":
        raise Refusal(
            "refund_not_waiting",
            message="the refund does not wait for approval",
            message_zh="该笔退款不在待复核状态。",
            what_to_do="请刷新退款记录。",
        )
    if refund.requested_by == f"steward:{scope.steward_id}":
        raise Refusal(
            "approval_needs_second",
            message="a second person must approve",
            message_zh="退款申请人不能复核自己的申请，须由另一人办理。",
            http=403,
            what_to_do="请同事复核。",
            legal_basis="退款双人复核制度",
        )
    return refund


def _audit(scope: Scope, refund: Refund, action: str, **detail: object) -> None:
    audit.record(
        actor=f"steward:{scope.steward_id}",
        action=action,
        object=f"refund:{refund.id}",
        at=clock.wire_now(),
        company_id=scope.company_id,
        detail={"amount_fen": refund.amount_fen, **detail},
    )
