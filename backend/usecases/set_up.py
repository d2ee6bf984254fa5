"""Setting a company up: company, community, merchants, WeChat apps, SMS, points programme.

Secrets are stored encrypted under the company's data key; adding a merchant again under the same
name rotates its keys and keeps the old verifiers by serial.
"""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range

from backend import audit, clock
from backend.db import db, transaction
from backend.errors import Refusal
from backend.estate import privacy
from backend.estate.models import Community, Company, Payee
from backend.identity.models import WechatApp
from backend.payments.gateways import bases
from backend.payments.models import Merchant
from backend.payments.providers.base import MerchantConfig, ProviderError
from backend.payments.providers.registry import provider_for
from backend.points.models import PointsProgramme
from backend.reminders.models import SmsAccount


def add_company(*, code: str, name: str, hotline: str = "", by: str) -> int:
    """Create a company with its own data key and a payee of the same name; return its id.

    Raises Refusal `company_exists`.
    """
    with transaction():
        if _company(code, missing_ok=True):
            raise Refusal("company_exists", message_zh=f"企业代码 {code} 已存在。")
        company = Company(
            code=code, name=name, hotline=hotline, data_key_wrapped=privacy.new_wrapped_key()
        )
        db.session.add(company)
        db.session.flush()
        db.session.add(Payee(company_id=company.id, name=name))
        _note(by, "company_added", f"company:{company.id}", company.id)
        return company.id


def add_community(
    *, company: str, code: str, name: str, hotline: str = "", payee: str | None = None, by: str
) -> int:
    """Create a community of a company; its money goes to `payee` (default: the company itself)."""
    with transaction():
        owner = _company(company)
        row = _payee(owner, payee)
        community = Community(
            company_id=owner.id, payee_id=row.id, code=code, name=name, hotline=hotline
        )
        exists = db.session.scalar(
            db.select(Community.id).where(Community.company_id == owner.id, Community.code == code)
        )
        if exists:
            raise Refusal("community_exists", message_zh=f"小区代码 {code} 已存在。")
        db.session.add(community)
        db.session.flush()
        _note(by, "community_added", f"community:{community.id}", owner.id)
        return community.id


def add_merchant(*, file: dict[str, Any], by: str) -> int:
    """Store a merchant file (docs/operations.md); return its id. Keys are tried before storing.

    Raises Refusal `bad_merchant` with what is wrong.
    """
    channel, name = file.get("channel"), file.get("name")
    if channel not in ("wechatpay", "alipay") or not name or not file.get(channel):
        raise Refusal(
            "bad_merchant",
            message_zh="商户文件缺少 name、channel 或对应平台的配置段。",
            http=422,
            what_to_do="请对照 docs/operations.md 的示例补全。",
        )
    with transaction():
        company = _company(file.get("company"))
        payee = _payee(company, file.get("payee"))
        config = dict(file[channel])
        row = db.session.scalar(db.select(Merchant).where(Merchant.name == name))
        if row is not None and (row.company_id, row.channel) != (company.id, channel):
            raise Refusal("bad_merchant", message_zh=f"商户名 {name} 已被占用。", http=422)
        if row is not None:
            config = _rotated(privacy.decrypt_json(company.id, row.config_enc), config)
        _try_keys(name, channel, config)
        if row is None:
            row = Merchant(
                company_id=company.id, payee_id=payee.id, name=name, channel=channel, config_enc=b""
            )
            db.session.add(row)
        row.payee_id = payee.id
        row.config_enc = privacy.encrypt_json(company.id, config)
        db.session.flush()
        _note(by, "merchant_stored", f"merchant:{row.id}", company.id)
        return row.id


