"""Looking a household up; a search by phone number leaves a trace (C57)."""

from __future__ import annotations

from typing import Any

from backend import audit, clock
from backend.db import transaction
from backend.identity.scope import Scope
from backend.reports import search


def search_households(scope: Scope, q: str, *, cursor: str | None = None) -> dict[str, Any]:
    """Return {items, next_cursor}; see reports.search. The phone itself is not written down."""
    found = search.search_households(scope, q, cursor=cursor)
    if search.is_phone(q):
        with transaction():
            audit.record(
                actor=f"steward:{scope.steward_id}",
                action="searched_by_phone",
                object=f"company:{scope.company_id}",
                at=clock.wire_now(),
                company_id=scope.company_id,
                detail={"houses": [str(item["house_id"]) for item in found["items"]]},
            )
    return found
