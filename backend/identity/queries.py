"""Reading identities: accounts, bindings, staff, apps; and which house an account may look at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Row, text

from backend.db import db
from backend.errors import NotFound
from backend.estate import privacy
from backend.identity.models import (
    Binding,
    OwnerAccount,
    OwnerOpenid,
    PayCode,
    Steward,
    WechatApp,
)
from backend.identity.rules import Candidate


@dataclass(frozen=True)
class App:
    """A registered WeChat app with its decrypted file; `config` holds secrets."""

    id: int
    company_id: int
    kind: str
    name: str
    appid: str
    config: dict[str, Any] = field(repr=False)


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


def app_by_appid(appid: str) -> App | None:
    """Return the registered app of an appid."""
    return _app(db.session.scalar(db.select(WechatApp).where(WechatApp.appid == appid)))


def app_named(name: str) -> App | None:
    """Return the registered app a push address names."""
    return _app(db.session.scalar(db.select(WechatApp).where(WechatApp.name == name)))


def apps_of(company_id: int, kind: str) -> list[App]:
    """Return the company's apps of a kind, oldest first."""
    rows = db.session.scalars(
        db.select(WechatApp)
        .where(WechatApp.company_id == company_id, WechatApp.kind == kind)
        .order_by(WechatApp.id)
    )
    return [app for row in rows if (app := _app(row)) is not None]


def _app(row: WechatApp | None) -> App | None:
    if row is None:
        return None
    config = privacy.decrypt_json(row.company_id, row.config_enc)
    return App(row.id, row.company_id, row.kind, row.name, row.appid, config)


def openid_of(*, account_id: int, appid: str) -> str | None:
    """Return the openid by which an app knows an account."""
    return db.session.scalar(
        db.select(OwnerOpenid.openid).where(
            OwnerOpenid.account_id == account_id, OwnerOpenid.appid == appid
        )
    )


def is_bound(account_id: int) -> bool:
    """Tell whether any house is bound to the account."""
    wanted = db.select(Binding.id).where(
        Binding.account_id == account_id, Binding.ended_at.is_(None)
    )
    return db.session.scalar(wanted.limit(1)) is not None


_HOUSES = text(
    """
    SELECT h.id AS house_id, h.code, h.community_id, c.name AS community_name, bi.party_id,
           CASE WHEN l.role IS NOT NULL THEN l.role
                WHEN o.id IS NOT NULL THEN 'co_owner' ELSE 'owner' END AS role
    FROM binding bi
    JOIN house h ON h.id = bi.house_id JOIN community c ON c.id = h.community_id
    LEFT JOIN liability l ON l.house_id = h.id AND l.party_id = bi.party_id
                         AND l.valid @> CAST(:today AS date)
    LEFT JOIN ownership o ON o.house_id = h.id AND o.party_id = bi.party_id
                         AND o.valid @> CAST(:today AS date)
    WHERE bi.account_id = :account AND bi.ended_at IS NULL ORDER BY c.name, h.code, bi.party_id
    """
)


def houses_of(account_id: int, today: date) -> Sequence[Row[Any]]:
    """Return the bindings: (house_id, code, community_id, community_name, party_id, role).

    role on the day: owner, user, developer, co_owner.
    """
    return db.session.execute(_HOUSES, {"account": account_id, "today": today}).all()


def pay_codes_of(account_id: int) -> dict[tuple[int, int], str]:
    """Return {(house, party): query code} of the account's live bindings that have one."""
    rows = db.session.execute(
        db.select(PayCode.house_id, PayCode.party_id, PayCode.code)
        .join(
            Binding,
            (Binding.house_id == PayCode.house_id) & (Binding.party_id == PayCode.party_id),
        )
        .where(Binding.account_id == account_id, Binding.ended_at.is_(None))
    )
    return {(row.house_id, row.party_id): row.code for row in rows}


def binding_of(account_id: int, house_id: int) -> Binding:
    """Return the account's live binding to a house, the earliest if several. Raises NotFound."""
    binding = db.session.scalar(
        db.select(Binding)
        .where(
            Binding.account_id == account_id,
            Binding.house_id == house_id,
            Binding.ended_at.is_(None),
        )
        .order_by(Binding.id)
        .limit(1)
    )
    if binding is None:
        raise NotFound("房屋")
    return binding


# Who has to do with a house today: owns it, is liable for it, or still owes a bill of it.
_PEOPLE = """
    SELECT house_id, party_id FROM ownership WHERE valid @> CAST(:today AS date) AND {where}
    UNION SELECT house_id, party_id FROM liability WHERE valid @> CAST(:today AS date) AND {where}
    UNION SELECT house_id, party_id FROM bill WHERE state IN ('open','part_paid') AND {where}
"""


def pairs_of_phone(*, company_id: int, phone: str, today: date) -> list[tuple[int, int]]:
    """Return the (house, party) pairs of everybody on the roster with this mobile number."""
    parties = list(
        db.session.scalars(
            text(
                "SELECT party_id FROM contact_point WHERE company_id = :c AND blind = :b "
                "AND kind = 'mobile' AND state = 'valid'"
            ),
            {"c": company_id, "b": privacy.blind(company_id, phone)},
        )
    )
    rows = db.session.execute(
        text(_PEOPLE.format(where="party_id = ANY(:ids)")), {"ids": parties, "today": today}
    )
    return [(row.house_id, row.party_id) for row in rows]


def houses_by_code(*, company_id: int, code: str, community_code: str | None) -> list[int]:
    """Return the houses of a company with this code, in one community or in all."""
    return list(
        db.session.scalars(
            text(
                "SELECT h.id FROM house h JOIN community c ON c.id = h.community_id "
                "WHERE c.company_id = :company AND h.code = :code "
                "AND (CAST(:community AS text) IS NULL OR c.code = :community) ORDER BY h.id"
            ),
            {"company": company_id, "code": code, "community": community_code},
        )
    )


def candidates(*, company_id: int, house_ids: Collection[int], today: date) -> list[Candidate]:
    """Return the people of these houses with their valid mobile numbers, decrypted."""
    rows = db.session.execute(
        text(
            f"SELECT w.house_id, w.party_id, p.name, array_remove(array_agg(cp.value_enc), NULL) "
            f"AS phones FROM ({_PEOPLE.format(where='house_id = ANY(:ids)')}) w "
            "JOIN party p ON p.id = w.party_id LEFT JOIN contact_point cp ON cp.party_id = p.id "
            "AND cp.kind = 'mobile' AND cp.state = 'valid' GROUP BY 1, 2, 3 ORDER BY 1, 2"
        ),
        {"ids": list(house_ids), "today": today},
    )
    return [
        Candidate(
            row.house_id,
            row.party_id,
            row.name,
            [privacy.decrypt(company_id, bytes(phone)) for phone in row.phones],
        )
        for row in rows
    ]
