"""The commands: what they print, what they refuse, and that a refusal changes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from openpyxl import load_workbook
from sqlalchemy import text

from backend import clock
from backend.cli import register
from backend.cli.demo import info, story
from backend.cli.demo.story import months_until
from backend.db import db
from backend.usecases.issue_bills import continue_bill_run, start_bill_run
from launcher.children import spawn, stop
from tests.factories.estate import TODAY, make_bill, make_estate, set_business_now
from tests.factories.messages import open_channels, plan_reminder
from tests.support.wait import wait_for

PROJECT = Path(__file__).resolve().parents[2]


class Shell:
    """Runs commands in this process; `ok` and `no` insist on the exit status."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def run(self, *words: str, **options: Any) -> Any:
        return self.app.test_cli_runner().invoke(args=list(words), **options)

    def ok(self, *words: str, **options: Any) -> str:
        answer = self.run(*words, **options)
        assert answer.exit_code == 0, (answer.output, answer.exception)
        return answer.output

    def no(self, *words: str) -> str:
        answer = self.run(*words)
        assert answer.exit_code == 1, answer.output
        return answer.output


@pytest.fixture
def shell(app: Flask) -> Shell:
    return Shell(app)


@pytest.fixture
def town(shell: Shell) -> Shell:
    """A company with one community."""
    shell.ok("company", "add", "--code", "JQ", "--name", "缴清示范物业")
    shell.ok("community", "add", "--company", "JQ", "--code", "SUN", "--name", "阳光花园")
    return shell


def rows(app: Flask, statement: str, **values: object) -> list[tuple]:
    with app.app_context():
        return [tuple(row) for row in db.session.execute(text(statement), values)]


def write(folder: Path, content: Any) -> str:
    path = folder / "file.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return str(path)


PRICE = {
    "item_code": "WY", "item_name": "物业服务费", "code": "WY", "name": "住宅物业费",
    "method": "area", "rate": "1.3", "surcharge": "20", "effective_from": "2026-01-01",
    "basis": "合同第3条",
}  # fmt: skip


def test_every_command_explains_itself(shell):
    listed = shell.ok("--help")
    for name in ("company", "community", "merchant", "app", "sms", "steward", "roster", "standard",
                 "latefee", "points", "bills", "clock", "run-due", "relay", "worker", "audit",
                 "code", "demo", "demo-info"):  # fmt: skip
        assert f"\n  {name} " in listed
    assert callable(register)


def test_a_refusal_is_one_line_in_each_language_with_exit_status_one(town):
    said = town.no("company", "add", "--code", "JQ", "--name", "另一家")
    assert said == "✗ 企业代码 JQ 已存在。\n  company_exists: company_exists\n"
    said = town.no("bills", "preview", "--community", "NO", "--from", "2026-01-01",
                   "--to", "2026-02-01")  # fmt: skip
    assert "没有小区代码 NO" in said and "flask community list" in said
    assert rows(town.app, "SELECT code, name FROM company") == [("JQ", "缴清示范物业")]


def test_the_same_community_code_in_two_companies_asks_for_the_company(town):
    town.ok("company", "add", "--code", "C2", "--name", "另一家物业")
    town.ok("community", "add", "--company", "C2", "--code", "SUN", "--name", "阳光城")
    assert "请用 --company 指明" in town.no("points", "start", "--community", "SUN",
                                        "--from", "2026-01-01")  # fmt: skip
    town.ok("points", "start", "--community", "SUN", "--company", "C2", "--from", "2026-01-01")
    assert town.ok("community", "list").splitlines()[1:] == [
        "C2    SUN       阳光城    0", "JQ    SUN       阳光花园  0",
    ]  # fmt: skip


