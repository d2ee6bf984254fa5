"""Reading identities: accounts, bindings, staff, apps."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from backend.db import db
from backend.identity.models import OwnerAccount, Steward


def owner_account(account_id: int) -> Row[Any] | None:
    """Return (id, company_id, token_version) of an owner account."""
    return db.session.execute(
        db.select(OwnerAccount.id, OwnerAccount.company_id, OwnerAccount.token_version).where(
            OwnerAccount.id == account_id
        )
    ).first()


def steward(steward_id: int) -> Row[Any] | None:
    """Return (id, company_id, role, name, active, token_version) of a member of staff."""
    return db.session.execute(
        db.select(
            Steward.id,
            Steward.company_id,
            Steward.role,
            Steward.name,
            Steward.active,
            Steward.token_version,
        ).where(Steward.id == steward_id)
    ).first()
