"""The main loop from end to end, on real parts, with a check of every book at the end.

A roster of 2,000 households comes in by command, three months are billed, relay and workers run as
processes of their own, reminders go to the sandbox while 1,200 households pay at its cashier on
both channels, with callbacks lost and doubled; one promise is kept and one broken. Then `check_v1`
and the sandbox's own book must tell the same story to the fen.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from backend.cli.demo.platforms import open_accounts
from backend.db import db
from backend.usecases.record_promise import record_promise
from backend.usecases.start_payment import Payer, start_payment
from launcher.children import spawn, stop
from tests.factories.roster import synthetic_roster
from tests.support.wait import wait_for

PROJECT = Path(__file__).resolve().parents[2]
HC = PROJECT / "tests" / "data" / "hc" / "hc.xlsx"
HOUSEHOLDS, PAYMENTS, THREADS = 2000, 1200, 4
DELTA = timedelta(seconds=2)
MONEY_DUE = ("bill", "reminder", "dunning", "promise")


@dataclass(frozen=True)
class Home:
    """A household with open bills."""

    house_id: int
    party_id: int
    company_id: int
    bill_ids: tuple[int, ...]


class Story:
    """The commands of the product, and questions to its check views."""

    def __init__(self, app: Flask, sandbox: Any, folder: Path) -> None:
        self.app, self.sandbox, self.folder = app, sandbox, folder

    def flask(self, *words: str, exit_code: int = 0) -> str:
        """Run one command of the product; return what it printed."""
        answer = self.app.test_cli_runner().invoke(args=list(words))
        assert answer.exit_code == exit_code, (words, answer.output, answer.exception)
        return answer.output

    def file(self, name: str, content: Any) -> str:
        path = self.folder / name
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        return str(path)

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.app.app_context():
            return list(db.session.execute(text(statement), values))

    def one(self, statement: str, **values: Any) -> Any:
        return self.rows(statement, **values)[0][0]


@pytest.fixture
def story(app: Flask, live_server: Any, sandbox: Any, tmp_path: Path) -> Iterator[Story]:
    sandbox.post("/_sandbox/reset", everything=True)
    log, level = logging.getLogger("werkzeug"), logging.getLogger("werkzeug").level
    log.setLevel(logging.WARNING)  # thousands of callbacks would drown a failure's output
    yield Story(app, sandbox, tmp_path)
    log.setLevel(level)


@contextmanager
def processes(environment: dict[str, str], folder: Path) -> Iterator[list[subprocess.Popen]]:
    """Relay and workers as the Procfile starts them, two each for money and messages."""
    running = []
    queues = ("money", "money", "messages", "messages", "bulk")
    try:
        for number, words in enumerate((["relay"], *(["worker", queue] for queue in queues))):
            log = (folder / f"{number}-{'-'.join(words)}.log").open("wb")
            command = [sys.executable, "-m", "flask", "--app", "wsgi", *words]
            variables = {**os.environ, **environment, "LOG_LEVEL": "WARNING"}
            running.append(
                spawn(command, cwd=PROJECT, env=variables, stdout=log, stderr=subprocess.STDOUT)
            )
        yield running
    finally:
        for process in running:
            stop(process, signal.SIGTERM, patience=10)


def set_up_company(story: Story) -> None:
    """Company, communities, merchants of both channels, apps and SMS: by command."""
    story.flask("company", "add", "--code", "JQ", "--name", "缴清示范物业")
    for code, name in (("SUN", "缴清花园（合成数据）"), ("HC", "幸福里")):
        story.flask("community", "add", "--company", "JQ", "--code", code, "--name", name)

    class Console:
        def post(self, path: str, **body: Any) -> Any:
            return story.sandbox.post(f"/_sandbox/{path}", **body)

    with story.app.app_context():
        files = open_accounts(Console(), company="JQ", hotline="400-000-0000")
    commands = {"miniprogram": "app", "official_account": "app", "sms": "sms",
                "wechatpay": "merchant", "alipay": "merchant"}  # fmt: skip
    for kind, command in commands.items():
        path = story.file(f"{kind}.json", files[kind])
        story.flask(command, "add", "--file", path, "--company", "JQ")


def import_rosters(story: Story) -> None:
    """The HC workbook with its refused rows, and the generated one."""
    refused = story.flask("roster", "import", str(HC), "--community", "HC", exit_code=1)
    assert "整份文件没有导入" in refused
    assert story.one("SELECT count(*) FROM house") == 0
    report = json.loads(
        story.flask("roster", "import", str(HC), "--community", "HC", "--accept-partial", "--json")
    )
    assert report["imported"] and report["counts"] == {
        "created": 38, "updated": 0, "unchanged": 0, "refused": 3, "left_out": 1,
    }  # fmt: skip
    assert [
        (i["sheet"], i["row"], i["column"], i["reason_zh"])
        for i in report["issues"]
        if i["severity"] == "refused"
    ] == [
        ("房屋信息", row, "业主编号", f"业主编号 {row - 1} 在“业主信息”中不存在")
        for row in (7, 8, 9)
    ]
    path = synthetic_roster(HOUSEHOLDS).write(story.folder / "roster.xlsx")
    words = ("roster", "import", str(path), "--community", "SUN", "--basis", "合同附件二", "--json")
    first = json.loads(story.flask(*words))
    assert first["imported"] and first["counts"]["refused"] == 0
    again = json.loads(story.flask(*words))
    assert (again["counts"]["created"], again["counts"]["updated"]) == (0, 0)
    assert story.one("SELECT count(*) FROM house") == HOUSEHOLDS + 5


def issue_three_months(story: Story) -> None:
    """Late-fee terms, points, then September, October and November, each on its first day."""
    terms = {
        "item_code": "WY", "contract_daily_rate": "0.0005", "clause_text": "第9条",
        "clause_page": "12", "notice_proof": "加粗并签名", "clause_from": "2026-01-01",
    }  # fmt: skip
    story.flask("latefee", "set", "--file", story.file("late.json", terms), "--community", "SUN")
    story.flask("points", "start", "--community", "SUN", "--from", "2026-09-01")
    for first, last in (("09-01", "10-01"), ("10-01", "11-01"), ("11-01", "12-01")):
        story.flask("clock", "set", f"2026-{first}T08:00")
        period = ("--community", "SUN", "--from", f"2026-{first}", "--to", f"2026-{last}")
        preview = json.loads(story.flask("bills", "preview", *period))
        story.flask("bills", "issue", *period)
        issued = story.rows("SELECT bills, total_fen, state FROM bill_run ORDER BY id DESC LIMIT 1")
        assert tuple(issued[0]) == (preview["bills"], preview["total_fen"], "done")
        assert preview["bills"] > 1500
    assert "账单 0 张" in story.flask("bills", "issue", *period)


def households(story: Story) -> list[Home]:
    """Everybody who owes something, in house order."""
    return [
        Home(row.house_id, row.party_id, row.company_id, tuple(row.bills))
        for row in story.rows(
            "SELECT b.house_id, b.party_id, c.company_id, array_agg(b.id ORDER BY b.id) AS bills "
            "FROM bill b JOIN community c ON c.id = b.community_id WHERE b.open_fen > 0 "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2"
        )
    ]


def pay(story: Story, home: Home, channel: str) -> str:
    """Open an order for all bills of a household and pay it at the sandbox cashier."""
    with story.app.app_context():
        answer = start_payment(
            payer=Payer(f"code:{home.house_id}", home.party_id, home.company_id),
            bill_ids=home.bill_ids,
            channel=channel,
            method="h5" if channel == "wechatpay" else "qr",
            public_base_url=story.app.config["SETTINGS"].public_base_url,
        )
        number, params = answer["order"].out_trade_no, answer["params"]
        db.session.remove()
    how = {"h5_url": params["h5_url"]} if channel == "wechatpay" else {"qr_code": params["qr_code"]}
    story.sandbox.post("/_sandbox/pay", **how)
    return number


def pay_many(story: Story, homes: list[Home]) -> list[str]:
    """Let the households pay, THREADS at a time, on both channels in turn."""
    jobs = [(home, ("wechatpay", "alipay")[n % 2]) for n, home in enumerate(homes)]
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        return list(pool.map(lambda job: pay(story, *job), jobs))


LEFT = """
    SELECT 'inbox' AS what, count(*) AS n FROM inbox_pending
    UNION ALL SELECT 'order ' || state, count(*) FROM payment_order
        WHERE state NOT IN ('succeeded','succeeded_late','closed') GROUP BY state
    UNION ALL SELECT 'task ' || kind || ' ' || state, count(*) FROM task
        WHERE state IN ('ready','leased') AND due_at <= now() + make_interval(
            secs => (SELECT offset_seconds FROM business_clock WHERE id = 1))
        GROUP BY kind, state
