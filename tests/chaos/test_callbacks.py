"""Callbacks in the worst manners: the same one 200 times at once, and 2,000 that prove nothing."""

from __future__ import annotations

import random
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import cycle, islice
from typing import Any
from urllib.parse import parse_qsl, urlencode

import psycopg
import pytest
import requests
from sqlalchemy import text

from backend import clock
from backend.db import db
from backend.estate import privacy
from backend.payments.models import Merchant, OrderBill, PaymentOrder
from backend.usecases.settle_payments import settle_payments
from backend.usecases.start_payment import Payer, start_payment
from tests.contracts.provider_support import (
    alipay_config,
    alipay_form,
    key_pair,
    wechat_callback,
    wechat_config,
    wechat_signature_headers,
)
from tests.factories.estate import BILL_FEN, Estate, make_bill, make_estate, make_merchant

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

SENDERS = 50
COPIES = 200
FORGERIES = 1000  # on each of the two channels
SEED = 20261122


# ---------------------------------------------------------------- the same one, again and again
@pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
def test_one_genuine_callback_200_times_by_50_threads_settles_once(
    ctx, app, sandbox, live_server, channel
):
    sandbox.post("/_sandbox/settings", time_factor=100_000, probe_rate=0)
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="copies-mini")
    person = sandbox.post("/_sandbox/people", phone="13900009002")
    sandbox.post("/_sandbox/faults", where=f"{channel}.notify", kind="drop")
    estate = make_estate()
    make_merchant(estate, sandbox, channel=channel)
    bill_id = make_bill(estate, estate.homes[0])
    number, params = _open(estate, bill_id, channel, live_server.url)
    how = {"qr_code": params["qr_code"]} if channel == "alipay" else {"out_trade_no": number}
    sandbox.post("/_sandbox/pay", **how, person=person["id"])
    sandbox.delete("/_sandbox/faults")
    call = sandbox.post("/_sandbox/notify/resend", out_trade_no=number)

    with _settling(app):
        answers = _storm([(call["url"], call["headers"], call["body"])] * COPIES)

    assert call["ok"]
    success = b"success" if channel == "alipay" else b'{"code":"SUCCESS","message":"OK"}'
    assert set(answers) == {(200, success)}
    assert len(answers) == COPIES
    _settle_all()
    assert _one("SELECT count(*) FROM inbox") == 1
    assert _one("SELECT count(*) FROM journal WHERE source_type = 'payment'") == 1
    assert _one("SELECT count(*) FROM receipt") == 1
    assert _one(f"SELECT paid_fen FROM bill WHERE id = {bill_id}") == BILL_FEN
    assert _one("SELECT count(*) FROM account WHERE code LIKE 'credit:%'") == 0
    assert _one("SELECT sum(amount) FROM posting") == 0


def _open(estate: Estate, bill_id: int, channel: str, url: str) -> tuple[str, dict[str, Any]]:
    home = estate.homes[0]
    answer = start_payment(
        payer=Payer(key="account:1", party_id=home.party_id, company_id=estate.company_id),
        bill_ids=[bill_id],
        channel=channel,
        method="qr" if channel == "alipay" else "native",
        public_base_url=url,
    )
    return answer["order"].out_trade_no, answer["params"]


class _settling:
    """Two settling workers that never rest, while the callbacks pour in."""

    def __init__(self, app: Any) -> None:
        self._app, self._stop = app, threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(2)]

    def _work(self) -> None:
        with self._app.app_context():
            while not self._stop.wait(0.01):
                settle_payments()
                db.session.remove()

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def _settle_all() -> None:
    while settle_payments():
        pass
    db.session.rollback()


def _one(sql: str) -> Any:
    value = db.session.scalar(text(sql))
    db.session.rollback()
    return value


def _storm(calls: list[tuple[str, dict, str | bytes]]) -> list[tuple[int, bytes]]:
    """Post everything from 50 threads that begin together; return (status, body) of each."""
    gate, here = threading.Barrier(SENDERS), threading.local()

    def post(call: tuple[str, dict, str | bytes]) -> tuple[int, bytes]:
        if not hasattr(here, "http"):
            here.http = requests.Session()
            here.http.trust_env = False
            gate.wait(10)
        url, headers, body = call
        raw = body.encode() if isinstance(body, str) else body
        answer = here.http.post(url, data=raw, headers=headers, timeout=30)
        return answer.status_code, answer.content

    with ThreadPoolExecutor(SENDERS) as pool:
        return list(pool.map(post, calls))


# ---------------------------------------------------------------- what proves nothing
@pytest.fixture
def ours(ctx) -> Estate:
    """An estate whose merchants trust keys that this test holds, so that it can sign as them."""
    estate = make_estate()
    for channel, config in (("wechatpay", wechat_config()), ("alipay", alipay_config())):
        db.session.add(
            Merchant(
                company_id=estate.company_id, payee_id=estate.payee_id, name=f"own-{channel}",
                channel=channel, config_enc=privacy.encrypt_json(estate.company_id, config),
            )
        )  # fmt: skip
    db.session.commit()
    return estate


