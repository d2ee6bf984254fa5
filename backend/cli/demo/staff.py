"""The demo's staff: one of each role, with a password that is printed, never used elsewhere."""

from __future__ import annotations

from sqlalchemy import text

from backend.cli.speak import BY
from backend.db import db
from backend.usecases.add_steward import add_steward

PASSWORD = "Jiaoqing-Demo-1"
STAFF = (
    ("guanjia", "管家甲", "steward", "管家：待办与走访"),
    ("guanjia2", "管家乙", "steward", "第二位管家（上门须两人）"),
    ("zhuguan", "客服主管", "lead", "主管"),
    ("caiwu", "财务员", "finance", "财务：出账、减免、退款"),
    ("admin", "管理员", "admin", "管理员"),
)


def hire(*, company_id: int, community_id: int) -> None:
    """Add everybody; the stewards get all buildings of the community."""
    buildings = list(
        db.session.scalars(
            text("SELECT id FROM building WHERE community_id = :c ORDER BY id"),
            {"c": community_id},
        )
    )
    for login, name, role, _ in STAFF:
        add_steward(
            company_id=company_id, login=login, name=name, role=role, password=PASSWORD,
            building_ids=buildings if role == "steward" else (), by=BY,
        )  # fmt: skip