"""


def wait_until_nothing_is_due(story: Story, seconds: float, what: str) -> None:
    """Wait for inbox, orders, messages and bulk work; a failure says what is left."""

    def nothing() -> bool:
        left = {row.what: row.n for row in story.rows(LEFT) if row.n}
        assert left == {}
        return True

    wait_for(nothing, seconds, what=what, every=0.5)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.covers("S15", "S23", "S24", "S34", "C71")
def test_the_main_loop(story: Story, product_environment, tmp_path) -> None:
    set_up_company(story)
    import_rosters(story)
    issue_three_months(story)
    homes = households(story)
    assert len(homes) > PAYMENTS + 200
    payers, rest = homes[:PAYMENTS], homes[PAYMENTS:]
    keeps, breaks = rest[0], rest[1]
    with processes(product_environment, tmp_path):
        # four of five SMS get no delivery report: fewer HTTP calls, and "accepted" must do
        story.sandbox.post("/_sandbox/faults", where="sms.outcome", kind="drop", rate=0.8, seed=3)
        story.flask("clock", "set", "2026-11-01T10:00")
        wait_until_nothing_is_due(story, 300, "the issue notices")
        notices = story.one("SELECT count(*) FROM check_v1.messages WHERE begun_at IS NOT NULL")
        assert notices > 1000

        lose_and_double_callbacks(story)
        story.flask("clock", "set", "2026-11-09T10:00")  # D-7: reminders go out while people pay
        numbers = pay_many(story, payers)
        promise_to_pay(story, keeps, breaks)
        wait_until_nothing_is_due(story, 300, "callbacks, janitor and reminders")
        hits = Counter()
        for fault in story.sandbox.get("/_sandbox/faults"):
            hits[fault["kind"]] += fault["hits"] if fault["where"].endswith(".notify") else 0
        assert hits["drop"] >= 60 and hits["duplicate"] >= 20
        story.sandbox.delete("/_sandbox/faults")

        numbers.append(pay(story, keeps, "wechatpay"))
        story.flask("clock", "set", "2026-11-12T10:00")  # the day after the promised one
        wait_until_nothing_is_due(story, 300, "the promises")
        story.flask("clock", "set", "2026-11-19T10:00")  # D+3 for whoever has not paid
        wait_until_nothing_is_due(story, 300, "the overdue reminders")
    story.flask("run-due")
    check_promises(story, keeps, breaks)
    check_money(story, numbers)
    check_messages(story)
    assert "未封存 0" in story.flask("audit", "verify")


def lose_and_double_callbacks(story: Story) -> None:
    """One callback in ten is never sent again, one in twenty arrives twice."""
    story.sandbox.post("/_sandbox/settings", time_factor=1000)  # no second try within the test
    for point in ("wechatpay.notify", "alipay.notify"):
        story.sandbox.post("/_sandbox/faults", where=point, kind="drop", rate=0.10, seed=7)
        story.sandbox.post(
            "/_sandbox/faults", where=point, kind="duplicate", rate=0.05, ms=50, seed=11
        )


def promise_to_pay(story: Story, *homes: Home) -> None:
    """Both promise everything for 11 November."""
    with story.app.app_context():
        for home in homes:
            owed = story.one(
                "SELECT sum(open_fen) FROM check_v1.bills WHERE id = ANY(:ids)",
                ids=list(home.bill_ids),
            )
            record_promise(
                house_id=home.house_id, party_id=home.party_id, company_id=home.company_id,
                amount_fen=int(owed), day=date(2026, 11, 11), pay_by="wechatpay",
                made_by="steward:1",
            )  # fmt: skip


def check_promises(story: Story, keeps: Home, breaks: Home) -> None:
    states = dict(map(tuple, story.rows("SELECT house_id, state FROM promise")))
    assert states == {keeps.house_id: "kept", breaks.house_id: "broken"}
    assert story.rows(
        "SELECT kind, state FROM steward_task WHERE house_id = :h AND kind = 'promise_broken'",
        h=breaks.house_id,
    ) == [("promise_broken", "open")]


def check_money(story: Story, numbers: list[str]) -> None:
    """The ledger sums to zero and is the sandbox's book, transaction by transaction."""
    assert story.rows("SELECT currency, sum(amount) FROM check_v1.postings GROUP BY 1 ORDER BY 1") \
        == [("CNY", 0), ("PT", 0)]  # fmt: skip
    book = {
        row["transaction_id"]: (row["channel"], row["merchant"], row["amount_fen"])
        for row in story.sandbox.get("/_sandbox/book/payments", paid=1)
    }
    assert len(book) == len(numbers) == PAYMENTS + 1
    assert Counter(channel for channel, _, _ in book.values()) == {"wechatpay": 601, "alipay": 600}
    ledger = {
        row.source_key: (row.account.split(":")[1], row.account.split(":")[2], int(row.fen))
        for row in story.rows(
            "SELECT j.source_key, p.account, sum(p.amount) AS fen FROM check_v1.journals j "
            "JOIN check_v1.postings p ON p.journal_id = j.id "
            "WHERE j.source_type = 'payment' AND p.account LIKE 'clearing:%' GROUP BY 1, 2"
        )
    }
    assert ledger == book
    assert story.rows("SELECT state, count(*) FROM check_v1.payment_orders GROUP BY 1") == [
        ("succeeded", PAYMENTS + 1)
    ]
    assert (
        story.one(
            "SELECT count(*) FROM check_v1.bills WHERE open_fen < 0 "
            "OR open_fen <> due_fen - paid_fen - waived_fen - credited_fen"
        )
        == 0
    )
    assert (
        story.one(
            "SELECT count(*) FROM check_v1.bills b LEFT JOIN (SELECT bill_id, sum(amount) AS fen "
            "FROM check_v1.postings WHERE account = 'receivable' GROUP BY 1) p ON p.bill_id = b.id "
            "WHERE coalesce(p.fen, 0) <> b.open_fen + b.late_fee_posted_fen - b.late_fee_paid_fen "
            "- b.late_fee_waived_fen"
        )
        == 0
    )
    paid = "SELECT unnest(bill_ids) FROM check_v1.payment_orders WHERE state = 'succeeded'"
    assert story.one(f"SELECT count(*) FROM check_v1.bills WHERE id IN ({paid}) AND open_fen > 0") \
        == 0  # fmt: skip
    assert story.one("SELECT sum(late_fee_paid_fen) FROM check_v1.bills") > 0
    # A notice is a duplicate when the janitor had heard of the payment first; there may be none.
    judged = set(story.rows("SELECT DISTINCT state, reason FROM check_v1.inbox"))
    assert judged - {("duplicate", "")} == {("settled", "")}
    assert story.one("SELECT count(*) FROM check_v1.inbox WHERE state = 'settled'") == PAYMENTS + 1
    by_asking = "SELECT count(*) FROM inbox WHERE event_key LIKE 'query:%'"
    assert story.one(by_asking) >= 60  # the janitor found what was lost
    assert story.one("SELECT count(*) FROM receipt WHERE number IS NULL") == 0


