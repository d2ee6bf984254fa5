"""Reading and writing prices and assignments for a roster import, a statement per table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range

from backend.db import db
from backend.estate.roster_model import FeeStandardRow
from backend.fees.models import FeeItem, FeeStandard
from backend.fees.roster_diff import Fee, FeeChanges, Item, Key, StoredStandard, item_of


def stored_standards(community_id: int) -> dict[str, list[StoredStandard]]:
    """Return all versions by code, drafts included."""
    found: dict[str, list[StoredStandard]] = defaultdict(list)
    for row in db.session.scalars(
        db.select(FeeStandard)
        .where(FeeStandard.community_id == community_id)
        .order_by(FeeStandard.code, FeeStandard.version)
    ):
        found[row.code].append(
            StoredStandard(
                row.id,
                row.published_at is not None,
                row.method,
                row.rate,
                row.surcharge,
                row.fixed,
                row.cycle_months,
                row.effective.lower,
                row.effective.upper,
            )  # fmt: skip
        )
    return found


def stored_fees(community_id: int) -> dict[Key, list[Fee]]:
    """Return the fees of all houses of a community, in date order."""
    found: dict[Key, list[Fee]] = defaultdict(list)
    for row in db.session.execute(
        text(
            "SELECT f.id, h.code, f.standard_code, f.quantity, lower(f.valid) AS start, "
            "upper(f.valid) AS stop FROM house_fee f JOIN house h ON h.id = f.house_id "
            "WHERE f.community_id = :c ORDER BY f.valid"
        ),
        {"c": community_id},
    ):
        found[(row.code, row.standard_code)].append(Fee(row.quantity, row.start, row.stop, row.id))
    return found


def write_drafts(community_id: int, changes: FeeChanges) -> None:
    """Keep prices without a basis as drafts: nothing is billed from them."""
    for row, start in changes.drafts:
        item = fee_item(community_id, item_of(row))
        latest = db.session.scalar(
            db.select(db.func.max(FeeStandard.version)).where(
                FeeStandard.community_id == community_id, FeeStandard.code == row.code
            )
        )
        draft = FeeStandard(
            community_id=community_id, fee_item_id=item.id, code=row.code,
            version=(latest or 0) + 1, basis="",
        )  # fmt: skip
        _set_price(draft, row, start)
        db.session.add(draft)
    for id_, row, start in changes.changed_drafts:
        _set_price(db.session.get_one(FeeStandard, id_), row, start)
    db.session.flush()


def _set_price(draft: FeeStandard, row: FeeStandardRow, start: date) -> None:
    is_area = row.method == "area"
    draft.name, draft.method, draft.cycle_months = row.name, row.method, row.cycle_months
    draft.rate = row.rate if is_area else None
    draft.surcharge = row.amount if is_area else 0
    draft.fixed = None if is_area else row.amount
    draft.effective = Range(start, row.valid_to)


def fee_item(community_id: int, item: Item) -> FeeItem:
    """Return the fee item, made if it does not exist."""
    found = db.session.scalar(
        db.select(FeeItem).where(FeeItem.community_id == community_id, FeeItem.code == item.code)
    )
    if found is None:
        found = FeeItem(
            community_id=community_id, code=item.code, name=item.name,
            pass_through=item.pass_through,
        )  # fmt: skip
        db.session.add(found)
        db.session.flush()
    return found


def write_fees(community_id: int, changes: FeeChanges) -> None:
    """Write the assignments of houses."""
    if changes.delete_fees:
        _run("DELETE FROM house_fee WHERE id = ANY(:ids)", ids=changes.delete_fees)
    if changes.end_fees:
        _run(
            "UPDATE house_fee f SET valid = daterange(lower(f.valid), v.day) FROM "
            "unnest(CAST(:ids AS bigint[]), CAST(:days AS date[])) AS v(id, day) WHERE f.id = v.id",
            ids=[id_ for id_, _ in changes.end_fees],
            days=[day for _, day in changes.end_fees],
        )
    if changes.new_fees:
        _insert_fees(community_id, changes.new_fees)


def _insert_fees(community_id: int, fees: Sequence[tuple[str, str, Fee]]) -> None:
    _run(
        "INSERT INTO house_fee (community_id, house_id, standard_code, quantity, valid) "
        "SELECT :c, h.id, v.fee, v.quantity, daterange(v.start, v.stop) FROM "
        "unnest(CAST(:houses AS text[]), CAST(:codes AS text[]), CAST(:quantities AS bigint[]), "
        "CAST(:starts AS date[]), CAST(:stops AS date[])) AS v(house, fee, quantity, start, stop) "
        "JOIN house h ON h.community_id = :c AND h.code = v.house ORDER BY h.id",
        c=community_id,
        houses=[house for house, _, _ in fees],
        codes=[code for _, code, _ in fees],
        quantities=[fee.quantity for _, _, fee in fees],
        starts=[fee.start for _, _, fee in fees],
        stops=[fee.end for _, _, fee in fees],
    )


def _run(statement: str, **values: Any) -> None:
    db.session.execute(text(statement), values)
