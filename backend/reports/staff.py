"""Who works here."""

from __future__ import annotations

from typing import Any

from backend.db import db
from backend.estate.models import Company
from backend.identity.models import Steward


def staff_member(steward_id: int) -> dict[str, Any]:
    """Return {id, name, role, company_name} of a member of staff."""
    row = db.session.execute(
        db.select(Steward.id, Steward.name, Steward.role, Company.name.label("company_name"))
        .join(Company, Company.id == Steward.company_id)
        .where(Steward.id == steward_id)
    ).one()
    return dict(row._mapping)


def list_staff(company_id: int) -> dict[str, Any]:
    """Return {items: [{id, name, role}]} of the company's active staff, by name."""
    rows = db.session.execute(
        db.select(Steward.id, Steward.name, Steward.role)
        .where(Steward.company_id == company_id, Steward.active.is_(True))
        .order_by(Steward.name, Steward.id)
    )
    return {"items": [dict(row._mapping) for row in rows]}
