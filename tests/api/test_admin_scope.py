"""Every admin route, as found in the address map, tried by everybody whom it does not concern.

A new route is in the matrix by itself; one that needs a body and has none below fails the test.
"""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest

from backend import clock
from backend.billing.models import BillRun
from backend.conduct.operations import place_hold
from backend.db import db
from backend.dunning.models import StewardTask
from backend.identity import tokens
from backend.identity.models import OwnerAccount
from backend.payments.models import Merchant, PaymentOrder, Refund
from tests.factories import estate as make
from tests.factories.estate import TODAY
from tests.support.staff import PREFIX, StaffClient, new_key

PUBLIC = {"session.steward_login", "admin-api-docs.openapi_json"}
OF_ALL_STAFF = {"session.get_steward", "session.list_stewards"}


@pytest.fixture
def world(client, ctx):
    """Two companies; `target` is a household of the first company's first building."""
    make.set_business_now(TODAY, "10:00")
    mine = make.make_estate(code="SUN", houses=2, buildings=2)
    other = make.make_estate(code="MOON", houses=1)
    target = mine.homes[0]
    bill = make.make_bill(mine, target, due_date=TODAY - timedelta(days=16))
    now = clock.business_now()
    task = StewardTask(
        community_id=mine.community_id, house_id=target.house_id, party_id=target.party_id,
        kind="call", stage="S25", window_key="w", due_day=TODAY, created_at=now,
    )  # fmt: skip
    run = BillRun(
        community_id=mine.community_id, period_from=TODAY.replace(day=1), state="done",
        period_to=TODAY.replace(year=2027, month=1, day=1), issue_date=TODAY, by="x",
        started_at=now,
    )  # fmt: skip
    db.session.add_all([task, run])
    order = paid_order(mine, target)
    refund = Refund(
        out_refund_no=f"{order.out_trade_no}R1", order_id=order.id, channel="wechatpay",
        amount_fen=200_000, reason="x", state="requested", requested_by="steward:1",
        requested_at=now,
    )  # fmt: skip
    account = OwnerAccount(company_id=mine.company_id, created_at=now)
    db.session.add_all([refund, account])
    db.session.commit()
    hold = place_hold(
        kind="manual", house_id=target.house_id, party_id=target.party_id, from_day=TODAY,
        until_day=None, reason="x", source="steward:1", now=now,
    )  # fmt: skip
    db.session.commit()
    make.give_credit(mine, target, 5000)
    staff = {
        "neighbour": make.make_steward(mine.company_id, "nb", building_ids=mine.building_ids[1:]),
        "stranger": make.make_steward(other.company_id, "st", building_ids=other.building_ids),
        "foreign_admin": make.make_steward(other.company_id, "ad", role="admin"),
    }
    colleague = make.make_steward(other.company_id, "colleague").id
    return SimpleNamespace(
        colleague=colleague, mine=mine, other=other, target=target, bill=bill, task=task.id,
        run=run.id, order=order.out_trade_no, refund=refund.out_refund_no, account=account.id,
        hold=hold.id,
        people={name: StaffClient(client, who) for name, who in staff.items()}, staff=staff,
    )  # fmt: skip


def paid_order(estate, home):
    merchant = Merchant(
        company_id=estate.company_id, payee_id=estate.payee_id, name="m", channel="wechatpay",
        config_enc=b"unused",
    )  # fmt: skip
    db.session.add(merchant)
    db.session.flush()
    now = clock.wire_now()
    order = PaymentOrder(
        out_trade_no="JQSCOPE0001", community_id=estate.community_id, house_id=home.house_id,
        party_id=home.party_id, merchant_id=merchant.id, channel="wechatpay", method="native",
        payer="account:1", amount_fen=300_000, time_expire=now, created_at=now,
    )  # fmt: skip
    db.session.add(order)
    db.session.flush()
    order.state, order.channel_txn, order.paid_at = "succeeded", "TXN1", now
    db.session.commit()
    return order


