"""Query codes of the fixed quick-pay link: one per (house, party), never guessable in order."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert as pg_insert

from backend.db import db
from backend.identity.models import PayCode

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
LENGTH = 8


def pay_code(*, house_id: int, party_id: int, at: datetime) -> str:
    """Return the code of a party at a house, making it on first use; 32^8 possibilities."""
    wanted = db.select(PayCode.code).where(
        PayCode.house_id == house_id, PayCode.party_id == party_id
    )
    code = db.session.scalar(wanted)
    if code is None:
        code = db.session.scalar(
            pg_insert(PayCode)
            .values(
                code="".join(secrets.choice(ALPHABET) for _ in range(LENGTH)),
                house_id=house_id,
                party_id=party_id,
                created_at=at,
            )
            .on_conflict_do_nothing()
            .returning(PayCode.code)
        )
    return code or db.session.scalar(wanted)  # None: somebody else made it just now
