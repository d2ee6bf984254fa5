"""Finding a household by house code, name or complete phone, inside the scope (C57).

What was typed decides where is looked: eleven digits are a phone (found by its blind index), a
text with a digit is the beginning of a house code, anything else the beginning of a name.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import text

from backend.db import db
from backend.estate import privacy
from backend.estate.rules import mask_name, normalise_house_code, normalise_phone
from backend.identity.scope import Scope
from backend.money import yuan_text
from backend.reports.paging import PAGE, big, decode, page

_PARTIES_OF_HOUSE = """
    SELECT party_id FROM ownership WHERE house_id = h.id AND upper_inf(valid)
    UNION SELECT party_id FROM liability WHERE house_id = h.id AND upper_inf(valid)
    UNION SELECT party_id FROM bill WHERE house_id = h.id AND state IN ('open','part_paid')
"""
_HOUSES_OF_PARTIES = """
    SELECT house_id FROM ownership WHERE party_id IN (SELECT id FROM found) AND upper_inf(valid)
    UNION SELECT house_id FROM liability WHERE party_id IN (SELECT id FROM found)
        AND upper_inf(valid)
    UNION SELECT house_id FROM bill WHERE party_id IN (SELECT id FROM found)
        AND state IN ('open','part_paid')
"""


def is_phone(q: str) -> bool:
    """Tell whether the text is a complete phone number."""
    return _phone(q) is not None


def _phone(q: str) -> str | None:
    if len(re.sub(r"\D", "", q)) < 10:
        return None
    try:
        return normalise_phone(q)
    except ValueError:
        return None


def search_households(
    scope: Scope, q: str, *, cursor: str | None = None, limit: int = PAGE
) -> dict[str, Any]:
    """Return {items, next_cursor} by house id; one query. Names are masked. Raises `bad_cursor`."""
    after = decode(cursor, big) or (0,)
    found, condition, params = _condition(scope, q.strip())
    rows = db.session.execute(
        text(
            f"""
            WITH found AS ({found})
            SELECT h.id, h.code, c.name AS community,
                   coalesce(o.open_fen, 0) AS open_fen,
                   EXISTS (SELECT 1 FROM bill WHERE house_id = h.id AND NOT reversed) AS billed,
                   (SELECT p.name FROM party p WHERE p.id = coalesce(o.party_id,
                       (SELECT party_id FROM ({_PARTIES_OF_HOUSE}) w LIMIT 1))) AS party
            FROM house h JOIN community c ON c.id = h.community_id
            LEFT JOIN LATERAL (
                SELECT sum(open_fen) AS open_fen,
                       (array_agg(party_id ORDER BY open_fen DESC, id))[1] AS party_id
                FROM bill WHERE house_id = h.id AND state IN ('open','part_paid')) o ON true
            WHERE {scope.where("h")} AND h.id > :after AND {condition}
            ORDER BY h.id LIMIT :limit
            """
        ),
        {**scope.params, **params, "after": after[0], "limit": limit + 1},
    ).all()
    shown, next_cursor = page(rows, limit, lambda row: (row.id,))
    return {"items": [_item(row) for row in shown], "next_cursor": next_cursor}


def _condition(scope: Scope, q: str) -> tuple[str, str, dict[str, Any]]:
    """Return (parties looked for, condition on the house, values)."""
    company = {"company": scope.company_id}
    phone = _phone(q)
    if phone is not None:
        found = (
            "SELECT party_id AS id FROM contact_point "
            "WHERE company_id = :company AND blind = :blind AND state = 'valid'"
        )
        blind = privacy.blind(scope.company_id, phone)
        return found, f"h.id IN ({_HOUSES_OF_PARTIES})", {**company, "blind": blind}
    if any(character.isdigit() for character in q):
        codes = {"prefix": _prefix(_code(q)), "typed": _prefix(q)}
        condition = "(h.code LIKE :prefix OR h.code LIKE :typed)"
        return "SELECT NULL::bigint AS id", condition, codes
    found = "SELECT id FROM party WHERE company_id = :company AND name LIKE :prefix LIMIT 500"
    return found, f"h.id IN ({_HOUSES_OF_PARTIES})", {**company, "prefix": _prefix(q)}


def _code(q: str) -> str:
    """A complete code as people write it ("3栋1单元1201室"), else what was typed."""
    try:
        return normalise_house_code(q)
    except ValueError:
        return q


def _prefix(q: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", q) + "%"


def _item(row: Any) -> dict[str, Any]:
    return {
        "house_id": row.id,
        "house_code": row.code,
        "community_name": row.community,
        "party_name": mask_name(row.party or ""),
        "open_fen": int(row.open_fen),
        "open_text": yuan_text(int(row.open_fen)),
        "billed": row.billed,
    }
