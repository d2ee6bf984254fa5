"""The acts of the demo in their order, on a business clock that is set back and walks forward."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from flask import current_app
from sqlalchemy import text

from backend import clock
from backend.cli.demo import payers, staff
from backend.cli.demo.info import FOLDER, remember
from backend.cli.demo.owner import give_phone, owner_of_the_demo
from backend.cli.demo.platforms import Console, open_accounts
from backend.cli.speak import BY
from backend.db import db
from backend.errors import Refusal
from backend.estate.queries import community_by_code
from backend.estate.roster_synthetic import synthetic_roster
from backend.jobs.run_due import run_due
from backend.usecases import set_up
from backend.usecases.import_roster import Options, import_roster
from backend.usecases.issue_bills import continue_bill_run, start_bill_run
from backend.usecases.publish_standard import set_late_fee_terms
from backend.usecases.set_clock import set_business_time

COMPANY, COMMUNITY, HC = "JQ", "SUN", "HC"
HOTLINE = "400-000-0000"
BASIS = "示范：前期物业服务合同附件二《收费标准》，小区公示栏公示"
HC_WORKBOOK = Path(__file__).resolve().parents[3] / "tests" / "data" / "hc" / "hc.xlsx"
LATE_FEE = {
    "contract_daily_rate": "0.0005", "clause_page": "12",
    "clause_text": "逾期按日万分之五支付违约金",
    "notice_proof": "合同第12页加粗并由业主单独签名", "grace_days": 15, "cap_percent": "30",
}  # fmt: skip
PAY_DAYS = (4, 9, 15, 21, 27)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much demo: households, months of bills up to the current one, seed of all chance."""

    households: int
    months: int
    seed: int


def has_company() -> bool:
    """Tell whether any company exists."""
    return bool(db.session.scalar(text("SELECT EXISTS (SELECT 1 FROM company)")))


def tell(plan: Plan, *, say: Say) -> None:
    """Make the whole demo. Raises Refusal `demo_not_here` (production), `demo_not_empty` (409),
    `sandbox_away`.
    """
    if current_app.config["SETTINGS"].is_production:
        raise Refusal("demo_not_here", message_zh="生产环境不能载入示范数据。")
    if has_company():
        raise Refusal(
            "demo_not_empty",
            message_zh="系统中已有企业，示范数据只能载入空的系统。",
            what_to_do="停止运行并删除 var/ 后重新 make run，即可从空的系统开始。",
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    months = months_until(clock.date_of(clock.wire_now()), plan.months)
    try:
        set_business_time(_at(months[0], 8))
        owner, community_id = _live_through(plan, months, say)
    finally:
        set_business_time(None)
    run_due()
    remember(owner, community_id)


def _live_through(plan: Plan, months: list[date], say: Say) -> tuple[payers.Household, int]:
    """Set everything up and live month by month; return the newcomer's household."""
    company_id = _company(say)
    community_id = _roster(plan, months[0], say)
    _hc_roster(say)
    staff.hire(company_id=company_id, community_id=community_id)
    _prices(community_id, months[0])
    homes = payers.households(community_id, seed=plan.seed)
    owner = owner_of_the_demo(community_id, homes)
    homes = [home for home in homes if home.house_id != owner.house_id]
    for number, month in enumerate(months):
        _month(month, homes, company_id, say)
        if number == 0:
            payers.pay_all([(owner, payers.open_bills(owner))], company_id=company_id)
            give_phone(owner, company_id)
    return owner, community_id


def months_until(today: date, count: int) -> list[date]:
    """Return the first days of the last `count` months, the current one included."""
    first = today.replace(day=1)
    months = [first]
    while len(months) < count:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    return months[::-1]


def _at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=clock.SHANGHAI)