def bodies(world):
    """A body that would do something if the caller were allowed, by operationId."""
    who = {"house_id": str(world.target.house_id), "party_id": str(world.target.party_id)}
    contact = {**who, "reason_code": "forgot", "task_id": str(world.task)}
    promise = {"amount_fen": 100, "day": TODAY.isoformat(), "pay_by": "cash"}
    run = {
        "community_id": str(world.mine.community_id),
        "period_from": "2026-12-01",
        "period_to": "2027-01-01",
    }
    second = str(world.colleague)
    return {
        "reveal_phone": {"reason": "按清单任务联系"},
        "record_contact": {**contact, "result": "promised", "promise": promise},
        "record_visit": {**contact, "result": "met", "second_steward_id": second},
        "record_promise": {**who, **promise},
        "preview_bill_run": run,
        "run_bills": run,
        "waive": {"bill_id": str(world.bill), "principal_fen": 1, "reason": "协商减免"},
        "refund_payment": {"out_trade_no": world.order, "amount_fen": 1, "reason": "退款"},
        "approve_refund": {},
        "reject_refund": {"reason": "不同意"},
        "lift_hold": {"reason": "误触登记，业主无异议"},
    }


def queries(world):
    """Queries that look for the target, by operationId; {} for lists that need none."""
    target = world.target
    return {
        "search_households": [{"q": q} for q in (target.house_code, target.name, target.phone)],
        "list_worklist": [{}, {"building_id": str(target.building_id)}],
        "list_payments": [{}, {"state": "succeeded"}],
    }


def routes(app):
    """(endpoint, method, rule) of every admin route that is not public."""
    return [
        (rule.endpoint, method, rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX) and rule.endpoint not in PUBLIC
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
    ]


def address(app, rule, world):
    """The address of the target's things."""
    values = {
        "house_id": world.target.house_id,
        "phone_id": world.target.contact_point_id,
        "run_id": world.run,
        "out_refund_no": world.refund,
        "hold_id": world.hold,
    }
    adapter = app.url_map.bind("localhost")
    return adapter.build(rule.endpoint, {name: values[name] for name in rule.arguments})


def requests_of(app, world):
    """(operation, method, path, query, body) of everything one can try."""
    for endpoint, method, rule in routes(app):
        operation = endpoint.rpartition(".")[2]
        path = address(app, rule, world)
        if method == "GET":
            for query in queries(world).get(operation, [{}]):
                yield endpoint, method, path, query, None
        else:
            yield endpoint, method, path, {}, bodies(world)[operation]


def call(client, method, path, query, body, token=None):
    headers = {"Idempotency-Key": new_key()}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return client.open(path, method=method, query_string=query, json=body, headers=headers)


def everything(db_owner):
    """Row counts of every table: what a refusal may not change."""
    tables = [
        name
        for (name,) in db_owner.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        )
        if name not in ("audit_event", "audit_pending", "idempotency_key")
    ]
    counts = {t: db_owner.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}
    sums = db_owner.execute(
        "SELECT sum(paid_fen + waived_fen + credited_fen), (SELECT string_agg(state, ',') FROM "
        "refund), (SELECT string_agg(state, ',') FROM steward_task), "
        "(SELECT count(*) FROM hold WHERE lifted_at IS NULL) FROM bill"
    ).fetchone()
    return counts, sums


def marks(world, name):
    """Texts that stand only in the target's data, as this person could see them."""
    target = world.target
    ids = (target.house_id, target.party_id, target.contact_point_id, world.bill, world.task)
    return [f'"{number}"' for number in ids] + [
        target.phone,
        world.order,
        target.house_code if name == "neighbour" else "SUN",
    ]


