"""Lifting holds: who may, what starts again, and what a refusal leaves as it was."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from backend import clock
from backend.conduct.operations import place_hold
from backend.db import db
from backend.errors import Refusal
from backend.usecases.open_dispute import open_dispute
from backend.usecases.stop_contact import stop_contact
from tests.factories import estate as make
from tests.factories.estate import TODAY
from tests.support.staff import StaffClient

DAY = timedelta(days=1)
WHY = "误触登记，业主无异议"
TABLES = ("hold", "late_fee_freeze", "audit_event WHERE action = 'hold_lifted'")


@pytest.fixture
def place(client, ctx):
    """One household with a bill that runs late fee, a steward of its building, and a lead."""
    make.set_business_now(TODAY, "10:00")
    estate = make.make_estate(houses=1, late_fee=True)
    home = estate.homes[0]
    bill = make.make_bill(estate, home, due_date=TODAY - 30 * DAY)
    people = {
        role: StaffClient(client, make.make_steward(
            estate.company_id, role, role=role, building_ids=estate.building_ids))
        for role in ("steward", "lead", "finance", "manager", "admin")
    }  # fmt: skip
    return SimpleNamespace(estate=estate, home=home, bill=bill, client=client, **people)


def rows(db_owner, sql, *values):
    return db_owner.execute(sql, values).fetchall()


def everything(db_owner):
    return [rows(db_owner, f"SELECT * FROM {table}") for table in TABLES]


def page(place):
    return place.steward.ok_get(f"/households/{place.home.house_id}")


def misclick(place) -> str:
    """The steward taps 有异议 by mistake; return the id of the hold."""
    place.steward.ok_post("/contacts/calls", {
        "house_id": str(place.home.house_id), "party_id": str(place.home.party_id),
        "result": "dispute", "reason_code": "price",
    })  # fmt: skip
    [hold] = page(place)["holds"]
    assert (hold["kind"], hold["until_day"], hold["liftable"]) == ("dispute", None, True)
    return hold["id"]


def holding(place, kind: str, until: date | None = None) -> int:
    hold = place_hold(
        kind=kind, house_id=place.home.house_id, party_id=place.home.party_id, from_day=TODAY,
        until_day=until, reason="x", source="steward:1", now=clock.business_now(),
    )  # fmt: skip
    db.session.commit()
    return hold.id


def late_fee(place) -> int:
    return page(place)["totals"]["late_fee_fen"]


def test_a_lifted_dispute_lets_contact_and_late_fee_go_on(place, db_owner):
    assert late_fee(place) == 70  # 15 days at 12 % a year: 4.6991 fen each
    hold = misclick(place)
    assert late_fee(place) == 66  # today is frozen: 14 days
    make.set_business_now(TODAY + 10 * DAY, "10:00")
    before = page(place)
    assert before["totals"]["late_fee_fen"] == 66
    assert before["contact_allowed"]["call"]["code"] == "hold_dispute"
    answer = place.lead.ok_post(f"/holds/{hold}/lift", {"reason": WHY})
    lifted_at = answer.pop("lifted_at")
    assert answer == {"id": hold, "kind": "dispute", "kind_text": "异议处理", "bills_unfrozen": 1}
    assert lifted_at.startswith((TODAY + 10 * DAY).isoformat())
    after = page(place)
    assert after["holds"] == [] and after["contact_allowed"]["call"]["allowed"] is True
    assert after["totals"]["late_fee_fen"] == 70  # the frozen days stay free: 14 + 1
    make.set_business_now(TODAY + 11 * DAY, "10:00")
    assert late_fee(place) == 75  # 14 + 2
    lead = f"steward:{place.lead.staff.id}"
    assert rows(db_owner, "SELECT day_from, day_to, voided FROM late_fee_freeze") == [
        (TODAY, TODAY + 10 * DAY, False)
    ]
    assert rows(db_owner, "SELECT lifted_by FROM hold") == [(lead,)]
    assert rows(
        db_owner, "SELECT actor, object, detail FROM audit_event WHERE action = 'hold_lifted'"
    ) == [(lead, f"hold:{hold}", {
        "kind": "dispute", "house_id": place.home.house_id, "party_id": place.home.party_id,
        "bill_id": None, "reason": WHY, "owner_consent": False, "bills_unfrozen": 1,
    })]  # fmt: skip


def test_a_mistake_lifted_the_same_day_costs_the_household_nothing(place, db_owner):
    hold = misclick(place)
    place.manager.ok_post(f"/holds/{hold}/lift", {"reason": WHY})
    assert late_fee(place) == 70
    assert rows(db_owner, "SELECT day_from, day_to FROM late_fee_freeze") == [(TODAY, TODAY)]


def test_an_owners_dispute_about_a_part_of_a_bill_ends_with_its_part(place, db_owner):
    opened = open_dispute(
        bill_id=place.bill, amount_fen=4293, reason_code="wrong_amount", text="面积不对",
        by="account:1", company_id=place.estate.company_id,
    )  # fmt: skip
    other = holding(place, "manual")
    answer = place.admin.ok_post(f"/holds/{opened.hold_id}/lift", {"reason": "已复核面积并答复"})
    assert (answer["kind"], answer["bills_unfrozen"]) == ("dispute", 1)
    assert rows(db_owner, "SELECT amount_fen, day_to FROM late_fee_freeze") == [(4293, TODAY)]
    assert [h["id"] for h in page(place)["holds"]] == [str(other)]
    again = open_dispute(
        bill_id=place.bill, amount_fen=None, reason_code="price", text="", by="account:1",
        company_id=place.estate.company_id,
    )  # fmt: skip
    assert again.hold_id > opened.hold_id


def test_lifting_one_hold_leaves_the_freeze_of_another(place, db_owner):
    dispute = misclick(place)
    place.steward.ok_post("/contacts/calls", {
        "house_id": str(place.home.house_id), "party_id": str(place.home.party_id),
        "result": "hardship", "reason_code": "hardship",
    })  # fmt: skip
    place.lead.ok_post(f"/holds/{dispute}/lift", {"reason": WHY})
    assert rows(db_owner, "SELECT day_to FROM late_fee_freeze ORDER BY id") == [(TODAY,), (None,)]
    assert late_fee(place) == 66
    assert [h["kind"] for h in page(place)["holds"]] == ["hardship"]


@pytest.mark.covers("C17")
def test_a_stop_of_contact_wants_the_owners_new_consent(place, db_owner):
    hold = stop_contact(
        party_id=place.home.party_id, by="account:1", company_id=place.estate.company_id
    )
    before, path = everything(db_owner), f"/holds/{hold}/lift"
    for body in ({"reason": WHY}, {"reason": WHY, "owner_consent": False}):
        status, refused = place.lead.post(path, body)
        assert (status, refused["code"]) == (422, "owner_consent_required")
        assert "主动联系" in refused["what_to_do"] and refused["legal_basis"]
    for colleague in (place.steward, place.finance):
        status, refused = colleague.post(path, {"reason": WHY, "owner_consent": True})
        assert (status, refused["code"]) == (403, "forbidden_role")
    assert everything(db_owner) == before
    assert page(place)["contact_allowed"]["call"]["code"] == "E-C17"
    reason = "12月15日业主来电，同意恢复短信提醒"
    place.lead.ok_post(path, {"reason": reason, "owner_consent": True})
    assert page(place)["contact_allowed"]["call"]["allowed"] is True
    [(detail,)] = rows(db_owner, "SELECT detail FROM audit_event WHERE action = 'hold_lifted'")
    assert (detail["owner_consent"], detail["reason"]) == (True, reason)


def test_a_promise_is_not_lifted_but_replaced(place, db_owner):
    promise = {"house_id": str(place.home.house_id), "party_id": str(place.home.party_id),
               "amount_fen": 1000, "day": (TODAY + DAY).isoformat()}  # fmt: skip
    place.steward.ok_post("/promises", promise)
    [hold] = page(place)["holds"]
    assert (hold["kind"], hold["liftable"]) == ("promise", False)
    before = everything(db_owner)
    status, refused = place.admin.post(f"/holds/{hold['id']}/lift", {"reason": WHY})
    assert (status, refused["code"]) == (409, "hold_of_promise")
    assert refused["what_to_do"] == "请与业主重新约定并登记新的承诺，新承诺会取代原承诺。"
    assert everything(db_owner) == before


def test_what_has_ended_and_what_is_not_ones_own_cannot_be_lifted(place, db_owner, client):
    held, ended = holding(place, "manual"), holding(place, "manual", until=TODAY)
    stopped = stop_contact(
        party_id=place.home.party_id, by="account:1", company_id=place.estate.company_id
    )
    moon = make.make_estate(code="MOON", houses=1)
    stranger = StaffClient(client, make.make_steward(moon.company_id, "moon", role="lead"))
    body = {"reason": WHY, "owner_consent": True}
    before = everything(db_owner)
    for who, hold, change, status, code in (
        (stranger, held, {}, 404, "not_found"),
        (stranger, stopped, {}, 404, "not_found"),
        (place.lead, 999_999, {}, 404, "not_found"),
        (place.lead, ended, {}, 409, "hold_ended"),
        (place.lead, held, {"reason": " 误触 "}, 422, "reason_required"),
        (place.lead, held, {"reason": None}, 422, "validation_failed"),
        (place.steward, held, {}, 403, "forbidden_role"),
        (place.finance, held, {}, 403, "forbidden_role"),
    ):
        got = who.post(f"/holds/{hold}/lift", body | change)
        assert (got[0], got[1]["code"]) == (status, code), (hold, change)
    assert everything(db_owner) == before


def test_the_same_key_lifts_once_and_a_second_time_is_refused(place, db_owner):
    path = f"/holds/{holding(place, 'own_error')}/lift"
    first = place.lead.post(path, {"reason": WHY}, key="lift-key-1")
    assert first[0] == 200 and first[1]["bills_unfrozen"] == 0
    assert place.lead.post(path, {"reason": WHY}, key="lift-key-1") == first
    assert place.lead.post(path, {"reason": WHY})[1]["code"] == "hold_ended"
    assert rows(db_owner, "SELECT count(*) FROM audit_event WHERE action = 'hold_lifted'") == [(1,)]


def test_a_hold_ends_with_its_last_day_and_the_refusal_is_a_refusal(place):
    from backend.identity.scope import Scope
    from backend.usecases.lift_hold import lift_hold

    hold = holding(place, "manual", until=TODAY + DAY)
    make.set_business_now(TODAY + DAY, "09:00")
    with pytest.raises(Refusal) as refused:
        lift_hold(
            scope=Scope(place.estate.company_id, place.lead.staff.id), hold_id=hold, reason=WHY
        )
    assert refused.value.code == "hold_ended"
