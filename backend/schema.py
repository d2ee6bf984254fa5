"""Loads every room's tables, so that metadata is complete for migrations and mappers."""

from backend import audit, idempotency, tasks
from backend.billing import models as billing
from backend.conduct import models as conduct
from backend.dunning import models as dunning
from backend.estate import models as estate
from backend.fees import models as fees
from backend.identity import models as identity
from backend.ledger import models as ledger
from backend.payments import models as payments
from backend.points import models as points
from backend.reminders import models as reminders

__all__ = [
    "audit", "billing", "conduct", "dunning", "estate", "fees", "idempotency", "identity",
    "ledger", "payments", "points", "reminders", "tasks",
]  # fmt: skip
