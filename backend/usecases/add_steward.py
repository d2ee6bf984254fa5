"""Staff is added, and a password reset, from the command line or by an administrator."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.exc import IntegrityError

from backend import audit, clock
from backend.db import db, transaction
from backend.errors import NotFound, Refusal
from backend.estate.models import Building, Community
from backend.identity import steward_auth
from backend.identity.models import ROLES, Steward, StewardBuilding


def add_steward(
    *,
    company_id: int,
    login: str,
    name: str,
    role: str,
    password: str,
    building_ids: Collection[int] = (),
    by: str,
) -> int:
    """Add a member of staff and return the id.

    building_ids: the scope of the role `steward`, of the same company. Raises Refusal
    `role_unknown`, `password_too_weak` (422), `login_taken` (409); NotFound for a foreign building.
    """
    if role not in ROLES:
        raise Refusal("role_unknown", message_zh=f"岗位「{role}」不存在。", http=422)
    password_hash = steward_auth.hash_password(password)
    with transaction():
        _require_buildings(company_id, building_ids)
        steward = Steward(
            company_id=company_id, login=login, name=name, role=role, password_hash=password_hash
        )
        db.session.add(steward)
        try:
            db.session.flush()
        except IntegrityError as error:
            raise Refusal("login_taken", message_zh=f"登录名「{login}」已被使用。") from error
        for building_id in sorted(set(building_ids)):
            db.session.add(StewardBuilding(steward_id=steward.id, building_id=building_id))
        _audit(steward, "steward_added", by, role=role, buildings=sorted(set(building_ids)))
        return steward.id


def reset_password(*, company_id: int, login: str, password: str, by: str) -> None:
    """Set a new password, lift the lock and revoke all tokens. Raises NotFound."""
    password_hash = steward_auth.hash_password(password)
    with transaction():
        steward = steward_auth.lock_by_login(login)
        if steward is None or steward.company_id != company_id:
            raise NotFound("员工")
        steward.password_hash = password_hash
        steward.failed_logins, steward.locked_until = 0, None
        steward.token_version += 1
        _audit(steward, "steward_password_reset", by)


def _require_buildings(company_id: int, building_ids: Collection[int]) -> None:
    wanted = set(building_ids)
    found = set(
        db.session.scalars(
            db.select(Building.id)
            .join(Community, Community.id == Building.community_id)
            .where(Building.id.in_(wanted), Community.company_id == company_id)
        )
    )
    if wanted - found:
        raise NotFound("楼栋")


def _audit(steward: Steward, action: str, by: str, **detail: object) -> None:
    audit.record(
        actor=by,
        action=action,
        object=f"steward:{steward.id}",
        at=clock.wire_now(),
        company_id=steward.company_id,
        detail=detail,
    )
