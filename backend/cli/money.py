"""Prices, late-fee clauses, points and bill runs; the pay code of a house."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import click
from flask.cli import AppGroup

from backend.cli.speak import (
    BY,
    COMMUNITY,
    COMPANY,
    FILE,
    Day,
    as_json,
    done,
    read_json,
    refusing,
    table,
)  # fmt: skip
from backend.estate.queries import community_by_code
from backend.money import yuan_text
from backend.usecases.issue_bills import continue_bill_run, preview_bill_run, start_bill_run
from backend.usecases.pay_codes_of_house import pay_codes_of_house
from backend.usecases.publish_standard import draft_of, publish_standard, set_late_fee_terms
from backend.usecases.set_up import add_points_programme

standard = AppGroup("standard", help="收费标准 / fee standards.")
latefee = AppGroup("latefee", help="违约金条款 / late-fee clauses.")
points = AppGroup("points", help="积分活动 / points programmes.")
bills = AppGroup("bills", help="出账 / bill runs.")
code_group = AppGroup("code", help="缴费查询码 / pay codes.")
COMMANDS = (standard, latefee, points, bills, code_group)
PERIOD = (
    click.option("--from", "start", type=Day(), required=True, help="账期首日 / first day"),
    click.option("--to", "end", type=Day(), required=True, help="账期末日的次日 / the day after"),
    click.option("--part-month", is_flag=True, help="允许不足整月 / the period may cut a month"),
)


@standard.command("publish")
@FILE
@COMMUNITY
@COMPANY
@refusing
def standard_publish(path: str, code: str, company: str | None) -> None:
    """公示收费标准 / publish fee standards: one object or a list."""
    file, place = read_json(path), community_by_code(code, company=company)
    for entry in file if isinstance(file, list) else [file]:
        publish_standard(community_id=place.id, draft=draft_of(entry), by=BY)
        done(f"已公示 {entry['code']} {entry['name']}", "published")


@latefee.command("set")
@FILE
@COMMUNITY
@COMPANY
@refusing
def latefee_set(path: str, code: str, company: str | None) -> None:
    """登记违约金条款与证明 / store the late-fee clause and its proof."""
    file, place = read_json(path), community_by_code(code, company=company)
    item = file.pop("item_code", "")
    set_late_fee_terms(community_id=place.id, item_code=item, terms=file, by=BY)
    done(f"收费项目 {item} 的违约金条款已登记", "late-fee terms stored")


@points.command("start")
@COMMUNITY
@COMPANY
@click.option("--title", default="按时缴费积分")
@click.option("--per-yuan", type=Decimal, default=Decimal(1), help="每元积分 / points a yuan")
@click.option("--from", "start", type=Day(), required=True)
@refusing
def points_start(
    code: str, company: str | None, title: str, per_yuan: Decimal, start: date
) -> None:
    """公布积分活动 / announce a points programme."""
    place = community_by_code(code, company=company)
    add_points_programme(
        community_id=place.id, title=title, points_per_yuan=per_yuan, valid_from=start, by=BY
    )
    done(f"积分活动「{title}」自 {start} 起", "programme started")


@bills.command("preview")
@COMMUNITY
@COMPANY
@PERIOD[0]
@PERIOD[1]
@PERIOD[2]
@refusing
def bills_preview(code: str, company: str | None, start: date, end: date, part_month: bool) -> None:
    """试算，不写入 / compute a run without writing anything."""
    place = community_by_code(code, company=company)
    as_json(
        preview_bill_run(
            community_id=place.id, period_from=start, period_to=end, part_month=part_month
        )
    )


@bills.command("issue")
@COMMUNITY
@COMPANY
@PERIOD[0]
@PERIOD[1]
@PERIOD[2]
@refusing
def bills_issue(code: str, company: str | None, start: date, end: date, part_month: bool) -> None:
    """出账；可重复，只补缺少的 / issue bills; again adds only what is missing."""
    place = community_by_code(code, company=company)
    run_id = start_bill_run(
        community_id=place.id,
        period_from=start,
        period_to=end,
        by=BY,
        company_id=place.company_id,
        part_month=part_month,
    )
    result = continue_bill_run(run_id)
    done(
        f"账单 {result.bills} 张，合计 {yuan_text(result.total_fen)} 元，房屋 {result.houses} 套",
        f"{result.bills} bills",
    )


@code_group.command("show")
@COMMUNITY
@COMPANY
@click.option("--house", required=True, help="房屋编号，如 1-1-101 / house code")
@refusing
def code_show(code: str, company: str | None, house: str) -> None:
    """显示房屋的缴费查询码 / show the pay codes of a house."""
    place = community_by_code(code, company=company)
    rows = pay_codes_of_house(community_id=place.id, house_code=house)
    table(("当事人", "查询码"), ((row.name_masked, row.code) for row in rows))
