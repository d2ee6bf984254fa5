"""Calls, visits and promises over HTTP: once per key, whole or not at all."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread

import pytest

from tests.factories import estate as make
from tests.factories.estate import BILL_FEN, TODAY
from tests.support.staff import PREFIX, StaffClient, new_key


@pytest.fixture
def place(client, ctx):
    make.set_business_now(TODAY, "10:00")
    estate = make.make_estate(houses=1)
    make.make_bill(estate, estate.homes[0])
    staff = make.make_steward(estate.company_id, building_ids=estate.building_ids)
    return estate, estate.homes[0], StaffClient(client, staff)


def who(home):
    return {"house_id": str(home.house_id), "party_id": str(home.party_id)}


def count(db_owner, *tables):
    return [db_owner.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables]


def test_the_same_key_records_once_and_another_body_is_refused(place, db_owner):
    _, home, steward = place
    body = {**who(home), "result": "refused", "reason_code": "price", "note": "太贵"}
    first = steward.post("/contacts/calls", body, key="contact-key-1")
    assert first[0] == 201 and first[1]["violations"] == []
    assert steward.post("/contacts/calls", body, key="contact-key-1") == first
    status, answer = steward.post("/contacts/calls", {**body, "note": "x"}, key="contact-key-1")
    assert (status, answer["code"]) == (409, "idempotency_key_reused")
    assert count(db_owner, "contact", "contact_log") == [1, 1]


def test_a_call_needs_a_key(place, client, db_owner):
    _, home, steward = place
    answer = client.post(
        f"{PREFIX}/contacts/calls",
        json={**who(home), "result": "refused", "reason_code": "price"},
        headers=steward.headers,
    )
    assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_key_required")
    assert count(db_owner, "contact") == [0]


@pytest.mark.parametrize(
    "change, field",
    [
        ({"result": "met"}, "result"),
        ({"result": None}, "result"),
        ({"reason_code": "lazy"}, "reason_code"),
        ({"house_id": 5}, "house_id"),
        ({"house_id": "05"}, "house_id"),
        ({"party_id": str(2**63)}, "party_id"),
        ({"steward_id": "1"}, "steward_id"),
        ({"at": "2026-12-10T10:00:00"}, "at"),
        ({"promise": {"amount_fen": 1.5, "day": "2026-12-11"}}, "promise.amount_fen"),
        ({"promise": {"amount_fen": 100, "day": "tomorrow"}}, "promise.day"),
        ({"note": "长" * 501}, "note"),
    ],
)
def test_what_does_not_fit_is_named(place, db_owner, change, field):
    _, home, steward = place
    body = {**who(home), "result": "refused", "reason_code": "price", **change}
    status, answer = steward.post("/contacts/calls", body)
    assert (status, answer["code"]) == (422, "validation_failed")
    assert list(answer["fields"]) == [field]
    assert count(db_owner, "contact", "idempotency_key") == [0, 0]


def test_a_visit_alone_is_refused_with_the_reason(place, db_owner):
    estate, home, steward = place
    body = {**who(home), "result": "met", "reason_code": "forgot"}
    alone = {**body, "second_steward_id": str(steward.staff.id)}
    status, answer = steward.post("/contacts/visits", alone)
    assert (status, answer["code"]) == (422, "visit_needs_two")
    assert answer["legal_basis"] and answer["what_to_do"]
    mate = make.make_steward(estate.company_id, "mate")
    assert steward.post("/contacts/visits", {**body, "second_steward_id": str(mate.id)})[0] == 201
    page = steward.ok_get(f"/households/{home.house_id}")
    assert [(c["kind_text"], c["second_name"]) for c in page["contacts"]] == [("上门", "管家mate")]


@pytest.mark.covers("S34")
def test_a_promise_names_the_day_of_its_reminder(place):
    _, home, steward = place
    body = {**who(home), "amount_fen": BILL_FEN, "day": "2026-12-14", "pay_by": "bank"}
    answer = steward.ok_post("/promises", body)
    assert (answer["state"], answer["reminder_day"]) == ("open", "2026-12-13")
    answer = steward.ok_post("/promises", {**body, "day": "2026-12-10"})
    assert answer["reminder_day"] is None


def test_two_promises_at_once_leave_one_open(app, place, db_owner):
    _, home, steward = place
    answers = []

    def promise(day):
        with app.test_client() as client:
            answers.append(
                client.post(
                    f"{PREFIX}/promises",
                    json={**who(home), "amount_fen": 100, "day": day, "pay_by": "cash"},
                    headers={**steward.headers, "Idempotency-Key": new_key()},
                ).status_code
            )

    days = [(TODAY + timedelta(days=n)).isoformat() for n in range(1, 5)]
    threads = [Thread(target=promise, args=(day,)) for day in days]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 4
    states = db_owner.execute("SELECT state, count(*) FROM promise GROUP BY 1 ORDER BY 1")
    assert states.fetchall() == [("cancelled", 3), ("open", 1)]
    held = db_owner.execute("SELECT count(*) FROM hold WHERE lifted_at IS NULL").fetchone()
    assert held == (1,)
