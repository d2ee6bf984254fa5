"""The query codes of a house's quick-pay page, made on first use."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from backend import clock
from backend.db import db, transaction
from backend.errors import NotFound
from backend.estate.rules import mask_name
from backend.identity.pay_codes import pay_code


@dataclass(frozen=True)
class HouseCode:
    """The code of one party at a house; the name is masked."""

    party_id: int
    name_masked: str
    code: str


def pay_codes_of_house(*, community_id: int, house_code: str) -> list[HouseCode]:
    """Return the codes of the parties liable today or with open bills there. Raises NotFound."""
    with transaction():
        house_id = db.session.scalar(
            text("SELECT id FROM house WHERE community_id = :c AND code = :h"),
            {"c": community_id, "h": house_code},
        )
        if house_id is None:
            raise NotFound("房屋")
        parties = db.session.execute(
            text(
                "SELECT p.id, p.name FROM party p WHERE p.id IN ("
                "SELECT party_id FROM liability WHERE house_id = :h AND valid @> CAST(:d AS date) "
                "UNION SELECT party_id FROM bill WHERE house_id = :h AND open_fen > 0) ORDER BY 1"
            ),
            {"h": house_id, "d": clock.business_today()},
        ).all()
        now = clock.wire_now()
        return [
            HouseCode(p.id, mask_name(p.name), pay_code(house_id=house_id, party_id=p.id, at=now))
            for p in parties
        ]
