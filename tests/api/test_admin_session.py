"""Staff log in: one answer for everything wrong, five tries, revocation."""

from __future__ import annotations

import pytest

from tests.factories import estate as make
from tests.support.staff import PREFIX, StaffClient


@pytest.fixture
def staff(ctx):
    estate = make.make_estate(houses=1)
    return make.make_steward(estate.company_id, building_ids=estate.building_ids)


def login(client, name, password):
    answer = client.post(f"{PREFIX}/login", json={"login": name, "password": password})
    return answer.status_code, answer.get_json()


def test_login_answers_who_it_is(client, staff):
    status, body = login(client, staff.login, make.PASSWORD)
    assert status == 200
    assert body["steward"] == {
        "id": str(staff.id),
        "name": "管家guanjia1",
        "role": "steward",
        "company_name": "CO-SUN物业",
    }
    assert body["expires_at"].endswith("Z")
    me = client.get(f"{PREFIX}/me", headers={"Authorization": f"Bearer {body['token']}"})
    assert me.get_json() == body["steward"]


def test_wrong_password_and_unknown_login_get_the_same_answer(client, staff, db_owner):
    wrong = login(client, staff.login, "not-the-password")
    unknown = login(client, "nobody", "not-the-password")
    db_owner.execute("UPDATE steward SET active = false")
    inactive = login(client, staff.login, make.PASSWORD)
    assert wrong == unknown == inactive
    assert wrong[0] == 401 and wrong[1]["code"] == "login_failed"


def test_five_wrong_passwords_lock_for_a_quarter_of_an_hour(client, staff, db_owner):
    answers = [login(client, staff.login, "wrong-password") for _ in range(5)]
    assert {status for status, _ in answers} == {401}
    status, body = login(client, staff.login, make.PASSWORD)
    assert (status, body["code"]) == (429, "login_locked")
    left = db_owner.execute("SELECT locked_until - now() FROM steward").fetchone()[0]
    assert 14 * 60 < left.total_seconds() <= 15 * 60
    db_owner.execute("UPDATE steward SET locked_until = now() - interval '1 second'")
    assert login(client, staff.login, make.PASSWORD)[0] == 200
    assert db_owner.execute("SELECT failed_logins, locked_until FROM steward").fetchone() == (
        0,
        None,
    )


def test_a_login_nobody_has_is_locked_like_any_other(client, staff):
    answers = [login(client, "nobody", "wrong-password")[0] for _ in range(6)]
    assert answers == [401] * 5 + [429]


def test_failures_are_audited_without_the_password(client, staff, db_owner):
    login(client, staff.login, "wrong-password")
    rows = db_owner.execute("SELECT actor, action, detail FROM audit_event").fetchall()
    assert rows == [(f"steward:{staff.id}", "login_failed", {})]


def test_a_new_token_version_ends_every_token(client, staff, db_owner):
    member = StaffClient(client, staff)
    assert member.get("/me")[0] == 200
    db_owner.execute("UPDATE steward SET token_version = token_version + 1")
    status, body = member.get("/me")
    assert (status, body["code"]) == (401, "login_required")


def test_colleagues_are_the_active_staff_of_the_company(client, staff, ctx, db_owner):
    other = make.make_estate(code="MOON", houses=1)
    make.make_steward(other.company_id, "fremd")
    mate = make.make_steward(staff.company_id, "kollege", role="lead")
    gone = make.make_steward(staff.company_id, "gone")
    db_owner.execute("UPDATE steward SET active = false WHERE id = %s", [gone.id])
    items = StaffClient(client, staff).ok_get("/stewards")["items"]
    assert [item["id"] for item in items] == [str(staff.id), str(mate.id)]
    assert items[1] == {"id": str(mate.id), "name": "管家kollege", "role": "lead"}


def test_add_steward_checks_role_password_buildings_and_login(ctx, staff, db_owner):
    from backend.errors import NotFound, Refusal
    from backend.usecases.add_steward import add_steward

    other = make.make_estate(code="MOON", houses=1)
    base = {
        "company_id": staff.company_id, "login": "neu", "name": "新管家", "role": "steward",
        "password": "long-enough-1", "by": "cli",
    }  # fmt: skip
    for change, code in (
        ({"role": "boss"}, "role_unknown"),
        ({"password": "short"}, "password_too_weak"),
        ({"login": staff.login}, "login_taken"),
    ):
        with pytest.raises(Refusal) as refused:
            add_steward(**{**base, **change})
        assert refused.value.code == code
    with pytest.raises(NotFound):
        add_steward(**base, building_ids=other.building_ids)
    assert db_owner.execute("SELECT count(*) FROM steward").fetchone() == (1,)
    assert add_steward(**base) > 0
