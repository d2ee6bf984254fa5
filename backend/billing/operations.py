"""Writing to bills: locking house accounts, appropriating money, credit, receipts.

The house account's row lock is the one lock of everything that changes or relies on what a house
owes (design 4.4, 4.7); several houses are locked in id order. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from backend.billing.models import HouseAccount, PrincipalEvent, Receipt
from backend.billing.rules import Appropriation
from backend.db import db
from backend.ledger.operations import Entry

_MOVE = text(
    """
    UPDATE bill b SET
        paid_fen = paid_fen + CASE WHEN :credit THEN 0 ELSE v.principal END,
        credited_fen = credited_fen + CASE WHEN :credit THEN v.principal ELSE 0 END,
        late_fee_posted_fen = late_fee_posted_fen + v.fee + v.waived,
        late_fee_paid_fen = late_fee_paid_fen + v.fee,
        late_fee_waived_fen = late_fee_waived_fen + v.waived
    FROM unnest(CAST(:ids AS bigint[]), CAST(:principal AS bigint[]), CAST(:fee AS bigint[]),
                CAST(:waived AS bigint[])) AS v(id, principal, fee, waived)
    WHERE b.id = v.id
    """
)


def lock_houses(house_ids: Collection[int]) -> None:
    """Lock the house accounts in id order; everything read afterwards is current."""
    db.session.execute(
        text("SELECT 1 FROM house_account WHERE house_id = ANY(:ids) ORDER BY house_id FOR UPDATE"),
        {"ids": sorted(set(house_ids))},
    )


def lock_free_houses(house_ids: Collection[int]) -> set[int]:
    """Lock those of the house accounts that nobody holds, without waiting; return them."""
    return set(
        db.session.scalars(
            text(
                "SELECT house_id FROM house_account WHERE house_id = ANY(:ids) "
                "ORDER BY house_id FOR UPDATE SKIP LOCKED"
            ),
            {"ids": sorted(set(house_ids))},
        )
    )


def open_house_accounts(community_id: int) -> None:
    """Give every house of a community its account row."""
    db.session.execute(
        text(
            "INSERT INTO house_account (house_id, community_id) "
            "SELECT h.id, h.community_id FROM house h WHERE h.community_id = :c AND NOT EXISTS "
            "(SELECT 1 FROM house_account a WHERE a.house_id = h.id)"
        ),
        {"c": community_id},
    )


def apply_to_bills(
    *,
    appropriation: Appropriation,
    waived_late_fee: Mapping[int, int],
    day: date,
    journal_id: int,
    by_credit: bool = False,
) -> None:
    """Move the bills' columns and remember the principal movements with their business day (M7)."""
    ids = sorted({*appropriation.principal, *appropriation.late_fee, *waived_late_fee})
    if not ids:
        return
    db.session.execute(
        _MOVE,
        {
            "credit": by_credit,
            "ids": ids,
            "principal": [appropriation.principal.get(i, 0) for i in ids],
            "fee": [appropriation.late_fee.get(i, 0) for i in ids],
            "waived": [waived_late_fee.get(i, 0) for i in ids],
        },
    )
    events = [
        {
            "bill_id": bill_id,
            "day": day,
            "kind": "credit" if by_credit else "payment",
            "amount_fen": fen,
            "journal_id": journal_id,
        }
        for bill_id, fen in appropriation.principal.items()
        if fen
    ]
    if events:
        db.session.execute(insert(PrincipalEvent).values(events))


def entries_for(
    *,
    source: str,
    appropriation: Appropriation,
    waived_late_fee: Mapping[int, int],
    credit_account: str,
) -> list[Entry]:
    """Return the journal of a payment or credit use.

    The received sum is debited to `source`; principal and late fee are credited to `receivable`
    per bill, the late fee having been charged in the same journal; the rest becomes credit.
    """
    fees, parts = appropriation.late_fee, appropriation.principal
    received = sum(parts.values()) + sum(fees.values()) + appropriation.credit
    charged = sum(fees.values()) + sum(waived_late_fee.values())
    entries = [Entry(source, received), Entry("late_fee", -charged)]
    entries += [
        Entry("receivable", fees.get(i, 0) + waived_late_fee.get(i, 0), i)
        for i in sorted({*fees, *waived_late_fee})
    ]
    entries += [Entry("receivable", -fen, i) for i, fen in parts.items()]
    entries += [Entry("receivable", -fen, i) for i, fen in fees.items()]
    for bill_id, fen in waived_late_fee.items():
        entries += [Entry("receivable", -fen, bill_id), Entry("waiver", fen)]
    return [*entries, Entry(credit_account, -appropriation.credit)]


def write_receipt(
    *,
    community_id: int,
    house_id: int,
    source_type: str,
    source_key: str,
    channel: str,
    amount_fen: int,
    appropriation: Appropriation,
    at: datetime,
) -> None:
    """Keep what was received and where it went; the number comes from the sealer (design 4.11)."""
    lines: dict[str, Any] = {
        "principal": {str(i): fen for i, fen in appropriation.principal.items()},
        "late_fee": {str(i): fen for i, fen in appropriation.late_fee.items()},
    }
    db.session.execute(
        pg_insert(Receipt).values(
            community_id=community_id,
            house_id=house_id,
            source_type=source_type,
            source_key=source_key,
            channel=channel,
            amount_fen=amount_fen,
            credit_fen=appropriation.credit,
            lines=lines,
            at=at,
        )
    )


def mark_credit_applied(house_ids: Collection[int]) -> None:
    """Allow permits again for houses whose credit was applied after issuing."""
    db.session.execute(
        db.update(HouseAccount)
        .where(HouseAccount.house_id.in_(list(house_ids)))
        .values(credit_pending=False)
    )