def make_order(estate: Estate, channel: str, number: str, *, house: int = 0) -> int:
    """An order waiting to be paid; return its bill."""
    bill_id = make_bill(estate, estate.homes[house])
    merchant = db.session.scalar(db.select(Merchant).where(Merchant.channel == channel))
    now = clock.wire_now()
    order = PaymentOrder(
        out_trade_no=number, community_id=estate.community_id,
        house_id=estate.homes[house].house_id, party_id=estate.homes[house].party_id,
        merchant_id=merchant.id, channel=channel, method="native", payer="account:1",
        amount_fen=BILL_FEN, time_expire=now + timedelta(minutes=30), created_at=now,
    )  # fmt: skip
    db.session.add(order)
    db.session.flush()
    db.session.add(
        OrderBill(
            order_id=order.id, bill_id=bill_id, channel=channel, payer="account:1",
            principal_fen=BILL_FEN, late_fee_fen=0,
        )
    )  # fmt: skip
    order.state = "pending"
    db.session.commit()
    return bill_id


def wechat_paid(number: str, txn: str, **changes: Any) -> bytes:
    config = wechat_config()
    content = {
        "mchid": config["mchid"], "appid": config["appid"], "out_trade_no": number,
        "transaction_id": txn, "trade_type": "NATIVE", "trade_state": "SUCCESS",
        "success_time": clock.wire_now().astimezone(clock.SHANGHAI).isoformat(timespec="seconds"),
        "payer": {"openid": "o1"}, "amount": {"total": BILL_FEN, "currency": "CNY"},
    } | changes  # fmt: skip
    return wechat_callback(content, event_type="TRANSACTION.SUCCESS", event_id=f"EV-{txn}")


def alipay_paid(number: str, txn: str) -> dict[str, str]:
    config = alipay_config()
    now = clock.wire_now().astimezone(clock.SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "notify_time": now, "notify_type": "trade_status_sync", "notify_id": f"N{txn}",
        "app_id": config["app_id"], "seller_id": config["seller_id"], "charset": "utf-8",
        "version": "1.0", "trade_no": txn, "out_trade_no": number, "buyer_id": "2088000000000099",
        "trade_status": "TRADE_SUCCESS", "total_amount": f"{BILL_FEN / 100:.2f}",
        "subject": "物业服务费", "gmt_create": now, "gmt_payment": now,
    }  # fmt: skip


Attack = tuple[str, dict[str, str], bytes, set[int]]  # what, headers, body, allowed status


def wechat_attacks(dice: random.Random, number: str, settled: Attack) -> Iterator[Attack]:
    """Endless forgeries of a WeChat Pay callback for a waiting order."""
    stranger = key_pair("stranger")
    for turn in cycle(range(11)):
        now = clock.wire_now()
        body = wechat_paid(number, f"4200{dice.randrange(10**20):020d}")
        headers = wechat_signature_headers(body, now=now)
        if turn == 0:
            yield "random signature", headers | _random_signature(dice), body, {401}
        elif turn == 1:
            headers = wechat_signature_headers(body, now=now, key=stranger)
            yield "signed by a stranger", headers, body, {401}
        elif turn == 2:
            yield "one byte changed", headers, _flip(dice, body), {401}
        elif turn == 3:
            ago = timedelta(seconds=dice.randrange(301, 90_000))
            yield "stale", wechat_signature_headers(body, now=now - ago), body, {401}
        elif turn == 4:
            ahead = timedelta(seconds=dice.randrange(305, 90_000))
            yield "from the future", wechat_signature_headers(body, now=now + ahead), body, {401}
        elif turn == 5:
            headers = wechat_signature_headers(body, now=now, serial=f"{dice.randrange(16**40):X}")
            yield "unknown serial", headers, body, {401}
        elif turn == 6:
            lost = dice.choice(sorted(headers))
            left = {k: v for k, v in headers.items() if k != lost}
            if lost != "Wechatpay-Signature-Type":  # the platform may leave that one out
                yield f"without {lost}", left, body, {401}
        elif turn == 7:
            probe = "WECHATPAY/SIGNTEST/" + _random_signature(dice)["Wechatpay-Signature"]
            yield "probe", headers | {"Wechatpay-Signature": probe}, body, {401}
        elif turn == 8:
            nonce = f"{dice.randrange(16**32):032x}"
            yield "nonce changed", headers | {"Wechatpay-Nonce": nonce}, body, {401}
        elif turn == 9:
            junk = dice.randbytes(dice.randrange(0, 400))
            yield "junk", headers, junk, {401}
        else:
            name, _, raw, ok = settled  # settled long ago; signed anew, as the platform does
            yield name, wechat_signature_headers(raw, now=now), raw, ok