@pytest.mark.covers("C57")
def test_merchant_app_and_sms_files_are_stored_encrypted(town, sandbox, tmp_path):
    for command, file in (
        ("app", sandbox.post("/_sandbox/apps", kind="miniprogram", name="cli-mini")),
        ("merchant", sandbox.post("/_sandbox/merchants", channel="wechatpay", name="cli-wx")),
        ("merchant", sandbox.post("/_sandbox/merchants", channel="alipay", name="cli-ali")),
        ("sms", sandbox.post("/_sandbox/sms", name="cli-sms")),
    ):
        town.ok(command, "add", "--file", write(tmp_path, file), "--company", "JQ")
    assert rows(town.app, "SELECT name, channel FROM merchant ORDER BY 1") == [
        ("cli-ali", "alipay"), ("cli-wx", "wechatpay"),
    ]  # fmt: skip
    [(secret,)] = rows(town.app, "SELECT config_enc FROM merchant WHERE channel = 'wechatpay'")
    assert b"PRIVATE KEY" not in bytes(secret)
    bad = {"name": "x", "channel": "wechatpay", "wechatpay": {"mchid": "1"}, "company": "JQ"}
    assert "bad_merchant" in town.no("merchant", "add", "--file", write(tmp_path, bad))
    assert "bad_file" in town.no("merchant", "add", "--file", str(tmp_path / "none.json"))
    assert rows(town.app, "SELECT count(*) FROM merchant") == [(2,)]


def test_staff_gets_its_buildings_and_a_weak_password_is_refused(town):
    with town.app.app_context():
        make_estate(code="MOON", houses=1, buildings=2)
    words = ("steward", "add", "--company", "CO-MOON", "--login", "g1", "--name", "管家", "--role",
             "steward", "--community", "MOON", "--building", "2")  # fmt: skip
    assert "password" in town.no(*words, "--password", "123").lower()
    town.ok(*words, "--password", "Correct-Horse-9")
    assert rows(
        town.app, "SELECT b.code FROM steward_building s JOIN building b ON b.id = s.building_id"
    ) == [("2",)]
    assert "小区没有楼栋 9" in town.no(*words[:-1], "9", "--password", "Correct-Horse-9")
    town.ok("steward", "password", "--company", "CO-MOON", "--login", "g1",
            "--password", "Other-Horse-10")  # fmt: skip


def test_the_template_is_a_workbook_that_can_be_filled_in(shell, tmp_path):
    path = tmp_path / "模板.xlsx"
    shell.ok("roster", "template", str(path))
    assert {"房屋", "人员", "收费标准", "车位"} <= set(load_workbook(path).sheetnames)


@pytest.mark.covers("S1", "C8", "C43")
def test_prices_late_fee_and_bills_from_the_command_line(town, tmp_path):
    town.ok("standard", "publish", "--community", "SUN", "--file", write(tmp_path, [PRICE]))
    missing = {key: value for key, value in PRICE.items() if key != "basis"}
    assert "bad_standard" in town.no("standard", "publish", "--community", "SUN", "--file",
                                     write(tmp_path, missing))  # fmt: skip
    naked = {"item_code": "WY", "contract_daily_rate": "0.0005"}
    said = town.no("latefee", "set", "--community", "SUN", "--file", write(tmp_path, naked))
    assert "合同未约定或未提示违约金条款" in said
    proved = naked | {"clause_text": "第9条", "clause_page": "12", "notice_proof": "加粗",
                      "clause_from": "2026-01-01"}  # fmt: skip
    town.ok("latefee", "set", "--community", "SUN", "--file", write(tmp_path, proved))
    csv = tmp_path / "a.csv"
    csv.write_text("楼栋,单元,房号,面积,业主姓名,手机,收费项目,计费开始日期\n"
                   "1,1,101,94.56,王小明,13900000001,WY,2026-01-01\n", "utf-8")  # fmt: skip
    town.ok("roster", "import", str(csv), "--community", "SUN")
    period = ("--community", "SUN", "--from", "2026-11-01", "--to", "2026-12-01")
    short = (*period[:-1], "2026-11-30")
    for command in ("preview", "issue"):
        assert "账期须为整月" in town.no("bills", command, *short)
    part = json.loads(town.ok("bills", "preview", *short, "--part-month"))
    assert (part["bills"], part["total_fen"]) == (1, 13816)  # 142.928 × 29/30 = 138.1637…
    preview = json.loads(town.ok("bills", "preview", *period))
    assert (preview["bills"], preview["total_fen"]) == (1, 14293)
    assert rows(town.app, "SELECT count(*) FROM bill") == [(0,)]
    assert "账单 1 张，合计 142.93 元" in town.ok("bills", "issue", *period)
    assert "账单 0 张" in town.ok("bills", "issue", *period)
    shown = town.ok("code", "show", "--community", "SUN", "--house", "1-1-101")
    [(code,)] = rows(town.app, "SELECT code FROM pay_code")
    assert shown.splitlines()[1] == f"王*明   {code}"
    assert shown == town.ok("code", "show", "--community", "SUN", "--house", "1-1-101")
    assert "not_found" in town.no("code", "show", "--community", "SUN", "--house", "9-9-9")


