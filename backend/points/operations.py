"""Earning points on cleared principal, in the settling transaction (M10, A48–A50)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import insert, text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from backend.db import db
from backend.ledger import operations as ledger
from backend.ledger.operations import Entry
from backend.points.models import PointsEntry, PointsProgramme, PointsShortage
from backend.points.rules import points_earned, settle_shortage


def programme_on(community_id: int, day: date) -> PointsProgramme | None:
    """Return the programme in force on a business day."""
    return db.session.scalar(
        db.select(PointsProgramme).where(
            PointsProgramme.community_id == community_id, PointsProgramme.valid.contains(day)
        )
    )


def earn(
    *,
    company_id: int,
    community_id: int,
    party_id: int,
    house_id: int,
    source_type: str,
    source_key: str,
    principal: Mapping[int, int],
    day: date,
    at: datetime,
) -> int:
    """Book the points of one settlement; {bill id: fen of principal}; return points earned."""
    programme = programme_on(community_id, day)
    if programme is None or not principal:
        return 0
    earned = {
        bill_id: points_earned(
            principal_paid=fen,
            points_per_yuan=programme.points_per_yuan,
            factors=(programme.multiplier,),
        )
        for bill_id, fen in principal.items()
    }
    earned = {bill_id: n for bill_id, n in earned.items() if n}
    total = sum(earned.values())
    if not total:
        return 0
    reach = _meet_shortage(party_id, total)
    entries = [Entry("points_liability", total, None, "PT")]
    if reach:
        entries.append(Entry(ledger.points_account(party_id), -reach, None, "PT"))
    if total - reach:
        entries.append(Entry("points_recovered", -(total - reach), None, "PT"))
    journal_id = ledger.post(
        company_id=company_id,
        source_type=f"points_{source_type}",
        source_key=source_key,
        entries=entries,
        at=at,
    )
    db.session.execute(
        insert(PointsEntry).values(
            [
                {
                    "party_id": party_id,
                    "house_id": house_id,
                    "bill_id": bill_id,
                    "source_type": source_type,
                    "source_key": source_key,
                    "points": number,
                    "journal_id": journal_id,
                    "at": at,
                }
                for bill_id, number in earned.items()
            ]
        )
    )
    return total


def _meet_shortage(party_id: int, earned: int) -> int:
    """Pay an old shortage first (A49); return how many points reach the balance."""
    short = db.session.scalar(
        text("SELECT points FROM points_shortage WHERE party_id = :p FOR UPDATE"), {"p": party_id}
    )
    if not short:
        return earned
    taken = settle_shortage(shortage=short, earned=earned)
    db.session.execute(
        pg_insert(PointsShortage)
        .values(party_id=party_id, points=taken.short)
        .on_conflict_do_update(index_elements=["party_id"], set_={"points": taken.short})
    )
    return taken.points
