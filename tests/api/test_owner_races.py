"""The same tap twice at once: one order, one redemption, one binding, one hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from backend import clock
from backend.db import transaction
from backend.ledger import operations as ledger
from backend.ledger.operations import Entry
from tests.factories.estate import make_bill, make_estate, make_merchant, set_business_now
from tests.support.owner import OwnerClient, bound_owner, counts, new_key, register_apps, scalar


@pytest.fixture
def estate(ctx, sandbox):
    estate = make_estate(houses=2)
    set_business_now()
    return estate


@pytest.fixture
def owner(app, client, sandbox, estate) -> OwnerClient:
    apps = register_apps(sandbox, estate.company_id)
    make_merchant(estate, sandbox, app=apps.mini["name"])
    return bound_owner(client, sandbox, apps, estate.homes[0])


def at_once(app, times: int, call: Callable[[Any], Any]) -> list[tuple[int, Any]]:
    """Run `call(test client)` in threads that start together; return (status, body) of each."""
    gate, answers = threading.Barrier(times), []

    def run() -> None:
        client = app.test_client()
        gate.wait()
        answer = call(client)
        answers.append((answer.status_code, answer.get_json()))

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def send(owner: OwnerClient, path: str, body: dict, key: str | None):
    def call(client):
        headers = {**owner.headers, "Idempotency-Key": key or new_key()}
        return client.post(f"/api/v1{path}", json=body, headers=headers)

    return call


@pytest.mark.parametrize("same_key", [True, False])
def test_eight_taps_open_one_order(app, owner, estate, same_key):
    bill_id = str(make_bill(estate, estate.homes[0]))
    body = {"bill_ids": [bill_id], "channel": "wechatpay", "method": "jsapi"}
    key = new_key() if same_key else None
    answers = at_once(app, 8, send(owner, "/payments", body, key))
    numbers = {b["payment"]["out_trade_no"] for status, b in answers if status == 201}
    assert {status for status, _ in answers} <= {201, 409, 503}
    assert scalar("SELECT count(*) FROM order_bill WHERE live") == 1
    if same_key:
        assert counts("payment_order") == {"payment_order": 1}
    again = owner.ok_post("/payments", body, key=key)
    assert not same_key or numbers <= {again["payment"]["out_trade_no"]}


def test_two_redemptions_cannot_spend_the_same_points(app, owner, estate):
    bill_id = str(make_bill(estate, estate.homes[0]))
    party = estate.homes[0].party_id
    with transaction():
        ledger.post(
            company_id=estate.company_id, source_type="test_points", source_key="1",
            entries=[
                Entry("points_liability", 100, None, "PT"),
                Entry(ledger.points_account(party), -100, None, "PT"),
            ],
            at=clock.wire_now(),
        )  # fmt: skip
    body = {"bill_id": bill_id, "points": 60}
    answers = at_once(app, 6, send(owner, "/points/redemptions", body, None))
    statuses = sorted(status for status, _ in answers)
    assert statuses.count(200) == 1 and set(statuses) <= {200, 409, 503}
    assert owner.ok_get("/points")["balance"] == 40
    assert scalar("SELECT waived_fen FROM bill") == 60
    assert scalar("SELECT sum(amount) FROM posting") == 0


def test_two_stops_are_one_hold(app, owner, estate):
    body = {"house_id": str(estate.homes[0].house_id)}
    answers = at_once(app, 6, send(owner, "/stop-contact", body, None))
    good = [answer for status, answer in answers if status == 200]
    assert good and all(answer == good[0] for answer in good)
    assert counts("hold") == {"hold": 1}


def test_two_logins_at_once_are_one_account(app, client, sandbox, estate, owner):
    other = OwnerClient(client, sandbox, owner.app, "13900008888")
    codes = [other.code("login") for _ in range(6)]

    def login(client):
        return client.post("/api/v1/login", json={"appid": owner.app["appid"], "code": codes.pop()})

    answers = at_once(app, 6, login)
    assert {status for status, _ in answers} == {200}
    assert len({body["account_id"] for _, body in answers}) == 1
    assert counts("owner_account") == {"owner_account": 2}


def test_binding_is_limited_per_account_not_per_address(client, sandbox, estate, owner):
    other = OwnerClient(client, sandbox, owner.app, "13900008888")
    other.login()
    statuses = [other.post("/bindings", {})[0] for _ in range(31)]
    assert statuses == [422] * 30 + [429]
    assert owner.post("/bindings", {})[0] == 422