def test_an_import_prints_every_refused_row_and_where_it_is(town, tmp_path):
    hc = str(PROJECT / "tests" / "data" / "hc" / "hc.xlsx")
    said = town.no("roster", "import", hc, "--community", "SUN")
    assert "拒收  房屋信息  7   业主编号  6     业主编号 6 在“业主信息”中不存在" in said
    assert "--accept-partial" in said
    assert rows(town.app, "SELECT count(*) FROM house") == [(0,)]
    said = town.ok("roster", "import", hc, "--community", "SUN", "--accept-partial")
    assert "房屋信息  5     0     0     3     0" in said
    report = json.loads(
        town.ok("roster", "import", hc, "--community", "SUN", "--accept-partial", "--json")
    )
    assert {"sheet": "房屋信息", "row": 2, "result": "unchanged"} in report["rows"]
    assert {"sheet": "房屋信息", "row": 7, "result": "refused"} in report["rows"]
    assert "roster_no_file" in town.no("roster", "import", "none.xlsx", "--community", "SUN")


def test_the_clock_moves_and_comes_back(shell):
    assert "2026-12-01 09:00:0" in shell.ok("clock", "set", "2026-12-01T09:00")
    with shell.app.app_context():
        assert clock.business_today() == date(2026, 12, 1)
    assert shell.ok("clock", "show").splitlines()[0].startswith("业务 business 2026-12-01 09:00")
    shell.ok("clock", "reset")
    with shell.app.app_context():
        assert abs((clock.business_now() - clock.wire_now()).total_seconds()) < 2
    assert shell.run("clock", "set", "morgen").exit_code == 2


@pytest.mark.covers("S23", "C67")
def test_run_due_walks_from_due_instant_to_due_instant(shell, sandbox):
    with shell.app.app_context():
        estate = make_estate(code="SUN", houses=2)
        open_channels(estate, sandbox, channels=("sms",))
        set_business_now(date(2026, 11, 1), "08:00")
        run_id = start_bill_run(
            community_id=estate.community_id, period_from=date(2026, 11, 1),
            period_to=date(2026, 12, 1), by="test", company_id=estate.company_id,
        )  # fmt: skip
        continue_bill_run(run_id)
    shell.ok("run-due", "--until", "2026-11-25T12:00")
    sent = rows(
        shell.app,
        "SELECT m.event, (m.due_at AT TIME ZONE 'Asia/Shanghai')::date, count(*) FROM message m "
        "WHERE m.state IN ('accepted','delivered') GROUP BY 1, 2 ORDER BY 2",
    )
    assert sent == [
        ("bill_issued", date(2026, 11, 1), 2), ("due_in_7", date(2026, 11, 9), 2),
        ("due_in_1", date(2026, 11, 15), 2), ("overdue_3", date(2026, 11, 19), 2),
    ]  # fmt: skip
    assert len(sandbox.get("/_sandbox/book/messages")) == 8
    before = rows(shell.app, "SELECT count(*) FROM message")
    assert "money 0、messages 0、bulk 0" in shell.ok("run-due")
    assert rows(shell.app, "SELECT count(*) FROM message") == before
    shell.ok("run-due", "--until", "2026-11-27T12:00")
    assert rows(shell.app, "SELECT kind, stage, count(*) FROM steward_task GROUP BY 1, 2") == [
        ("call", "S25", 2)
    ]


