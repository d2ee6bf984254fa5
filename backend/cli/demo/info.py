"""What a newcomer needs to walk through the demo: addresses, log-ins, the owner's query code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from flask import current_app
from sqlalchemy import text

from backend.cli.demo import staff
from backend.cli.demo.payers import Household
from backend.config import var_folder
from backend.db import db
from backend.usecases.pay_codes_of_house import pay_codes_of_house

FOLDER = var_folder(Path(__file__).resolve().parents[3]) / "demo"
_KEPT = FOLDER / "demo.json"


def remember(owner: Household, community_id: int) -> None:
    """Keep which house the newcomer plays."""
    [code] = pay_codes_of_house(community_id=community_id, house_code=owner.code)
    kept = {"house_code": owner.code, "pay_code": code.code, "owner": code.name_masked}
    _KEPT.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")


def lines() -> Iterator[str]:
    """Return the lines that `make run` prints."""
    settings = current_app.config["SETTINGS"]
    here = settings.public_base_url
    known = set(db.session.scalars(text("SELECT login FROM steward WHERE active")))
    logins = [each for each in staff.STAFF if each[0] in known]
    if logins:
        yield f"  管理端登录 / log-ins at {here}/admin/  (密码 password: {staff.PASSWORD})"
        for login, _, role, note in logins:
            yield f"    {login:<9} {role:<8} {note}"
    if _KEPT.exists():
        kept = json.loads(_KEPT.read_text(encoding="utf-8"))
        yield (
            f"  示范业主 / demo owner: {kept['owner']}, {kept['house_code']}, "
            f"{settings.wechatpay_api_base}/phone"
        )
        yield f"  快捷缴费 / quick pay: {here}/pay/  查询码 code: {kept['pay_code']}"
