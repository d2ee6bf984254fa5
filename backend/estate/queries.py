"""Finding companies and communities by the codes people type."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import text

from backend.db import db
from backend.errors import Refusal
from backend.estate.models import Building, Community, Company


def company_by_code(code: str) -> Company:
    """Return a company. Raises Refusal `company_unknown`."""
    found = db.session.scalar(db.select(Company).where(Company.code == code))
    if found is None:
        raise Refusal(
            "company_unknown",
            message_zh=f"没有企业代码 {code}。",
            http=422,
            what_to_do="请先运行 flask company add。",
        )
    return found


def community_by_code(code: str, *, company: str | None = None) -> Community:
    """Return a community; `company` is needed only where two companies use the same code.

    Raises Refusal `community_unknown`, `community_ambiguous`.
    """
    query = db.select(Community).where(Community.code == code)
    if company is not None:
        query = query.where(Community.company_id == company_by_code(company).id)
    found = db.session.scalars(query).all()
    if not found:
        raise Refusal(
            "community_unknown",
            message_zh=f"没有小区代码 {code}。",
            http=422,
            what_to_do="运行 flask community list 查看，或 flask community add 新增。",
        )
    if len(found) > 1:
        raise Refusal(
            "community_ambiguous",
            message_zh=f"多家企业都有小区代码 {code}。",
            http=422,
            what_to_do="请用 --company 指明企业代码。",
        )
    return found[0]


def building_ids(community_id: int, codes: Collection[str]) -> list[int]:
    """Return ids of buildings by code. Raises Refusal `building_unknown` naming the missing."""
    rows = db.session.execute(
        db.select(Building.code, Building.id).where(
            Building.community_id == community_id, Building.code.in_(set(codes))
        )
    ).all()
    missing = sorted(set(codes) - {row.code for row in rows})
    if missing:
        raise Refusal(
            "building_unknown", message_zh=f"小区没有楼栋 {'、'.join(missing)}。", http=422
        )
    return [row.id for row in rows]


def communities() -> list[Any]:
    """Return rows (company_code, code, name, houses) of all communities."""
    return list(
        db.session.execute(
            text(
                "SELECT o.code AS company_code, c.code, c.name, "
                "(SELECT count(*) FROM house h WHERE h.community_id = c.id) AS houses "
                "FROM community c JOIN company o ON o.id = c.company_id ORDER BY 1, 2"
            )
        )
    )