def test_audit_verify_names_the_first_altered_row(town, clean_database):
    town.ok("run-due")
    assert "已封存 2 条，未封存 0 条" in town.ok("audit", "verify")
    with psycopg.connect(clean_database.admin_url, autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE audit_event SET actor = 'nobody' WHERE action = 'community_added'")
    said = town.no("audit", "verify")
    assert "第 2 条不符" in said and "bad row 2: event was altered" in said


@pytest.mark.slow
def test_relay_and_worker_processes_send_what_is_due_and_stop_when_asked(
    shell, sandbox, product_environment, tmp_path
):
    with shell.app.app_context():
        set_business_now(TODAY, "10:00")
        estate = make_estate(code="SUN", houses=1)
        open_channels(estate, sandbox, channels=("sms",))
        home = estate.homes[0]
        bill_id = make_bill(estate, home)
    running = []
    try:
        for words in (["relay"], ["worker", "messages"], ["worker", "bulk"], ["worker", "money"]):
            log = (tmp_path / f"{'-'.join(words)}.log").open("wb")
            command = [sys.executable, "-m", "flask", "--app", "wsgi", *words]
            environment = {**product_environment, "PATH": "/usr/bin:/bin"}
            running.append(
                spawn(command, cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT)
            )
        with shell.app.app_context():
            plan_reminder(estate, home, [bill_id])
        sent = wait_for(lambda: sandbox.get("/_sandbox/book/messages"), 40, what="the reminder")
        assert len(sent) == 1
        unsealed = "SELECT count(*) FROM audit_pending"
        wait_for(lambda: rows(shell.app, unsealed) == [(0,)], 20, what="the sealer")
        for process in running:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(timeout=20) for process in running]
    finally:
        for process in running:
            stop(process, signal.SIGKILL, patience=5)
    assert codes == [0, 0, 0, 0]


def test_the_demo_leaves_a_system_with_a_company_alone(shell):
    shell.ok("company", "add", "--code", "JQ", "--name", "已有企业")
    assert shell.ok("demo", "--if-empty") == ""
    assert "demo_not_empty" in shell.no("demo")
    assert rows(shell.app, "SELECT name FROM company") == [("已有企业",)]
    assert rows(shell.app, "SELECT offset_seconds FROM business_clock") == [(0,)]
    assert months_until(date(2026, 1, 5), 3) == [
        date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1),
    ]  # fmt: skip


def test_the_demo_says_when_the_workbook_of_the_other_system_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(story, "HC_WORKBOOK", tmp_path / "hc.xlsx")
    said: list[str] = []
    story._hc_roster(said.append)
    assert said == ["HC 名册：没有文件 tests/data/hc/hc.xlsx，已跳过，“幸福里”小区为空"]


@pytest.mark.slow
def test_the_demo_tells_its_story(shell, live_server, sandbox, monkeypatch, tmp_path):
    monkeypatch.setattr(info, "FOLDER", tmp_path)
    monkeypatch.setattr(info, "_KEPT", tmp_path / "demo.json")
    monkeypatch.setattr("backend.cli.demo.story.FOLDER", tmp_path)
    sandbox.post("/_sandbox/reset", everything=True)
    shell.ok("demo", "--households", "40", "--months", "2")
    assert {p.name for p in tmp_path.iterdir()} == {
        "demo.json", "hc-report.json", "roster-report.json", "roster.xlsx",
    }  # fmt: skip
    assert json.loads((tmp_path / "hc-report.json").read_text())["counts"]["refused"] == 3
    kept = json.loads((tmp_path / "demo.json").read_text())
    assert rows(
        shell.app,
        "SELECT b.state, count(*) FROM bill b JOIN house h ON h.id = b.house_id "
        "WHERE h.code = :h GROUP BY 1 ORDER BY 1", h=kept["house_code"],
    ) == [("open", 1), ("paid", 1)]  # fmt: skip
    assert rows(shell.app, "SELECT sum(amount) FROM check_v1.postings") == [(0,)]
    assert rows(shell.app, "SELECT count(*) FROM steward_task WHERE state = 'open'")[0][0] > 0
    assert rows(shell.app, "SELECT offset_seconds FROM business_clock") == [(0,)]
    book = sandbox.get("/_sandbox/book/payments", paid=1)
    clearing = "SELECT sum(amount) FROM check_v1.postings WHERE account LIKE 'clearing:%'"
    assert rows(shell.app, clearing) == [(sum(row["amount_fen"] for row in book),)]
    said = shell.ok("demo-info")
    assert kept["pay_code"] in said and "guanjia" in said and "/admin/" in said
