"""An owner proves that a house is his: by his phone number, or by name, house and last four digits.

Nothing personal is shown before, and a mismatch never says what did not fit. A try counts even if
it fails, so it is committed before anything is compared; the database refuses the sixth of a day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backend import audit, clock
from backend.db import db, transaction
from backend.errors import Refusal
from backend.estate.rules import normalise_house_code, normalise_phone
from backend.identity import operations, queries, rules
from backend.usecases.wechat_access import phone_number

MAX_CANDIDATES = 10


def bind_by_phone(
    *, account_id: int, company_id: int, phone_code: str, bind_key: Callable[[str], None]
) -> None:
    """Bind every house of the person whose roster phone is this WeChat user's number.

    Raises Refusal `binding_not_matched`, and those of `wechat_access.phone_number`.
    """
    app = _app_of(account_id, company_id)
    db.session.rollback()
    phone = normalise_phone(phone_number(app, phone_code))
    pairs = queries.pairs_of_phone(
        company_id=company_id, phone=phone or "", today=clock.business_today()
    )
    _bind(account_id, company_id, pairs, "phone", bind_key)


def bind_by_name(
    *,
    account_id: int,
    company_id: int,
    house_code: str,
    community_code: str | None,
    name: str,
    phone_last4: str,
    bind_key: Callable[[str], None],
) -> None:
    """Bind the person of this house whose name and last four phone digits are given.

    Raises Refusal `binding_not_matched` (the same for every mismatch), `binding_tries_used` (429).
    """
    today = clock.business_today()
    try:
        code = normalise_house_code(house_code)
    except ValueError:
        raise not_matched() from None
    houses = queries.houses_by_code(company_id=company_id, code=code, community_code=community_code)
    if not 0 < len(houses) <= MAX_CANDIDATES:
        raise not_matched()
    with transaction():
        operations.count_try(house_ids=houses, day=today)
        _note(account_id, company_id, "binding_tried", houses)
    people = queries.candidates(company_id=company_id, house_ids=houses, today=today)
    pairs = rules.matching(people, name=name, phone_last4=phone_last4)
    _bind(account_id, company_id, pairs, "name", bind_key)


def _bind(
    account_id: int,
    company_id: int,
    pairs: Sequence[tuple[int, int]],
    bound_by: str,
    bind_key: Callable[[str], None],
) -> None:
    if not pairs:
        raise not_matched()
    with transaction():
        operations.bind(account_id=account_id, pairs=pairs, bound_by=bound_by, now=clock.wire_now())
        bind_key(f"bound:{account_id}")
        _note(account_id, company_id, f"bound_by_{bound_by}", sorted({h for h, _ in pairs}))


def _app_of(account_id: int, company_id: int) -> queries.App:
    """Return the mini-program through which this account came."""
    for app in queries.apps_of(company_id, "miniprogram"):
        if queries.openid_of(account_id=account_id, appid=app.appid):
            return app
    raise not_matched()


def _note(account_id: int, company_id: int, action: str, houses: Sequence[int]) -> None:
    detail: dict[str, Any] = {"house_ids": list(houses)}
    audit.record(
        actor=f"account:{account_id}",
        action=action,
        object=f"owner_account:{account_id}",
        at=clock.wire_now(),
        company_id=company_id,
        detail=detail,
    )


def not_matched() -> Refusal:
    """The one answer to every mismatch."""
    return Refusal(
        "binding_not_matched",
        message="the details do not match the roster",
        message_zh="所填信息与物业登记不一致，未能绑定。",
        http=409,
        what_to_do="请核对小区、房号、姓名和预留手机号后四位；如已换号，请联系物业服务中心更新登记。",
    )
