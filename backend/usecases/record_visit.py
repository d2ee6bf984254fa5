"""A visit is recorded: two different people of the company, always (C25)."""

from __future__ import annotations

from backend.db import db
from backend.dunning import rules
from backend.errors import NotFound
from backend.identity.models import Steward
from backend.identity.scope import Scope
from backend.usecases.record_contact import ContactInput, Recorded, record


def record_visit(*, scope: Scope, second_steward_id: int, contact: ContactInput) -> Recorded:
    """Record a visit of `scope.steward_id` and a colleague. results: rules.VISIT_RESULTS.

    Raises as `record_contact` does, Refusal `visit_needs_two` (422) for one person alone, NotFound
    for a colleague who is not active staff of the same company.
    """
    rules.check_two_people(first=scope.steward_id, second=second_steward_id)
    colleague = db.session.scalar(
        db.select(Steward.id).where(
            Steward.id == second_steward_id,
            Steward.company_id == scope.company_id,
            Steward.active.is_(True),
        )
    )
    if colleague is None:
        raise NotFound("同行人员")
    return record(scope=scope, kind="visit", contact=contact, second_steward_id=second_steward_id)
