"""What a member of staff may see: a steward the assigned buildings, the others their company.

Every staff query filters by a `Scope` in SQL; what lies outside does not exist (design 4.12).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from backend.db import db
from backend.errors import NotFound
from backend.identity.models import Steward, StewardBuilding


@dataclass(frozen=True)
class Scope:
    """building_ids None: all buildings of the company; () sees nothing."""

    company_id: int
    steward_id: int
    building_ids: tuple[int, ...] | None = None

    def where(self, house: str = "h") -> str:
        """Return the SQL condition on a house table alias; bind it with `params`."""
        company = f"{house}.community_id IN (SELECT id FROM community WHERE company_id = :_company)"
        if self.building_ids is None:
            return company
        return f"({company} AND {house}.building_id = ANY(:_buildings))"

    @property
    def params(self) -> dict[str, Any]:
        """Return the values of `where`."""
        if self.building_ids is None:
            return {"_company": self.company_id}
        return {"_company": self.company_id, "_buildings": list(self.building_ids)}


def scope_of(steward: Steward) -> Scope:
    """Return the scope of a member of staff; one query for the role `steward`, none otherwise."""
    if steward.role != "steward":
        return Scope(steward.company_id, steward.id)
    buildings = db.session.scalars(
        db.select(StewardBuilding.building_id).where(StewardBuilding.steward_id == steward.id)
    )
    return Scope(steward.company_id, steward.id, tuple(sorted(buildings)))


def require_house(scope: Scope, house_id: int) -> Any:
    """Return (id, community_id, building_id, code) of a house in scope. Raises NotFound."""
    row = db.session.execute(
        text(
            "SELECT h.id, h.community_id, h.building_id, h.code FROM house h "
            f"WHERE h.id = :_house AND {scope.where('h')}"
        ),
        {"_house": house_id, **scope.params},
    ).first()
    if row is None:
        raise NotFound("房屋")
    return row


def require_party(house_id: int, party_id: int) -> None:
    """Raise NotFound unless the party owns, is liable for, or owes a bill of the house."""
    found = db.session.scalar(
        text(
            "SELECT EXISTS (SELECT 1 FROM ownership WHERE house_id = :h AND party_id = :p) "
            "OR EXISTS (SELECT 1 FROM liability WHERE house_id = :h AND party_id = :p) "
            "OR EXISTS (SELECT 1 FROM bill WHERE house_id = :h AND party_id = :p)"
        ),
        {"h": house_id, "p": party_id},
    )
    if not found:
        raise NotFound("当事人")


def require_community(scope: Scope, community_id: int) -> Any:
    """Return (id, company_id, code, name) of a community of the company. Raises NotFound."""
    row = db.session.execute(
        text(
            "SELECT id, company_id, code, name FROM community "
            "WHERE id = :id AND company_id = :company"
        ),
        {"id": community_id, "company": scope.company_id},
    ).first()
    if row is None:
        raise NotFound("小区")
    return row
