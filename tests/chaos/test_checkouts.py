"""The payer's side: double clicks by the dozen, and paying in the moment of closing."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import text

from backend.db import db
from backend.errors import Refusal
from backend.usecases.query_orders import ask_order, close_order
from backend.usecases.settle_payments import settle_payments
from backend.usecases.start_payment import Payer, start_payment
from tests.chaos.town import build_town
from tests.factories.estate import BILL_FEN, Estate, make_bill, make_estate, make_merchant

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

NOWHERE = "http://127.0.0.1:9"
CLICKS = 32
ROUNDS = 100
SEED = 20261122


@pytest.fixture
def estate(ctx, sandbox) -> Estate:
    sandbox.post("/_sandbox/settings", time_factor=100_000, probe_rate=0)
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="checkout-mini")
    estate = make_estate()
    make_merchant(estate, sandbox)
    return estate


def click(company_id: int, party_id: int, bill_ids: list[int], key: str = "account:1") -> str:
    answer = start_payment(
        payer=Payer(key=key, party_id=party_id, company_id=company_id),
        bill_ids=bill_ids,
        channel="wechatpay",
        method="native",
        public_base_url=NOWHERE,
    )
    return answer["order"].out_trade_no


def one(sql: str) -> Any:
    value = db.session.scalar(text(sql))
    db.session.rollback()
    return value


@pytest.mark.parametrize("overlap", [False, True], ids=["same-bills", "overlapping-bills"])
def test_32_clicks_at_once_open_one_live_order(app, estate, sandbox, overlap):
    home = estate.homes[0]
    bills = [make_bill(estate, home), make_bill(estate, estate.homes[1])]
    dice, gate = random.Random(SEED), threading.Barrier(CLICKS)
    choices = [dice.sample(bills, k=dice.choice((1, 2))) if overlap else bills for _ in range(32)]

    def press(chosen: list[int]) -> str:
        with app.app_context():
            try:
                gate.wait(20)
                return click(estate.company_id, home.party_id, chosen)
            except Refusal as refusal:
                assert refusal.code in ("payment_in_doubt", "already_paid"), refusal.code
                return "refused"
            finally:
                db.session.remove()

    with ThreadPoolExecutor(CLICKS) as pool:
        answers = Counter(pool.map(press, choices))

    for bill in bills:
        live = one(f"SELECT count(*) FROM order_bill WHERE live AND bill_id = {bill}")
        assert live <= 1
    if not overlap:
        assert one("SELECT count(*) FROM payment_order WHERE state IN ('created','pending')") == 1
        assert len(set(answers) - {"refused"}) == 1
    payable = [o for o in sandbox.get("/_sandbox/book/payments") if o["state"] == "NOTPAY"]
    live = {
        row[0]
        for row in db.session.execute(
            text(
                "SELECT out_trade_no FROM payment_order WHERE state IN "
                "('created','pending','unknown','closing')"
            )
        )
    }
    assert {o["out_trade_no"] for o in payable} <= live  # nothing payable that we gave up


def test_pay_against_close_never_loses_a_payment(app, ctx, sandbox):
    """Barrier: the payer confirms while we close. Whoever wins, money and books agree."""
    sandbox.post("/_sandbox/settings", time_factor=100_000, probe_rate=0)
    town = build_town(sandbox, households=ROUNDS)
    orders = [
        click(town.estate.company_id, h.party_id, [h.bill_id], key=f"account:{h.number}")
        for h in town.households
    ]
    http, dice = requests.Session(), random.Random(SEED)
    http.trust_env = False
    with ThreadPoolExecutor(2) as pool:
        for number in orders:
            _one_round(app, pool, http, dice, sandbox, number)
    while settle_payments():
        pass

    paid = {o["out_trade_no"] for o in sandbox.get("/_sandbox/book/payments", paid=1)}
    states = dict(db.session.execute(text("SELECT out_trade_no, state FROM payment_order")).all())
    assert {n for n, s in states.items() if s in ("succeeded", "succeeded_late")} == paid
    assert {s for n, s in states.items() if n not in paid} <= {"closed"}
    assert one("SELECT count(*) FROM journal WHERE source_type = 'payment'") == len(paid)
    assert one("SELECT sum(paid_fen) FROM bill") == BILL_FEN * len(paid)
    assert one("SELECT sum(amount) FROM posting") == 0
    print(f"\npay against close: {len(paid)} of {ROUNDS} payers were faster")
    assert 0 < len(paid) < ROUNDS


def _one_round(
    app: Any, pool: ThreadPoolExecutor, http: requests.Session, dice: random.Random,
    sandbox: Any, number: str,
) -> None:  # fmt: skip
    gate = threading.Barrier(2)
    lead = dice.uniform(-0.004, 0.012)  # closing asks our database first: give it a start

    def pay() -> bool:
        gate.wait(10)
        threading.Event().wait(max(0.0, lead))
        return http.post(sandbox.url + "/_sandbox/pay", json={"out_trade_no": number}).ok

    def close() -> str:
        with app.app_context():
            gate.wait(10)
            threading.Event().wait(max(0.0, -lead))
            try:
                word = close_order(number)
                return word if word != "unknown" else ask_order(number)
            finally:
                db.session.remove()

    paying, closing = pool.submit(pay), pool.submit(close)
    went_through, word = paying.result(30), closing.result(30)
    assert not (went_through and word == "closed"), number
    assert went_through or word == "closed", (number, word)
