"""One household on one page: who, what is owed, what was said, what may be done now.

One query per section, none of them growing with the rows of another. The caller has checked that
the house is in the scope. Names are shown (staff verify the person first), numbers are masked.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import text

from backend import clock
from backend.billing import queries as billing
from backend.billing.models import Bill
from backend.conduct import queries as conduct
from backend.db import db
from backend.estate import privacy
from backend.identity.scope import Scope, require_house
from backend.ledger import operations as ledger
from backend.money import decimal_text, yuan_text
from backend.reports import texts
from backend.reports.bills import bill_views, totals
from backend.reports.household_brief import brief_for

ROWS = 50
SHOWN_BILLS = 60


def get_household(scope: Scope, house_id: int) -> dict[str, Any]:
    """Return everything of the page; amounts as of today. Raises NotFound outside the scope."""
    require_house(scope, house_id)
    now, today = clock.business_now(), clock.business_today()
    house = _house(house_id)
    parties = _parties(house_id, today)
    bills = bill_views(_bills(house_id), as_of=today)
    primary = primary_party(bills, parties)
    credits = ledger.credits_of_houses(company_id=scope.company_id, house_ids=[house_id])
    sections = {
        "contacts": _contacts(house_id),
        "promises": _promises(house_id),
        "messages": _messages(house_id, scope.company_id),
        "holds": _holds(house_id, [party["party_id"] for party in parties], today),
        "payments": _payments(house_id),
    }
    mine = [bill for bill in bills if bill["party_id"] == primary]
    return {
        "house": house,
        "parties": parties,
        "primary_party_id": primary,
        "bills": bills,
        "totals": totals(mine),
        "credit_fen": credits.get((house_id, primary), 0) if primary else 0,
        **sections,
        "contact_allowed": _allowed(house_id, primary, now),
        "brief": brief_for(
            house_id=house_id, party_id=primary, bills=mine, today=today, now=now, **sections
        ),
        "as_of": now,
    }


def primary_party(bills: list[dict[str, Any]], parties: list[dict[str, Any]]) -> int | None:
    """Return whom the page is about: the liable party that owes, else who owes most, else who is
    liable today, else any owner."""
    owed: dict[int, int] = defaultdict(int)
    for bill in bills:
        owed[bill["party_id"]] += bill["open_fen"]
    liable = [party["party_id"] for party in parties if party["liable"]]
    candidates = [p for p in liable if owed[p] > 0]
    candidates += sorted((p for p in owed if owed[p] > 0), key=lambda p: (-owed[p], p))
    candidates += liable + [party["party_id"] for party in parties]
    return candidates[0] if candidates else None


def _house(house_id: int) -> dict[str, Any]:
    row = db.session.execute(
        text(
            "SELECT h.id, h.code, h.area, h.use, h.occupancy, c.name AS community, "
            "b.name AS building FROM house h JOIN community c ON c.id = h.community_id "
            "JOIN building b ON b.id = h.building_id WHERE h.id = :h"
        ),
        {"h": house_id},
    ).one()
    return {
        "id": row.id,
        "code": row.code,
        "community_name": row.community,
        "building": row.building,
        "area_text": f"{decimal_text(Fraction(row.area))}㎡",
        "use_text": texts.USE[row.use],
        "occupancy_text": texts.OCCUPANCY[row.occupancy],
    }


def _parties(house_id: int, today: date) -> list[dict[str, Any]]:
    """Everybody who owns, is liable or still owes a bill here, with their phones."""
    rows = db.session.execute(
        text(
            """
            WITH who AS (
                SELECT party_id, max(role) AS role, bool_or(liable) AS liable,
                       bool_or(current) AS current FROM (
                    SELECT party_id, 'owner' AS role, false AS liable,
                           valid @> CAST(:d AS date) AS current
                    FROM ownership WHERE house_id = :h
                    UNION ALL
                    SELECT party_id, role, valid @> CAST(:d AS date), valid @> CAST(:d AS date)
                    FROM liability WHERE house_id = :h
                    UNION ALL
                    SELECT party_id, NULL, false, true FROM bill
                    WHERE house_id = :h AND state IN ('open','part_paid')) s
                GROUP BY party_id)
            SELECT w.party_id, w.role, w.liable, p.name, cp.id AS phone_id, cp.masked, cp.source,
                   cp.state
            FROM who w JOIN party p ON p.id = w.party_id
            LEFT JOIN contact_point cp ON cp.party_id = w.party_id
            WHERE w.current
            ORDER BY w.liable DESC, w.party_id, cp.rank, cp.id
            """
        ),
        {"h": house_id, "d": today},
    )
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        party = found.setdefault(
            row.party_id,
            {
                "party_id": row.party_id,
                "name": row.name,
                "role_text": texts.ROLE.get(row.role or "", texts.FORMER),
                "liable": row.liable,
                "phones": [],
            },
        )
        if row.phone_id is not None:
            party["phones"].append(
                {
                    "id": row.phone_id,
                    "masked": row.masked,
                    "source_text": texts.PHONE_SOURCE[row.source],
                    "state": row.state,
                }
            )
    return list(found.values())


def _bills(house_id: int) -> list[Bill]:
    """Open bills first, then the latest others; at most SHOWN_BILLS, by due date."""
    ids = db.session.scalars(
        text(
            "SELECT id FROM bill WHERE house_id = :h "
            "ORDER BY (state IN ('open','part_paid')) DESC, due_date DESC, id DESC LIMIT :n"
        ),
        {"h": house_id, "n": SHOWN_BILLS},
    ).all()
    return billing.bills_by_id(ids)


def _contacts(house_id: int) -> list[dict[str, Any]]:
    rows = db.session.execute(
        text(
            "SELECT k.*, s.name AS steward, s2.name AS second FROM contact k "
            "JOIN steward s ON s.id = k.steward_id "
            "LEFT JOIN steward s2 ON s2.id = k.second_steward_id "
            "WHERE k.house_id = :h ORDER BY k.at DESC, k.id DESC LIMIT :n"
        ),
        {"h": house_id, "n": ROWS},
    )
    return [
        {
            "id": row.id,
            "party_id": row.party_id,
            "at": row.at,
            "kind_text": texts.KIND[row.kind],
            "result": row.result,
            "result_text": texts.RESULT[row.result],
            "reason_text": texts.REASON.get(row.reason_code, row.reason_code),
            "note": row.note,
            "steward_name": row.steward,
            "second_name": row.second,
        }
        for row in rows
    ]


def _promises(house_id: int) -> list[dict[str, Any]]:
    rows = db.session.execute(
        text(
            "SELECT p.*, s.name AS steward FROM promise p LEFT JOIN steward s "
            "ON p.made_by = 'steward:' || s.id WHERE p.house_id = :h ORDER BY p.id DESC LIMIT :n"
        ),
        {"h": house_id, "n": ROWS},
    )
    return [
        {
            "id": row.id,
            "party_id": row.party_id,
            "amount_fen": row.amount_fen,
            "amount_text": yuan_text(row.amount_fen),
            "day": row.day,
            "state": row.state,
            "state_text": texts.PROMISE[row.state],
            "made_by": row.steward or "业主本人",
        }
        for row in rows
    ]


def _messages(house_id: int, company_id: int) -> list[dict[str, Any]]:
    rows = db.session.execute(
        text(
            "SELECT id, coalesce(begun_at, due_at) AS at, channel, event, state, rendered_enc "
            "FROM message WHERE house_id = :h ORDER BY id DESC LIMIT :n"
        ),
        {"h": house_id, "n": ROWS},
    )
    return [
        {
            "id": row.id,
            "at": row.at,
            "channel_text": texts.MESSAGE_CHANNEL.get(row.channel, row.channel),
            "event_text": texts.event(row.event),
            "state_text": texts.MESSAGE_STATE[row.state],
            "text": privacy.decrypt(company_id, row.rendered_enc) if row.rendered_enc else "",
        }
        for row in rows
    ]


def _holds(house_id: int, party_ids: list[int], today: date) -> list[dict[str, Any]]:
    rows = db.session.execute(
        text(
            "SELECT id, kind, until_day, reason, party_id, bill_id FROM hold "
            "WHERE lifted_at IS NULL AND (until_day IS NULL OR until_day > :d) "
            "AND (house_id = :h OR (house_id IS NULL AND party_id = ANY(:p))) ORDER BY id"
        ),
        {"h": house_id, "p": party_ids, "d": today},
    )
    return [
        {
            "id": row.id,
            "kind": row.kind,
            "kind_text": conduct.HOLDS_ZH[row.kind],
            "until_day": row.until_day,
            "reason": row.reason,
            "liftable": row.kind != conduct.PROMISED,
        }
        for row in rows
    ]


def _payments(house_id: int) -> list[dict[str, Any]]:
    rows = db.session.execute(
        text(
            "SELECT out_trade_no, channel, state, amount_fen, coalesce(paid_at, created_at) AS at "
            "FROM payment_order WHERE house_id = :h ORDER BY created_at DESC, id DESC LIMIT :n"
        ),
        {"h": house_id, "n": ROWS},
    )
    return [
        {
            "out_trade_no": row.out_trade_no,
            "channel_text": texts.PAY_CHANNEL[row.channel],
            "state": row.state,
            "state_text": texts.ORDER[row.state],
            "amount_fen": row.amount_fen,
            "amount_text": yuan_text(row.amount_fen),
            "at": row.at,
        }
        for row in rows
    ]


def _allowed(house_id: int, party_id: int | None, now: datetime) -> dict[str, Any]:
    if party_id is None:
        nobody = conduct.Permission(False, "E-C21", "本户没有缴费义务人，不得联系。")
        return {"call": nobody.as_json(), "visit": nobody.as_json()}
    found = conduct.permissions([(house_id, party_id)], kinds=("call", "visit"), at=now)
    return {kind: found[(house_id, party_id, kind)].as_json() for kind in ("call", "visit")}
