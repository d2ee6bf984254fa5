"""Companies, communities, merchants, WeChat apps, SMS vendors and staff."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from backend.cli.speak import BY, COMPANY, FILE, done, read_json, refusing, table
from backend.estate.queries import (
    building_ids,
    communities,
    community_by_code,
    company_by_code,
)
from backend.identity.models import ROLES
from backend.usecases import set_up
from backend.usecases.add_steward import add_steward, reset_password

company = AppGroup("company", help="企业 / companies.")
community = AppGroup("community", help="小区 / communities.")
merchant = AppGroup("merchant", help="收款商户 / merchant accounts.")
wechat_app = AppGroup("app", help="小程序与公众号 / WeChat apps.")
sms = AppGroup("sms", help="短信服务 / SMS vendors.")
steward = AppGroup("steward", help="员工 / staff.")
COMMANDS = (company, community, merchant, wechat_app, sms, steward)


@company.command("add")
@click.option("--code", required=True)
@click.option("--name", required=True)
@click.option("--hotline", default="")
@refusing
def company_add(code: str, name: str, hotline: str) -> None:
    """新增企业 / add a company with its own data key."""
    set_up.add_company(code=code, name=name, hotline=hotline, by=BY)
    done(f"已新增企业 {name}({code})", "company added")


@community.command("add")
@click.option("--company", required=True)
@click.option("--code", required=True)
@click.option("--name", required=True)
@click.option("--hotline", default="")
@click.option("--payee", default=None, help="收款单位，默认企业本身 / who receives the money")
@refusing
def community_add(company: str, code: str, name: str, hotline: str, payee: str | None) -> None:
    """新增小区 / add a community."""
    set_up.add_community(company=company, code=code, name=name, hotline=hotline, payee=payee, by=BY)
    done(f"已新增小区 {name}({code})", "community added")


@community.command("list")
@refusing
def community_list() -> None:
    """列出小区 / list communities."""
    rows = ((c.company_code, c.code, c.name, c.houses) for c in communities())
    table(("企业", "小区代码", "名称", "房屋"), rows)


@merchant.command("add")
@FILE
@COMPANY
@refusing
def merchant_add(path: str, company: str | None) -> None:
    """保存商户密钥；同名即轮换 / store a merchant's keys; the same name rotates them."""
    file = _file(path, company)
    set_up.add_merchant(file=file, by=BY)
    done(f"商户 {file['name']} 已保存", "merchant stored")


@wechat_app.command("add")
@FILE
@COMPANY
@refusing
def app_add(path: str, company: str | None) -> None:
    """保存小程序或公众号 / store a mini-program or official account."""
    file = _file(path, company)
    set_up.add_app(file=file, by=BY)
    done(f"应用 {file['name']} 已保存", "app stored")


@sms.command("add")
@FILE
@COMPANY
@refusing
def sms_add(path: str, company: str | None) -> None:
    """保存短信服务 / store an SMS vendor."""
    file = _file(path, company)
    set_up.add_sms(file=file, by=BY)
    done(f"短信服务 {file['name']} 已保存", "SMS vendor stored")


@steward.command("add")
@click.option("--company", required=True)
@click.option("--login", required=True)
@click.option("--name", required=True)
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--community", "code", default=None, help="楼栋所在小区 / where the buildings are")
@click.option("--building", "buildings", multiple=True, help="楼栋，可重复；steward 的责任范围")
@click.password_option()
@refusing
def steward_add(company, login, name, role, code, buildings, password) -> None:
    """新增员工 / add a member of staff."""
    owner = company_by_code(company)
    ids = building_ids(community_by_code(code, company=company).id, buildings) if code else ()
    add_steward(
        company_id=owner.id, login=login, name=name, role=role, password=password,
        building_ids=ids, by=BY,
    )  # fmt: skip
    done(f"已新增员工 {login}({role})", "steward added")


@steward.command("password")
@click.option("--company", required=True)
@click.option("--login", required=True)
@click.password_option()
@refusing
def steward_password(company: str, login: str, password: str) -> None:
    """重设密码并解除锁定 / set a new password and lift the lock."""
    reset_password(company_id=company_by_code(company).id, login=login, password=password, by=BY)
    done(f"{login} 的密码已重设", "password reset")


def _file(path: str, company: str | None) -> dict:
    file = read_json(path)
    return file | {"company": company} if company else file
