"""Credit of a party at a house pays its newly issued bills, on the issue day (A45, design 4.2).

In small transactions, only where there is credit; until it is done the house gets no permit.
Nobody chose these bills, so nothing is put on what the owner disputes (A42).
"""

from __future__ import annotations

from sqlalchemy import text

from backend import clock
from backend.billing import operations as billing
from backend.billing import queries as bills
from backend.billing.models import Bill
from backend.billing.rules import OpenBill, appropriate
from backend.conduct.disputes import disputed_amounts
from backend.db import db, retrying, transaction
from backend.dunning import operations as dunning
from backend.estate.models import Community
from backend.ledger import operations as ledger
from backend.points import operations as points
from backend.reminders import operations as reminders
from backend.telemetry import log


def apply_credit(*, run_id: int | None = None, limit: int = 200) -> int:
    """Use credit at houses that wait for it; return how many houses were handled.

    A house whose credit cannot be used is logged and keeps waiting (it gets no permit); the others
    are handled all the same.
    """
    done, after = 0, 0
    while True:
        houses = list(
            db.session.execute(
                text(
                    "SELECT house_id, community_id FROM house_account WHERE credit_pending "
                    "AND house_id > :after ORDER BY house_id LIMIT :n"
                ),
                {"after": after, "n": limit},
            )
        )
        db.session.rollback()
        if not houses:
            return done
        done += sum(_handled(house.house_id, house.community_id) for house in houses)
        after = houses[-1].house_id


def _handled(house_id: int, community_id: int) -> bool:
    try:
        retrying(lambda: _one_house(house_id, community_id))
    except Exception as error:
        db.session.rollback()
        log.error("credit_failed", house_id=house_id, error=type(error).__name__)
        return False
    return True


def _one_house(house_id: int, community_id: int) -> None:
    with transaction():
        billing.lock_houses([house_id])
        company_id = db.session.get_one(Community, community_id).company_id
        credits = ledger.credits_of_houses(company_id=company_id, house_ids=[house_id])
        for (_, party_id), fen in credits.items():
            _use(company_id, community_id, house_id, party_id, fen)
        billing.mark_credit_applied([house_id])


def _use(company_id: int, community_id: int, house_id: int, party_id: int, fen: int) -> None:
    day, now = clock.business_today(), clock.wire_now()
    mine: list[Bill] = [b for b in bills.payable_bills([house_id], day) if b.party_id == party_id]
    fees = bills.late_fees(mine, day)
    disputed = disputed_amounts(
        house_id=house_id, party_id=party_id, bill_ids=[b.id for b in mine], day=day
    )
    open_bills = [
        OpenBill(
            id=b.id,
            due=b.due_date,
            principal=b.open_fen,
            late_fee=fees[b.id].open,
            disputed=b.id in disputed,
            disputed_fen=disputed.get(b.id),
        )
        for b in mine
    ]
    split = appropriate(bills=open_bills, amount=fen)
    used = fen - split.credit
    if used == 0:
        return
    source = ledger.credit_account(house_id, party_id)
    key = f"{house_id}:{party_id}:{now.timestamp():.6f}"
    entries = billing.entries_for(
        source=source, appropriation=split, waived_late_fee={}, credit_account=source
    )
    journal_id = ledger.post(
        company_id=company_id, source_type="credit_use", source_key=key, entries=entries, at=now
    )
    billing.apply_to_bills(
        appropriation=split, waived_late_fee={}, day=day, journal_id=journal_id, by_credit=True
    )
    points.earn(
        company_id=company_id,
        community_id=community_id,
        party_id=party_id,
        house_id=house_id,
        source_type="credit_use",
        source_key=key,
        principal=split.principal,
        day=day,
        at=now,
    )
    reminders.cancel_for_paid_bills(list(split.principal))
    dunning.after_payment(house_ids=[house_id], day=day, now=clock.business_now())
