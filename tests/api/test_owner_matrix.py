"""Every owner address × {anonymous, a stranger, another owner}: nothing foreign, nothing changed.

Generic over the url map: a new address is tried with every foreign id it can take, in path, query
and body. Foreign ids answer as unknown ids do, word for word.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from flask import Flask

from backend import clock
from backend.db import db, transaction
from backend.reminders import operations as reminders
from tests.factories.estate import (
    TODAY,
    Estate,
    make_bill,
    make_estate,
    make_merchant,
    set_business_now,
)
from tests.support.owner import OwnerClient, bound_owner, counts, new_key, register_apps

GUARDED = (
    "payment_order", "order_bill", "journal", "posting", "hold", "promise", "late_fee_freeze",
    "binding", "bill", "points_entry", "subscribe_grant", "message",
)  # fmt: skip
UNKNOWN = "999999999999"


@dataclass
class World:
    """A household with everything in it (the victim's) and the clients that must not see it."""

    estate: Estate
    victim: OwnerClient
    number: str
    ids: dict[str, str]
    private: list[str]
    others: dict[str, OwnerClient]


@pytest.fixture
def world(ctx, client, sandbox) -> World:
    estate = make_estate(houses=2)
    foreign = make_estate(code="MOON", houses=1)
    apps = register_apps(sandbox, estate.company_id)
    foreign_apps = register_apps(sandbox, foreign.company_id, name="moon")
    make_merchant(estate, sandbox, app=apps.mini["name"])
    set_business_now()
    home = estate.homes[0]
    bill_id = str(make_bill(estate, home))
    victim = bound_owner(client, sandbox, apps, home)
    started = victim.ok_post(
        "/payments", {"bill_ids": [bill_id], "channel": "wechatpay", "method": "jsapi"}
    )
    number = started["payment"]["out_trade_no"]
    with transaction():
        reminders.plan_message(
            community_id=estate.community_id, house_id=home.house_id, party_id=home.party_id,
            kind="reminder", event="overdue_3", stage="S24", window_key="w",
            bill_ids=[int(bill_id)], due_at=clock.business_now(),
        )  # fmt: skip
    stranger = OwnerClient(client, sandbox, apps.mini, "13900008888")
    stranger.login()
    nobody = OwnerClient(client, sandbox, apps.mini, "13900008889")
    return World(
        estate=estate,
        victim=victim,
        number=number,
        ids={"house_id": str(home.house_id), "bill_id": bill_id},
        private=[
            bill_id,
            number,
            victim.ok_get("/me")["houses"][0]["pay_code"],
            home.name,
            home.phone,
            f"SUN花园 {home.house_code}",
            "142.93",
            "14293",
        ],
        others={
            "anonymous": nobody,
            "stranger": stranger,
            "neighbour": bound_owner(client, sandbox, apps, estate.homes[1]),
            "other_company": bound_owner(client, sandbox, foreign_apps, foreign.homes[0]),
        },
    )


def owner_rules(app: Flask) -> list:
    return [
        rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        and app.view_functions[rule.endpoint]._policy == ("owner",)
    ]


def body_of(name: str, ids: dict[str, str], appid: str) -> dict:
    """A well-formed body of an operation that names these ids."""
    return {
        "bind_house": {
            "house_code": "1-1-101", "name": "不对", "phone_last4": "0000",
        },
        "start_payment": {
            "bill_ids": [ids["bill_id"]], "channel": "wechatpay", "method": "jsapi",
        },
        "redeem_points": {"bill_id": ids["bill_id"], "points": 1},
        "make_promise": {
            "house_id": ids["house_id"], "amount_fen": 100, "day": TODAY.isoformat(),
        },
        "open_dispute": {"bill_id": ids["bill_id"], "reason_code": "other", "text": "不对"},
        "stop_contact": {"house_id": ids["house_id"]},
        "record_subscriptions": {"appid": appid, "results": {"nobody-asked": "accept"}},
    }[name]  # fmt: skip


def call(who: OwnerClient, rule, ids: dict[str, str], number: str):
    name = rule.endpoint.rpartition(".")[2]
    path = rule.rule.replace("<string(maxlength=64):out_trade_no>", number)
    assert "<" not in path, f"teach this test the address {rule.rule}"
    headers = {**who.headers, "Idempotency-Key": new_key()}
    if "POST" in rule.methods:
        body = body_of(name, ids, who.app["appid"])
        return name, who.client.post(path, json=body, headers=headers)
    return name, who.client.get(path, query_string={"state": "all", **ids}, headers=headers)


@pytest.mark.parametrize("who", ["anonymous", "stranger", "neighbour", "other_company"])
def test_nothing_foreign_is_seen_or_changed(app, world, who):
    caller = world.others[who]
    before = counts(*GUARDED)
    rules = owner_rules(app)
    assert len(rules) >= 12
    for rule in rules:
        name, answer = call(caller, rule, world.ids, world.number)
        text = answer.get_data(as_text=True)
        for private in world.private:
            assert private not in text, (name, private, text)
        if who == "anonymous":
            assert (answer.status_code, answer.get_json()["code"]) == (401, "login_required"), name
        unknown = {key: UNKNOWN for key in world.ids}
        _, same = call(caller, rule, unknown, "JQ" + "0" * 22)
        assert (answer.status_code, answer.get_json()) == (same.status_code, same.get_json()), name
        if "POST" in rule.methods and name not in ("record_subscriptions", "bind_house"):
            assert answer.status_code in (401, 404), (name, text)
    assert counts(*GUARDED) == before


def test_the_same_calls_of_the_owner_himself_do_answer(app, world):
    """The matrix would also pass if everything answered 404."""
    for rule in owner_rules(app):
        if rule.endpoint.rpartition(".")[2] in ("bind_house", "redeem_points"):
            continue
        name, answer = call(world.victim, rule, world.ids, world.number)
        assert answer.status_code in (200, 201), (name, answer.text)


@pytest.mark.parametrize("table", ["bill", "payment_order", "hold", "promise", "points_entry"])
def test_no_column_can_be_set_from_a_body(app, world, table):
    """Mass assignment: every column name added to every body is refused as unknown."""
    columns = set(db.metadata.tables[table].columns.keys())
    for rule in owner_rules(app):
        name = rule.endpoint.rpartition(".")[2]
        if "POST" not in rule.methods:
            continue
        body = body_of(name, world.ids, world.victim.app["appid"])
        for column in sorted(columns - body.keys()):
            if (name, column) in {
                ("make_promise", "pay_by"), ("open_dispute", "amount_fen"),
            }:  # fmt: skip
                continue
            status, refusal = world.victim.post(rule.rule[len("/api/v1") :], {**body, column: 1})
            assert status == 422 and column in refusal["fields"], (name, column, refusal)
