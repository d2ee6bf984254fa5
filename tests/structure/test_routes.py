"""Every address has a policy, an operationId the contract names, and documented refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from flask import Flask

from backend import clock
from backend.identity import tokens
from backend.identity.models import ROLES
from tests.support.another_app import another_app

NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": ""}

OWNER_OPERATIONS = {
    "login", "get_me", "bind_house", "list_bills", "start_payment", "get_payment", "list_points",
    "redeem_points", "make_promise", "open_dispute", "stop_contact", "record_subscriptions",
    "list_contacts",
}  # fmt: skip
ADMIN_OPERATIONS = {
    "steward_login", "list_worklist", "get_household", "record_contact", "record_visit",
    "record_promise", "preview_bill_run", "run_bills", "waive", "refund_payment",
}  # fmt: skip
PUBLIC = {
    "/healthz", "/readyz", "/metrics", "/api/v1/login", "/api/v1/openapi.json",
    "/admin/api/v1/login", "/admin/api/v1/openapi.json", "/admin", "/admin/", "/admin/<path:name>",
}  # fmt: skip


@pytest.fixture(scope="module")
def bare() -> Iterator[Flask]:
    """The application without servers: nothing here sends a request that needs one."""
    with another_app(NOWHERE) as app:
        yield app


def document(app: Flask, url: str) -> dict:
    return app.test_client().get(f"{url}/openapi.json").get_json()


def operations(document: dict) -> dict[str, dict]:
    return {
        operation["operationId"]: operation | {"method": method, "path": path}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def test_every_address_has_a_policy(bare):
    without = [
        rule.rule
        for rule in bare.url_map.iter_rules()
        if not hasattr(bare.view_functions[rule.endpoint], "_policy")
    ]
    assert without == []


def test_a_view_without_a_policy_is_not_served():
    with another_app(NOWHERE) as app:
        app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
        answer = app.test_client().get("/forgotten")
    assert (answer.status_code, answer.get_json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_only_known_addresses_are_public(bare):
    public = {
        rule.rule
        for rule in bare.url_map.iter_rules()
        if bare.view_functions[rule.endpoint]._policy == ("public",)
    }
    assert {r for r in public if not r.startswith(("/pay/", "/notify/"))} == PUBLIC


def test_unsafe_calls_behind_a_login_are_idempotent(bare):
    """preview_bill_run writes nothing, so it may be repeated without a key."""
    missing = {
        rule.endpoint.rpartition(".")[2]
        for rule in bare.url_map.iter_rules()
        if rule.methods & {"POST", "PUT", "PATCH", "DELETE"}
        and bare.view_functions[rule.endpoint]._policy != ("public",)
        and not hasattr(bare.view_functions[rule.endpoint], "_idempotent")
    }
    assert missing <= {"preview_bill_run"}


@pytest.mark.parametrize(
    ("url", "wanted"), [("/api/v1", OWNER_OPERATIONS), ("/admin/api/v1", ADMIN_OPERATIONS)]
)
def test_documents_are_openapi_31_with_the_fixed_operation_ids(bare, url, wanted):
    found = document(bare, url)
    assert found["openapi"] == "3.1.0"
    assert wanted <= operations(found).keys()


def test_the_owners_way_to_pay_outside_wechat_is_documented(bare):
    """Only `get_me` tells codes; what a binding answers is kept for repeats and holds none."""
    found = document(bare, "/api/v1")
    schemas = found["components"]["schemas"]

    def house_of(name: str) -> dict:
        answer = operations(found)[name]["responses"]["200"]["content"]["application/json"]
        body = schemas[answer["schema"]["$ref"].rpartition("/")[2]]
        return schemas[body["properties"]["houses"]["items"]["$ref"].rpartition("/")[2]]

    mine = house_of("get_me")["properties"]
    assert "<PUBLIC_BASE_URL>/pay/bills?c=<pay_code>" in mine["pay_url"]["description"]
    assert mine["stopped"]["type"] == "boolean"
    assert mine.keys() - house_of("bind_house")["properties"].keys() == {
        "pay_code", "pay_url", "stopped",
    }  # fmt: skip


@pytest.mark.parametrize("url", ["/api/v1", "/admin/api/v1"])
def test_the_documented_refusal_is_ours(bare, url):
    error = document(bare, url)["components"]["schemas"]["Error"]["properties"]
    assert set(error) == {
        "code", "message", "message_zh", "legal_basis", "what_to_do", "fields",
    }  # fmt: skip


@pytest.mark.parametrize("url", ["/api/v1", "/admin/api/v1"])
def test_protected_operations_say_so(bare, url):
    for name, operation in operations(document(bare, url)).items():
        if name not in ("login", "steward_login"):
            assert operation["security"] == [{"bearer": []}], name
        if operation["method"] == "post" and name not in (
            "login", "steward_login", "preview_bill_run",
        ):  # fmt: skip
            headers = [p["name"] for p in operation["parameters"] if p["in"] == "header"]
            assert headers == ["Idempotency-Key"], name


@pytest.mark.covers("C1")
def test_no_outward_field_tells_another_system_that_a_house_owes(bare):
    """C1: only the owner's pages and the staff's API carry an amount owed; the rest says nothing.

    No address of a third kind, no token for anybody else, and what is open to every system
    (health, figures) carries names of states and counts, never a household.
    """
    outward = [
        rule.rule
        for rule in bare.url_map.iter_rules()
        if not rule.rule.startswith(("/api/v1/", "/admin", "/pay/", "/notify/"))
    ]
    assert sorted(outward) == ["/healthz", "/metrics", "/readyz"]
    policies = {word for view in bare.view_functions.values() for word in view._policy}
    assert policies <= {"public", "owner", *ROLES}
    assert set(tokens.LIFETIME) == {tokens.OWNER, tokens.STEWARD}
    client = bare.test_client()
    assert client.get("/healthz").get_json() == {"status": "ok"}
    assert client.get("/readyz").get_json().keys() == {
        "status", "database", "migrations", "redis",
    }  # fmt: skip
    figures = client.get("/metrics").text
    assert "jiaoqing_" in figures
    assert set(re.findall(r"[{,](\w+)=", "".join(re.findall(r"(?m)^jiaoqing_.*$", figures)))) <= {
        "endpoint", "status", "le", "channel", "result", "decision", "reason", "kind",
    }  # fmt: skip


@pytest.mark.covers("C1")
@pytest.mark.parametrize("url", ["/api/v1", "/admin/api/v1"])
def test_no_operation_restricts_a_service(bare, url):
    """C1: nothing to press with exists: no gate, lift, car, water, power or heat to switch off."""
    shown = json.dumps(document(bare, url), ensure_ascii=False).lower()
    words = ("门禁", "电梯", "道闸", "停水", "停电", "停气", "停暖", "限制通行", "access_card",
             "gate", "elevator", "suspend", "cut_off", "restrict")  # fmt: skip
    assert [word for word in words if word in shown] == []


def test_building_the_application_is_quick(bare):
    began = clock.monotonic()
    with another_app(NOWHERE):
        assert clock.monotonic() - began < 2