def check_messages(story: Story) -> None:
    """Nobody who had paid was reminded, and nobody twice, by the sandbox's own log."""
    sent = {row["out_id"]: row for row in story.sandbox.get("/_sandbox/book/messages")}
    paid_at = {
        row["out_trade_no"]: datetime.fromtimestamp(row["paid_at"] / 1000, UTC)
        for row in story.sandbox.get("/_sandbox/book/payments", paid=1)
    }
    paid_bills = {
        bill: paid_at[order.out_trade_no]
        for order in story.rows("SELECT out_trade_no, bill_ids FROM check_v1.payment_orders")
        for bill in order.bill_ids
    }
    begun = story.rows(
        "SELECT out_id, kind, bill_ids, begun_at FROM check_v1.messages "
        "WHERE begun_at IS NOT NULL AND kind = ANY(:kinds)",
        kinds=list(MONEY_DUE),
    )
    assert len(begun) > 2000
    wrongful = []
    for message in begun:
        if all(bill in paid_bills for bill in message.bill_ids):
            last = max(paid_bills[bill] for bill in message.bill_ids)
            taken = datetime.fromtimestamp(sent[message.out_id]["received_at"] / 1000, UTC)
            if max(message.begun_at, taken) > last + DELTA:
                wrongful.append(message.out_id)
    assert wrongful == []
    assert story.sandbox.get("/_sandbox/book/duplicates") == {"by_out_id": [], "by_text": []}
    assert (
        story.rows(
            "SELECT mb.bill_id, mb.stage, mb.window_key FROM message_bill mb JOIN message m "
            "ON m.id = mb.message_id WHERE m.state IN "
            "('calling','in_doubt','accepted','delivered') GROUP BY 1, 2, 3 HAVING count(*) > 1"
        )
        == []
    )
    ours = {row.out_id for row in story.rows("SELECT out_id FROM check_v1.messages")}
    assert set(sent) <= ours
    assert story.one("SELECT count(*) FROM check_v1.messages WHERE state = 'in_doubt'") == 0
