"""The sealer: audit chain and gapless receipt numbers, outside business transactions."""

from __future__ import annotations

from backend import audit
from backend.billing.numbering import number_receipts
from backend.db import transaction


def seal_audit() -> int:
    """Seal pending audit events and number new receipts; return how many events were sealed."""
    with transaction():
        sealed = audit.seal_pending()
    with transaction():
        number_receipts()
    return sealed
