"""The mini-program's own services/ against the real product over HTTP, run by Node.

Node plays the phone (its `wx.request` is fetch); the product listens on a real port, the sandbox
is WeChat, WeChat Pay and Alipay; this process settles the inbox as a worker does. What the phone
was told is then compared with the product's database and the sandbox's own book.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.db import db
from backend.usecases.settle_payments import settle_payments
from tests.factories.estate import TODAY, make_bill, make_estate, make_merchant, set_business_now
from tests.support.owner import register_apps, scalar
from tests.support.wait import wait_for

MINIPROGRAM = Path(__file__).resolve().parents[2] / "miniprogram-stub"
PATIENCE = 120.0


def npm(script: str, environment: dict[str, str], log: Path) -> subprocess.Popen:
    """Start an npm script of the mini-program with its output in `log`."""
    program = shutil.which("npm")
    assert program, "npm is missing: install Node.js 20 or newer"
    assert (MINIPROGRAM / "node_modules").is_dir(), "run `npm ci` in miniprogram-stub (make setup)"
    return subprocess.Popen(
        [program, "run", "--silent", script],
        cwd=MINIPROGRAM,
        env=environment,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )


def without_backend() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "BACKEND_URL"}


def settled_until_it_ends(phone: subprocess.Popen) -> int:
    """Settle what arrives in the inbox until the phone is done; return its exit code."""

    def done() -> bool:
        settle_payments()
        db.session.rollback()
        return phone.poll() is not None

    try:
        wait_for(done, PATIENCE, what="the mini-program's tests to end", every=0.1)
    finally:
        phone.kill()
        phone.wait()
    return phone.returncode


@pytest.fixture
def phone(ctx, sandbox, live_server, tmp_path) -> dict[str, Any]:
    """An owner with five bills at a company with both channels; what Node must be told."""
    set_business_now()
    estate = make_estate(houses=1, late_fee=True)
    home = estate.homes[0]
    apps = register_apps(sandbox, estate.company_id)
    make_merchant(estate, sandbox, app=apps.mini["name"])
    make_merchant(estate, sandbox, channel="alipay")
    days = (-60, -30, 0, 30, 60)
    bills = [make_bill(estate, home, due_date=TODAY + timedelta(days=n)) for n in days]
    person = sandbox.post("/_sandbox/people", phone=home.phone)
    appid = apps.mini["appid"]
    code = sandbox.post(f"/_sandbox/people/{person['id']}/login-code", appid=appid)["js_code"]
    environment = {
        "BACKEND_URL": live_server.url,
        "SANDBOX_URL": sandbox.url,
        "APPID": appid,
        "LOGIN_CODE": code,
        "PERSON": person["id"],
        "PHONE": home.phone,
        "HOUSE_CODE": home.house_code,
        "OWNER_NAME": home.name,
        "PHONE_LAST4": home.phone[-4:],
        "REPORT_FILE": str(tmp_path / "report.json"),
    }
    return {"environment": environment, "bills": bills, "home": home}


@pytest.mark.covers("C11", "C17", "C19")
def test_services_of_the_miniprogram_drive_the_real_product(phone, sandbox, tmp_path):
    log = tmp_path / "npm.log"
    code = settled_until_it_ends(npm("test:backend", {**os.environ, **phone["environment"]}, log))
    assert code == 0, log.read_text()
    report = json.loads((tmp_path / "report.json").read_text())

    told = [report[name] for name in ("wechatpay", "repeated", "alipay", "devtools")]
    assert len(set(told)) == 4
    book = {
        row["out_trade_no"]: row["amount_fen"]
        for row in sandbox.get("/_sandbox/book/payments", paid=1)
    }
    ours = {
        row.out_trade_no: row.amount_fen
        for row in db.session.execute(
            db.text("SELECT out_trade_no, amount_fen FROM check_v1.payment_orders"
                    " WHERE state = 'succeeded'")
        )
    }  # fmt: skip
    assert ours == book
    assert sorted(ours) == sorted(told)
    assert scalar("SELECT count(*) FROM payment_order") == 4
    paid = "SELECT count(*) FROM check_v1.bills WHERE state = 'paid' AND id = ANY(:ids)"
    assert scalar(paid, ids=phone["bills"]) == 4
    assert scalar("SELECT sum(amount) FROM check_v1.postings WHERE currency = 'CNY'") == 0

    assert report["templates"]
    granted = "SELECT sum(granted) FROM subscribe_grant WHERE template_id = ANY(:ids)"
    assert scalar(granted, ids=report["templates"]) == 2 * len(report["templates"])
    assert scalar("SELECT count(*) FROM promise WHERE made_by LIKE 'account:%'") == 1
    kinds = db.session.scalars(db.text("SELECT kind FROM hold ORDER BY kind")).all()
    assert {"dispute", "stop_contact"} <= set(kinds)


def test_without_a_product_the_script_fails_and_names_what_it_needs(tmp_path):
    log = tmp_path / "npm.log"
    assert npm("test:backend", without_backend(), log).wait(60) != 0
    assert "set BACKEND_URL, " in log.read_text()