def _random_signature(dice: random.Random) -> dict[str, str]:
    return {"Wechatpay-Signature": b64encode(dice.randbytes(256)).decode()}


def _flip(dice: random.Random, body: bytes) -> bytes:
    at = dice.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << dice.randrange(7))]) + body[at + 1 :]


def alipay_attacks(dice: random.Random, number: str, settled: Attack) -> Iterator[Attack]:
    """Endless forgeries of an Alipay notice; refused ones are answered 'fail'."""
    for turn in cycle(range(8)):
        fields = alipay_paid(number, f"2026{dice.randrange(10**24):024d}")
        form = dict(parse_qsl(alipay_form(fields).decode(), keep_blank_values=True))
        if turn == 0:
            form["sign"] = _random_signature(dice)["Wechatpay-Signature"]
            yield "random signature", {}, urlencode(form).encode(), {401}
        elif turn == 1:
            body = alipay_form(fields, key=key_pair("stranger"))
            yield "signed by a stranger", {}, body, {401}
        elif turn == 2:
            name = dice.choice(sorted(fields))
            changed = form | {name: form[name] + "1"}
            yield f"{name} changed", {}, urlencode(changed).encode(), {401}
        elif turn == 3:
            changed = form | {"sign_type": dice.choice(("RSA", "MD5", "", "HMAC"))}
            yield "weaker sign type", {}, urlencode(changed).encode(), {401}
        elif turn == 4:
            more = form | {f"extra{dice.randrange(99)}": "1"}
            yield "a field more", {}, urlencode(more).encode(), {401}
        elif turn == 5:
            lost = dice.choice(sorted(form))
            fewer = {k: v for k, v in form.items() if k != lost}
            yield "a field fewer", {}, urlencode(fewer).encode(), {401}
        elif turn == 6:
            junk = dice.randbytes(dice.randrange(0, 400))
            yield "junk", {}, junk, {400, 401}
        else:
            yield settled


@pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
def test_a_thousand_callbacks_that_prove_nothing_change_nothing(
    ours, live_server, db_owner, channel
):
    dice = random.Random(SEED)
    make_order(ours, channel, "JQFIRST0001")
    make_order(ours, channel, "JQWAITING0001", house=1)
    url = f"{live_server.url}/notify/{channel}/own-{channel}"
    if channel == "wechatpay":
        body = wechat_paid("JQFIRST0001", "4200000000000000000000000001")
        genuine = (url, wechat_signature_headers(body, now=clock.wire_now()), body)
        attacks = wechat_attacks(dice, "JQWAITING0001", ("replay", {}, body, {200, 204}))
    else:
        body = alipay_form(alipay_paid("JQFIRST0001", "2026000000000000000000000001"))
        genuine = (url, {}, body)
        attacks = alipay_attacks(dice, "JQWAITING0001", ("replay", {}, body, {200}))
    assert _storm_calmly([genuine])[0][0] in (200, 204)
    _settle_all()
    assert _one("SELECT state FROM payment_order WHERE out_trade_no = 'JQFIRST0001'") == "succeeded"
    before = fingerprint(db_owner)

    chosen = list(islice(attacks, FORGERIES))
    answers = _storm_calmly([(url, headers, body) for _, headers, body, _ in chosen])

    wrong = [
        (name, status, body[:60])
        for (name, _, _, allowed), (status, body) in zip(chosen, answers, strict=True)
        if status not in allowed
    ]
    assert wrong == []
    assert fingerprint(db_owner) == before
    assert settle_payments() == 0
    assert fingerprint(db_owner) == before


def _storm_calmly(calls: list[tuple[str, dict, bytes]]) -> list[tuple[int, bytes]]:
    """Post everything from eight threads; return (status, body) of each."""
    here = threading.local()

    def post(call: tuple[str, dict, bytes]) -> tuple[int, bytes]:
        if not hasattr(here, "http"):
            here.http = requests.Session()
            here.http.trust_env = False
        url, headers, body = call
        kind = "application/json" if headers else "application/x-www-form-urlencoded"
        answer = here.http.post(url, data=body, headers={"Content-Type": kind} | headers)
        return answer.status_code, answer.content

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(post, calls))


def fingerprint(connection: psycopg.Connection) -> dict[str, str]:
    """Return one hash per table over all its rows, in order."""
    tables = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    ).fetchall()
    return {
        name: connection.execute(
            f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t"
        ).fetchone()[0]
        for (name,) in tables
    }


def test_the_fingerprint_sees_every_change(ours, db_owner):
    """The proof above is worth what this is worth."""
    before = fingerprint(db_owner)
    assert len(before) > 40
    db_owner.execute("UPDATE house_account SET credit_pending = NOT credit_pending")
    after = fingerprint(db_owner)
    assert [name for name in before if after[name] != before[name]] == ["house_account"]
