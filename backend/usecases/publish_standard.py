"""Fee standards: drafted, then published with a basis; a new version ends the old one (S1–S3, C43).

Old bills keep the version they were issued from; a published version can only be ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.dialects.postgresql import insert as pg_insert

from backend import audit, clock
from backend.db import db, transaction
from backend.errors import Refusal
from backend.estate.models import Community
from backend.fees.models import FeeItem, FeeStandard, LateFeeTerms
from backend.fees.terms import FIELDS_ZH, terms_of, worse_for_owners
from backend.money import AMOUNT_PLACES, DAILY_RATE_PLACES, RATE_PLACES, exact


@dataclass(frozen=True)
class StandardDraft:
    """A price as the contract gives it. rate 元/㎡·月; surcharge and fixed 元/月; decimal texts."""

    item_code: str
    item_name: str
    code: str
    name: str
    method: str
    effective_from: date
    basis: str
    effective_to: date | None = None
    rate: str | None = None
    surcharge: str = "0"
    fixed: str | None = None
    cycle_months: int = 1
    anchor_day: int = 1
    due_day: int = 15
    pass_through: bool = False


def draft_of(entry: dict[str, Any]) -> StandardDraft:
    """Return the draft a JSON object describes: the fields of `StandardDraft`, dates as ISO texts.

    Raises Refusal `bad_standard` for a missing or unknown field or a date that is none.
    """
    try:
        days = {key: date.fromisoformat(entry[key]) for key in ("effective_from",)}
        if entry.get("effective_to"):
            days["effective_to"] = date.fromisoformat(entry["effective_to"])
        return StandardDraft(**entry | days)
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal(
            "bad_standard",
            message=str(error),
            message_zh="收费标准文件缺少字段、有多余字段或日期有误。",
            http=422,
            what_to_do="请对照 docs/operations.md 的示例补全。",
        ) from error


def publish_standard(*, community_id: int, draft: StandardDraft, by: str) -> int:
    """Publish a new version effective from a date and end the one before it; return its id.

    Raises Refusal `bad_standard` (method and price do not fit, no basis), AmountRefused for too
    many decimals; `standard_overlap` when a later version is already published.
    """
    _check(draft)
    now = clock.business_now()
    with transaction():
        community = db.session.get_one(Community, community_id)
        item = _item(community_id, draft)
        before = db.session.scalars(
            db.select(FeeStandard)
            .where(FeeStandard.community_id == community_id, FeeStandard.code == draft.code)
            .order_by(FeeStandard.version.desc())
        ).all()
        _end_before([v for v in before if v.published_at], draft.effective_from)
        standard = FeeStandard(
            community_id=community_id,
            fee_item_id=item.id,
            code=draft.code,
            version=(before[0].version if before else 0) + 1,
            name=draft.name,
            method=draft.method,
            rate=draft.rate,
            surcharge=draft.surcharge,
            fixed=draft.fixed,
            cycle_months=draft.cycle_months,
            anchor_day=draft.anchor_day,
            due_day=draft.due_day,
            effective=Range(draft.effective_from, draft.effective_to),
            basis=draft.basis,
            published_at=now,
            published_by=by,
        )
        db.session.add(standard)
        db.session.flush()
        audit.record(
            actor=by,
            action="fee_standard_published",
            object=f"fee_standard:{standard.id}",
            at=clock.wire_now(),
            company_id=community.company_id,
            detail={"code": draft.code, "version": standard.version, "basis": draft.basis},
        )
        return standard.id


def _check(draft: StandardDraft) -> None:
    is_area = draft.method == "area"
    fits = draft.method in ("area", "fixed", "parking") and (
        (is_area and draft.rate is not None and draft.fixed is None)
        or (not is_area and draft.fixed is not None and draft.rate is None)
    )
    if not fits or not draft.basis.strip():
        raise Refusal(
            "bad_standard",
            message_zh="收费标准须写明计费方式、对应的单价或金额，以及公示依据。",
            http=422,
            what_to_do="按面积计费填单价；固定或车位计费填每月金额；依据填合同条款或公示文件。",
        )
    if draft.rate is not None:
        exact(draft.rate, places=RATE_PLACES, what="单价")
    for value, what in ((draft.surcharge, "附加费"), (draft.fixed, "固定金额")):
        if value is not None:
            exact(value, places=AMOUNT_PLACES, what=what)


def _item(community_id: int, draft: StandardDraft) -> FeeItem:
    item = db.session.scalar(
        db.select(FeeItem).where(
            FeeItem.community_id == community_id, FeeItem.code == draft.item_code
        )
    )
    if item is None:
        item = FeeItem(
            community_id=community_id,
            code=draft.item_code,
            name=draft.item_name,
            pass_through=draft.pass_through,
        )
        db.session.add(item)
        db.session.flush()
    return item


def _end_before(versions: list[FeeStandard], day: date) -> None:
    for version in versions:
        upper = version.effective.upper
        if upper is not None and upper <= day:
            continue
        if version.effective.lower >= day:
            raise Refusal(
                "standard_overlap",
                message_zh=f"{version.name} 已有自 {version.effective.lower} 起执行的版本。",
                what_to_do="请选择更晚的生效日期。",
            )
        version.effective = Range(version.effective.lower, day)
    db.session.flush()


def set_late_fee_terms(
    *, community_id: int, item_code: str, terms: dict[str, Any], by: str
) -> None:
    """Store the contract's late-fee clause of a fee item (C8–C10).

    terms: contract_daily_rate (decimal text a day), clause_text, clause_page, notice_proof,
    clause_from (ISO date), grace_days, cap_percent, ceiling ('lpr4' or 'contract'), ceiling_basis.
    Raises Refusal `E-C08` when a rate comes without clause and proof of notice; `terms_worse` when
    bills of the item are issued and the terms would charge more for days that have passed.
    """
    rate = str(terms.get("contract_daily_rate", "0"))
    exact(rate, places=DAILY_RATE_PLACES, what="违约金日费率")
    proof = [terms.get(k) for k in ("clause_text", "clause_page", "notice_proof", "clause_from")]
    if rate.strip("0.") and not all(proof):
        raise Refusal(
            "E-C08",
            message="late-fee clause without proof",
            message_zh="合同未约定或未提示违约金条款，不能计收。",
            http=422,
            legal_basis="民法典496、497、585条",
            what_to_do="请补充条款原文、页码、提示证明与生效日期。",
        )
    with transaction():
        community = db.session.get_one(Community, community_id)
        item_id = db.session.scalar(
            text("SELECT id FROM fee_item WHERE community_id = :c AND code = :i"),
            {"c": community_id, "i": item_code},
        )
        if item_id is None:
            raise Refusal("item_unknown", message_zh=f"没有收费项目 {item_code}。", http=422)
        values = {k: v for k, v in terms.items() if k in LateFeeTerms.__table__.columns}
        if values.get("clause_from"):
            values["clause_from"] = date.fromisoformat(values["clause_from"])
        _refuse_worse_terms(item_id, values)
        db.session.execute(
            pg_insert(LateFeeTerms)
            .values(fee_item_id=item_id, **values)
            .on_conflict_do_update(index_elements=["fee_item_id"], set_=values)
        )
        audit.record(
            actor=by,
            action="late_fee_terms_set",
            object=f"fee_item:{item_id}",
            at=clock.wire_now(),
            company_id=community.company_id,
            detail={"rate": rate},
        )


def _refuse_worse_terms(item_id: int, values: dict[str, Any]) -> None:
    """Issued bills, open or paid, are never priced up afterwards by a change of their clause."""
    if not db.session.scalar(
        text("SELECT EXISTS (SELECT 1 FROM bill WHERE fee_item_id = :i)"), {"i": item_id}
    ):
        return
    row = db.session.get(LateFeeTerms, item_id, with_for_update=True)
    stored = {c: getattr(row, c) for c in LateFeeTerms.__table__.columns.keys()} if row else {}
    worse = worse_for_owners(
        terms_of(stored), terms_of(stored | values), today=clock.business_today()
    )
    if worse:
        raise Refusal(
            "terms_worse",
            message=f"worse for owners of issued bills: {', '.join(worse)}",
            message_zh="该收费项目已出账单，违约金条款不能改得对业主更不利："
            + "；".join(FIELDS_ZH[name] for name in worse)
            + "。",
            what_to_do="可登记相同或更优惠的条款；更高的约定只能用于新的收费项目。",
            legal_basis="民法典496、497、585条",
            fields={name: FIELDS_ZH[name] for name in worse},
        )
