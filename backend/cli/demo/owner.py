"""The one owner a newcomer plays: a WeChat user at the sandbox, bound to a house with bills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import text

from backend.cli.demo.payers import Household
from backend.cli.demo.platforms import Console
from backend.db import db
from backend.errors import Refusal
from backend.estate import privacy
from backend.usecases.bind_house import bind_by_phone
from backend.usecases.login_owner import login_owner

_ONE_FEE = text(
    """
    SELECT h.id FROM house h JOIN liability l ON l.house_id = h.id AND upper_inf(l.valid)
    JOIN party p ON p.id = l.party_id AND p.kind = 'person'
    WHERE h.community_id = :c AND h.use = 'residential'
      AND (SELECT count(*) FROM house_fee f WHERE f.house_id = h.id) = 1
      AND (SELECT count(*) FROM liability m WHERE m.party_id = p.id) = 1
      AND EXISTS (SELECT 1 FROM contact_point c WHERE c.party_id = p.id AND c.kind = 'mobile')
    ORDER BY h.id LIMIT 1
    """
)


def owner_of_the_demo(community_id: int, homes: Sequence[Household]) -> Household:
    """Return a flat with one fee, a person and a mobile: one bill a month. He pays by hand."""
    house_id = db.session.scalar(_ONE_FEE, {"c": community_id})
    found = next((home for home in homes if home.house_id == house_id), None)
    if found is None:
        raise Refusal("demo_too_small", message_zh="示范户数太少，请用 --households 60 以上。")
    return replace(found, pays_after=None, channel="wechatpay")


def give_phone(owner: Household, company_id: int) -> None:
    """Make him a person at the sandbox, log him in, bind his house, follow the account.

    The platform tells of the follower by a call of its own: `make run` has the web process up.
    Without it (`flask demo` alone) he stays unknown as a follower and gets SMS.
    """
    enc, appid, official = db.session.execute(
        text(
            "SELECT c.value_enc, m.appid, o.appid FROM contact_point c, wechat_app m, wechat_app o "
            "WHERE c.party_id = :p AND c.kind = 'mobile' AND m.company_id = :c "
            "AND m.kind = 'miniprogram' AND o.company_id = :c AND o.kind = 'official_account' "
            "LIMIT 1"
        ),
        {"p": owner.party_id, "c": company_id},
    ).one()
    phone = privacy.decrypt(company_id, enc)
    db.session.rollback()
    console = Console()
    console.post("people", phone=phone, nickname="示范业主")
    code = console.post(f"people/{phone}/login-code", appid=appid)["code"]
    account = login_owner(appid=appid, code=code).account_id
    phone_code = console.post(f"people/{phone}/phone-code", appid=appid)["code"]
    bind_by_phone(
        account_id=account, company_id=company_id, phone_code=phone_code,
        bind_key=lambda reference: None,
    )  # fmt: skip
    console.post(f"people/{phone}/follow", appid=official)