def test_anonymous_and_owners_are_not_let_in(app, client, world, db_owner):
    before = everything(db_owner)
    owner, _ = tokens.issue(
        audience=tokens.OWNER, subject=world.account, version=1, now=clock.wire_now(),
        secret=app.config["SETTINGS"].secret_key,
    )  # fmt: skip
    tried = 0
    for endpoint, method, path, query, body in requests_of(app, world):
        for token in (None, owner, "x", world.people["neighbour"].token[:-3] + "abc"):
            answer = call(client, method, path, query, body, token)
            assert answer.status_code == 401, (endpoint, answer.text)
            assert answer.get_json()["code"] == "login_required"
            tried += 1
    assert tried >= 4 * 20
    assert everything(db_owner) == before


@pytest.mark.parametrize("name", ["neighbour", "stranger", "foreign_admin"])
def test_staff_outside_the_scope_find_nothing(app, client, world, db_owner, name):
    before = everything(db_owner)
    token = world.people[name].token
    for endpoint, method, path, query, body in requests_of(app, world):
        answer = call(client, method, path, query, body, token)
        shown = json.dumps(answer.get_json(), ensure_ascii=False)
        assert not [mark for mark in marks(world, name) if mark in shown], (endpoint, query, shown)
        if endpoint in OF_ALL_STAFF:
            continue
        is_list = method == "GET" and path.count("/") == PREFIX.count("/") + 1
        allowed = (200, 403) if is_list else (403, 404)
        assert answer.status_code in allowed, (endpoint, answer.status_code, shown)
        if answer.status_code == 404:
            assert answer.get_json()["code"] == "not_found"
    assert everything(db_owner) == before


def test_the_same_requests_work_for_the_right_person(app, client, world):
    """Otherwise the matrix above would prove nothing."""
    admin = StaffClient(client, make.make_steward(world.mine.company_id, "boss", role="admin"))
    mate = make.make_steward(world.mine.company_id, "mate")
    answers = {}
    for endpoint, method, path, query, body in requests_of(app, world):
        operation = endpoint.rpartition(".")[2]
        if operation == "record_visit":
            body = {**body, "second_steward_id": str(mate.id)}
        answer = call(client, method, path, query, body, admin.token)
        answers.setdefault(operation, answer.status_code)
    # the refund's merchant has no account at a platform; the scope is what counts here
    refunds = {op: answers.pop(op) for op in ("refund_payment", "approve_refund", "reject_refund")}
    assert not {401, 403, 404} & set(refunds.values())
    assert {op: status for op, status in answers.items() if status >= 300} == {}


def test_roles_are_kept_apart(app, client, world):
    """Office routes answer 403 to a steward, before anything is looked up."""
    steward = world.people["neighbour"]
    for path, body in (
        ("/bill-runs", bodies(world)["run_bills"]),
        ("/waivers", bodies(world)["waive"]),
        ("/refunds", bodies(world)["refund_payment"]),
        (f"/refunds/{world.refund}/approve", {}),
        (f"/holds/{world.hold}/lift", bodies(world)["lift_hold"]),
    ):
        status, answer = steward.post(path, body)
        assert (status, answer["code"]) == (403, "forbidden_role")
    for path in ("/bill-runs", "/payments", "/exceptions"):
        assert steward.get(path)[0] == 403


def test_operation_ids_of_the_contract_are_documented(client):
    paths = client.get(f"{PREFIX}/openapi.json").get_json()["paths"]
    documented = {op["operationId"] for path in paths.values() for op in path.values()
                  if isinstance(op, dict) and "operationId" in op}  # fmt: skip
    assert documented == {
        "steward_login", "get_steward", "list_stewards", "list_worklist", "search_households",
        "get_household", "reveal_phone", "record_contact", "record_visit", "record_promise",
        "preview_bill_run", "run_bills", "get_bill_run", "list_bill_runs", "list_communities",
        "waive", "refund_payment", "approve_refund", "reject_refund", "list_payments",
        "list_exceptions", "lift_hold",
    }  # fmt: skip
