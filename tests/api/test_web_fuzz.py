"""Whatever is sent to a documented operation, the answer is an answer: never a fault."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.factories.estate import (
    make_bill,
    make_estate,
    make_merchant,
    make_steward,
    set_business_now,
)
from tests.support.owner import bound_owner, register_apps
from tests.support.staff import StaffClient

pytestmark = pytest.mark.slow
CALM = settings(
    max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def tokens(ctx, client, sandbox) -> dict[str, str]:
    """A log-in for each API, with something there to find."""
    estate = make_estate(houses=2)
    apps = register_apps(sandbox, estate.company_id)
    make_merchant(estate, sandbox, app=apps.mini["name"])
    set_business_now()
    make_bill(estate, estate.homes[0])
    staff = make_steward(estate.company_id, "boss", role="admin")
    return {
        "/api/v1": bound_owner(client, sandbox, apps, estate.homes[0]).token,
        "/admin/api/v1": StaffClient(client, staff).token,
    }


def faults_of(operation, token: str) -> list[tuple]:
    """Send what hypothesis can think of; return what made the server fault."""
    faults = []

    @CALM
    @given(case=operation.as_strategy())
    def probe(case):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
        answer = case.call()
        if answer.status_code == 500:
            faults.append((operation.label, case.query, case.body, answer.text))

    probe()
    return faults


@pytest.mark.parametrize("url", ["/api/v1", "/admin/api/v1"])
def test_no_documented_operation_can_be_made_to_fault(app, tokens, url):
    schema = schemathesis.openapi.from_wsgi(f"{url}/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 12
    assert [fault for each in operations for fault in faults_of(each, tokens[url])] == []