def _rotated(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Keep the old platform key as a verifier while both are in use (facts: 7-day switch)."""
    verifiers = list(old.get("verifiers", []))
    if old.get("public_key_id") and old["public_key_id"] != new.get("public_key_id"):
        verifiers.append({"serial": old["public_key_id"], "public_key_pem": old["public_key_pem"]})
    known = {v["serial"] for v in new.get("verifiers", [])} | {new.get("public_key_id")}
    kept = [v for v in verifiers if v["serial"] not in known]
    return new | {"verifiers": [*new.get("verifiers", []), *kept]}


def _try_keys(name: str, channel: str, config: dict[str, Any]) -> None:
    try:
        provider_for(MerchantConfig(id=0, name=name, channel=channel, config=config), bases())
    except ProviderError as error:
        raise Refusal(
            "bad_merchant",
            message=str(error),
            message_zh=f"商户 {name} 的密钥或编号不可用：{error.detail or error.code}",
            http=422,
            what_to_do="请核对私钥（PKCS#8）、APIv3 密钥（32字节）与平台公钥。",
        ) from error


def add_app(*, file: dict[str, Any], by: str) -> int:
    """Store a mini-program or official account file; return its id."""
    with transaction():
        company = _company(file.get("company"))
        missing = [k for k in ("name", "kind", "appid", "secret") if not file.get(k)]
        if missing:
            raise Refusal("bad_app", message_zh=f"应用文件缺少 {'、'.join(missing)}。", http=422)
        row = db.session.scalar(db.select(WechatApp).where(WechatApp.name == file["name"]))
        if row is None:
            row = WechatApp(company_id=company.id, name=file["name"], config_enc=b"")
            db.session.add(row)
        row.kind, row.appid = file["kind"], file["appid"]
        row.config_enc = privacy.encrypt_json(company.id, file)
        db.session.flush()
        _note(by, "app_stored", f"wechat_app:{row.id}", company.id)
        return row.id


def add_sms(*, file: dict[str, Any], by: str) -> int:
    """Store an SMS vendor file; its receipts come to /notify/sms/<vendor>/<receipt_secret>."""
    with transaction():
        company = _company(file.get("company"))
        missing = [
            k for k in ("name", "vendor", "access_key_id", "receipt_secret") if k not in file
        ]
        if missing:
            raise Refusal("bad_sms", message_zh=f"短信文件缺少 {'、'.join(missing)}。", http=422)
        row = db.session.scalar(db.select(SmsAccount).where(SmsAccount.name == file["name"]))
        if row is None:
            row = SmsAccount(company_id=company.id, name=file["name"], config_enc=b"")
            db.session.add(row)
        row.vendor = file["vendor"]
        row.receipt_secret_hash = secret_hash(file["receipt_secret"])
        row.config_enc = privacy.encrypt_json(company.id, file)
        db.session.flush()
        _note(by, "sms_stored", f"sms_account:{row.id}", company.id)
        return row.id


def secret_hash(secret: str) -> str:
    """Return the form in which a path secret is compared and stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add_points_programme(
    *, community_id: int, title: str, points_per_yuan: Decimal, valid_from: date, by: str
) -> int:
    """Announce a points programme from a day on (C48). Raises Refusal `programme_exists`."""
    with transaction():
        community = db.session.get_one(Community, community_id)
        taken = db.session.scalar(
            text(
                "SELECT 1 FROM points_programme WHERE community_id = :c "
                "AND valid && daterange(:f, NULL)"
            ),
            {"c": community_id, "f": valid_from},
        )
        if taken:
            raise Refusal("programme_exists", message_zh="该期间已有积分活动。")
        programme = PointsProgramme(
            community_id=community_id,
            title=title,
            points_per_yuan=points_per_yuan,
            valid=Range(valid_from, None),
        )
        db.session.add(programme)
        db.session.flush()
        _note(by, "points_programme", f"points_programme:{programme.id}", community.company_id)
        return programme.id


def _company(code: str | None, *, missing_ok: bool = False) -> Company | None:
    company = db.session.scalar(db.select(Company).where(Company.code == (code or "")))
    if company is None and not missing_ok:
        raise Refusal(
            "company_unknown",
            message_zh=f"没有企业代码 {code}。",
            http=422,
            what_to_do="请先运行 flask company add。",
        )
    return company


def _payee(company: Company, name: str | None) -> Payee:
    payee = db.session.scalar(
        db.select(Payee).where(Payee.company_id == company.id, Payee.name == (name or company.name))
    )
    if payee is None:
        payee = Payee(company_id=company.id, name=name)
        db.session.add(payee)
        db.session.flush()
    return payee


def _note(by: str, action: str, object_: str, company_id: int) -> None:
    audit.record(
        actor=by, action=action, object=object_, at=clock.wire_now(), company_id=company_id
    )