def _company(say: Say) -> int:
    files = open_accounts(Console(), company=COMPANY, hotline=HOTLINE)  # first: it may be away
    company_id = set_up.add_company(code=COMPANY, name="缴清示范物业", hotline=HOTLINE, by=BY)
    for code, name in ((COMMUNITY, "阳光花园"), (HC, "幸福里（HC 导入）")):
        set_up.add_community(company=COMPANY, code=code, name=name, hotline=HOTLINE, by=BY)
    for kind in ("miniprogram", "official_account"):
        set_up.add_app(file=files[kind] | {"company": COMPANY}, by=BY)
    set_up.add_sms(file=files["sms"] | {"company": COMPANY}, by=BY)
    for channel in ("wechatpay", "alipay"):
        set_up.add_merchant(file=files[channel] | {"company": COMPANY}, by=BY)
    say("企业、小区、商户、小程序、公众号、短信已开通（沙箱）")
    return company_id


def _roster(plan: Plan, since: date, say: Say) -> int:
    """Write the generated roster to a workbook and import it, as a user would."""
    community = community_by_code(COMMUNITY, company=COMPANY)
    community_id = community.id
    start = since.replace(month=1, day=1)
    made = synthetic_roster(
        plan.households, seed=plan.seed, cycles={1: 1.0}, community=community.name,
        charged_from=start,
    )  # fmt: skip
    path = made.write(FOLDER / "roster.xlsx")
    report = import_roster(
        community_id=community_id, data=path.read_bytes(), filename=path.name,
        options=Options(basis=BASIS), by=BY,
    )  # fmt: skip
    _keep(report, "roster-report.json")
    say(f"名册 {path.name}：新增 {report.counts['created']} 行，拒收 {report.counts['refused']} 行")
    return community_id


def _hc_roster(say: Say) -> None:
    """Import the workbook of another system: three of its houses name owners who do not exist."""
    if not HC_WORKBOOK.exists():
        say(f"HC 名册：没有文件 tests/data/hc/{HC_WORKBOOK.name}，已跳过，“幸福里”小区为空")
        return
    report = import_roster(
        community_id=community_by_code(HC, company=COMPANY).id, data=HC_WORKBOOK.read_bytes(),
        filename=HC_WORKBOOK.name, options=Options(accept_partial=True, basis=BASIS), by=BY,
    )  # fmt: skip
    _keep(report, "hc-report.json")
    say(f"HC 名册：新增 {report.counts['created']} 行，拒收 {report.counts['refused']} 行")


def _keep(report, name: str) -> None:
    body = json.dumps(report.as_json(), ensure_ascii=False, indent=1, default=str)
    (FOLDER / name).write_text(body, encoding="utf-8")


def _prices(community_id: int, since: date) -> None:
    set_late_fee_terms(
        community_id=community_id, item_code="WY", by=BY,
        terms=LATE_FEE | {"clause_from": since.replace(month=1, day=1).isoformat()},
    )  # fmt: skip
    set_up.add_points_programme(
        community_id=community_id, title="按时缴费积分", points_per_yuan=Decimal(1),
        valid_from=since, by=BY,
    )  # fmt: skip


def _month(month: date, homes: list[payers.Household], company_id: int, say: Say) -> None:
    """Issue a month's bills, then let days pass: reminders go out, households pay."""
    end = (month + timedelta(days=31)).replace(day=1)
    community_id = community_by_code(COMMUNITY, company=COMPANY).id
    run_due(until=_at(month, 9))
    run_id = start_bill_run(
        community_id=community_id, period_from=month, period_to=end, by=BY, company_id=company_id
    )
    bills = continue_bill_run(run_id).bills
    now, paid = clock.wire_now(), 0
    for number in PAY_DAYS:
        moment = _at(month.replace(day=number), 10)
        if moment > now:
            break
        run_due(until=moment)
        wanted = payers.bills_to_pay(homes, moment.date())
        random.Random(number).shuffle(wanted)
        paid += payers.pay_all(wanted, company_id=company_id)
        run_due()
    run_due(until=min(_at(end - timedelta(days=1), 20), now))
    say(f"{month:%Y-%m}：账单 {bills} 张，缴费 {paid} 户次")
