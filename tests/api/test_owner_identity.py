"""Logging in and binding: who an owner is, and what is shown before he proves it."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest

from backend import clock
from backend.db import db
from backend.identity import tokens
from backend.identity.models import OwnerAccount
from backend.money import yuan_text
from tests.factories.estate import (
    TODAY,
    make_bill,
    make_estate,
    make_party,
    set_business_now,
)
from tests.support.owner import OwnerClient, counts, new_key, register_apps, scalar


@pytest.fixture
def estate(ctx, sandbox):
    estate = make_estate(houses=2)
    set_business_now()
    return estate


@pytest.fixture
def apps(estate, sandbox):
    return register_apps(sandbox, estate.company_id)


@pytest.fixture
def stranger(client, sandbox, apps) -> OwnerClient:
    """Somebody logged in whose phone is on no roster."""
    owner = OwnerClient(client, sandbox, apps.mini, "13900008888")
    owner.login()
    return owner


def test_the_same_person_is_the_same_account(client, sandbox, estate, apps):
    owner = OwnerClient(client, sandbox, apps.mini, estate.homes[0].phone)
    first = owner.login()
    assert first["bound"] is False and first["expires_at"].endswith("Z")
    owner.bind()
    again = owner.login()
    assert (again["account_id"], again["bound"]) == (first["account_id"], True)
    assert counts("owner_account", "owner_openid") == {"owner_account": 1, "owner_openid": 1}


@pytest.mark.parametrize("wrong", ["used", "unknown", "other_app", "no_app"])
def test_a_wrong_code_logs_nobody_in(client, sandbox, apps, wrong):
    owner = OwnerClient(client, sandbox, apps.mini, "13900008888")
    body = {"appid": apps.mini["appid"], "code": owner.code("login")}
    if wrong == "used":
        owner.ok_post("/login", body)
    elif wrong == "unknown":
        body["code"] = "0" + "x" * 31
    elif wrong == "other_app":
        body["appid"] = apps.official["appid"]
    else:
        body["appid"] = "wx0000000000000000"
    before = counts("owner_account")
    status, refusal = owner.post("/login", body)
    expected = {"used": (401, "wechat_code_used"), "unknown": (401, "wechat_code_invalid")}
    assert (status, refusal["code"]) == expected.get(wrong, (404, "app_unknown"))
    assert counts("owner_account") == before


def test_phone_number_binds_every_house_of_the_person(app, client, sandbox, estate, apps):
    owner = OwnerClient(client, sandbox, apps.mini, estate.homes[0].phone)
    owner.login()
    assert owner.ok_get("/me")["houses"] == []
    houses = owner.bind()
    assert houses == [
        {
            "house_id": str(estate.homes[0].house_id),
            "label": "SUN花园 1-1-101",
            "community_name": "SUN花园",
            "role": "owner",
            "role_text": "业主",
        }
    ]
    me = owner.ok_get("/me")
    code = scalar("SELECT code FROM pay_code")
    more = {
        "pay_code": code,
        "pay_url": f"{app.config['SETTINGS'].public_base_url}/pay/bills?c={code}",
        "stopped": False,
    }
    assert me["houses"] == [{**houses[0], **more}]
    assert me["company"] == {"name": "CO-SUN物业", "hotline": "400-000-0001"}
    assert me["templates"] and len(me["templates"]) <= 3


def test_the_way_to_pay_outside_wechat_is_his_own_and_stays(client, sandbox, estate, apps):
    """The link of `get_me` shows exactly his own bills; a neighbour's code is in no answer of his.

    The address is opened as it is given: a code that nobody told the owner leads nowhere.
    """
    mine, neighbour = estate.homes
    for home in (mine, neighbour):
        make_bill(estate, home, fen=10000 + home.house_id)
    answers = {}
    for home in (mine, neighbour):
        owner = OwnerClient(client, sandbox, apps.mini, home.phone)
        owner.login()
        assert owner.ok_get("/me")["houses"] == []
        owner.bind()
        answers[home.house_id] = owner.ok_get("/me")
        assert owner.ok_get("/me") == answers[home.house_id]  # the code is made once
    assert counts("pay_code") == {"pay_code": 2}
    for home, other in ((mine, neighbour), (neighbour, mine)):
        [house] = answers[home.house_id]["houses"]
        [foreign] = answers[other.house_id]["houses"]
        assert foreign["pay_code"] not in str(answers[home.house_id])
        assert scalar(
            "SELECT house_id = :h AND party_id = :p FROM pay_code WHERE code = :c",
            h=home.house_id, p=home.party_id, c=house["pay_code"],
        )  # fmt: skip
        path = house["pay_url"][house["pay_url"].index("/pay/") :]
        page = client.get(path).text
        assert yuan_text(10000 + home.house_id) in page
        assert yuan_text(10000 + other.house_id) not in page


def test_the_spouses_code_of_the_same_house_is_not_told(client, sandbox, estate, apps, db_owner):
    """A code stands for one person at a house; living there together does not share it."""
    home = estate.homes[0]
    other, _, phone, _ = make_party(estate.company_id, name="李共有")
    db_owner.execute(
        "INSERT INTO ownership (house_id, party_id, valid) VALUES (%s, %s, '[2026-01-01,)')",
        [home.house_id, other],
    )
    codes = []
    for number in (home.phone, phone):
        owner = OwnerClient(client, sandbox, apps.mini, number)
        owner.login()
        owner.bind()
        [house] = owner.ok_get("/me")["houses"]
        assert house["house_id"] == str(home.house_id)
        codes.append(house["pay_code"])
    assert len(set(codes)) == 2


def test_an_ended_binding_tells_no_code(client, sandbox, estate, apps, db_owner):
    owner = OwnerClient(client, sandbox, apps.mini, estate.homes[0].phone)
    owner.login()
    owner.bind()
    code = owner.ok_get("/me")["houses"][0]["pay_code"]
    db_owner.execute("UPDATE binding SET ended_at = now()")
    me = owner.ok_get("/me")
    assert me["houses"] == [] and code not in str(me)


def test_a_phone_on_no_roster_binds_nothing(stranger):
    status, refusal = stranger.post("/bindings", {"phone_code": stranger.code("phone")})
    assert (status, refusal["code"]) == (409, "binding_not_matched")
    assert counts("binding") == {"binding": 0}


def test_a_phone_of_another_company_binds_nothing(client, sandbox, stranger):
    other = make_estate(code="MOON", houses=1)
    make_party(other.company_id, phone="13900008888")
    status, refusal = stranger.post("/bindings", {"phone_code": stranger.code("phone")})
    assert (status, refusal["code"]) == (409, "binding_not_matched")


def by_name(home, **changed):
    good = {"house_code": home.house_code, "name": home.name, "phone_last4": home.phone[-4:]}
    return {**good, **changed}


def test_house_name_and_last_four_digits_bind(stranger, estate):
    home = estate.homes[0]
    body = by_name(home, house_code="1栋1单元101室", community_code="SUN")
    [house] = stranger.ok_post("/bindings", body)["houses"]
    assert house["house_id"] == str(home.house_id)
    assert scalar("SELECT bound_by FROM binding") == "name"


MISMATCHES = [
    {"name": "李四"},
    {"phone_last4": "9999"},
    {"house_code": "9-9-999"},
    {"house_code": "???"},
    {"community_code": "NOPE"},
]


@pytest.mark.parametrize("changed", MISMATCHES, ids=lambda c: next(iter(c)))
def test_every_mismatch_gets_the_same_answer(stranger, estate, changed):
    answers = [
        stranger.post("/bindings", by_name(estate.homes[0], **wrong))
        for wrong in (changed, {"name": "谁也不是"})
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 409 and answers[0][1]["code"] == "binding_not_matched"
    assert counts("binding") == {"binding": 0}


def test_the_neighbours_details_do_not_bind_this_house(stranger, estate):
    mine, neighbour = estate.homes
    body = by_name(mine, name=neighbour.name, phone_last4=neighbour.phone[-4:])
    assert stranger.post("/bindings", body)[0] == 409


def test_five_tries_a_day_for_a_house_whoever_tries(client, sandbox, apps, stranger, estate):
    home = estate.homes[0]
    other = OwnerClient(client, sandbox, apps.mini, "13900007777")
    other.login()
    for tries, who in enumerate([stranger, other, stranger, other, stranger], start=1):
        assert who.post("/bindings", by_name(home, phone_last4="0000"))[0] == 409
        assert scalar("SELECT tries FROM binding_attempt") == tries
    status, refusal = other.post("/bindings", by_name(home))
    assert (status, refusal["code"]) == (429, "binding_tries_used")
    assert scalar("SELECT tries FROM binding_attempt") == 5
    assert counts("binding") == {"binding": 0}
    # another house, and the next day, are not touched by it
    assert other.post("/bindings", by_name(estate.homes[1]))[0] == 200
    set_business_now(TODAY + timedelta(days=1))
    assert stranger.post("/bindings", by_name(home))[0] == 200


def test_the_database_itself_refuses_a_sixth_try(db_app, estate):
    db_app.execute(
        "INSERT INTO binding_attempt (house_id, day, tries) VALUES (%s, '2026-12-10', 5)",
        [estate.homes[0].house_id],
    )
    with pytest.raises(Exception, match="five_a_day"):
        db_app.execute("UPDATE binding_attempt SET tries = tries + 1")


def test_binding_again_changes_nothing_and_a_repeat_answers_the_same(stranger, estate):
    body, key = by_name(estate.homes[0]), new_key()
    first = stranger.ok_post("/bindings", body, key=key)
    assert stranger.ok_post("/bindings", body, key=key) == first
    assert scalar("SELECT tries FROM binding_attempt") == 1
    assert stranger.ok_post("/bindings", body) == first
    assert counts("binding") == {"binding": 1}


@pytest.mark.parametrize("body", [{}, {"house_code": "1-1-101"}, {"phone_last4": "12a4"}])
def test_an_incomplete_binding_names_the_fields(stranger, body):
    status, refusal = stranger.post("/bindings", body)
    assert (status, refusal["code"]) == (422, "validation_failed")
    assert refusal["fields"]


def test_nothing_personal_is_shown_before_binding(stranger, estate):
    home = estate.homes[0]
    bill_id = make_bill(estate, home)
    seen = [
        stranger.get("/me"),
        stranger.get("/bills"),
        stranger.get("/bills", house_id=home.house_id),
        stranger.get("/contacts", house_id=home.house_id),
        stranger.get("/points"),
        stranger.post("/disputes", {"bill_id": str(bill_id), "reason_code": "other", "text": "x"}),
    ]
    for _, body in seen:
        for private in (home.name, home.phone, home.house_code, str(bill_id), "142.93"):
            assert private not in str(body)


def test_a_former_owner_sees_his_own_period_and_the_new_owner_only_hers(
    client, sandbox, estate, apps, db_owner
):
    """C12: the bill keeps its liable party; a new owner sees nothing old (reliability row 40)."""
    home = estate.homes[0]
    old_bill = make_bill(estate, home, due_date=TODAY.replace(month=10))
    _, _, phone, name = make_party(estate.company_id, name="李新来")
    new_party = scalar("SELECT id FROM party WHERE name = '李新来'")
    for table in ("ownership", "liability"):
        db_owner.execute(
            f"UPDATE {table} SET valid = daterange('2026-01-01', '2026-11-01') "
            "WHERE house_id = %s", [home.house_id],
        )  # fmt: skip
        db_owner.execute(
            f"INSERT INTO {table} (house_id, party_id, valid) "
            "VALUES (%s, %s, daterange('2026-11-01', NULL))",
            [home.house_id, new_party],
        )
    new_bill = make_bill(estate, home, due_date=TODAY.replace(month=11, day=15), party_id=new_party)
    bills = {}
    for who, number in (("old", home.phone), ("new", phone)):
        owner = OwnerClient(client, sandbox, apps.mini, number)
        owner.login()
        owner.bind()
        bills[who] = [b["id"] for b in owner.ok_get("/bills", state="all")["items"]]
    assert bills == {"old": [str(old_bill)], "new": [str(new_bill)]}


@pytest.mark.parametrize(
    "change",
    ["none", "garbage", "expired", "alg_none", "other_key", "other_audience", "edited", "no_exp"],
)
def test_a_bad_token_is_refused(app, client, stranger, change):
    secret = app.config["SETTINGS"].secret_key
    now = clock.wire_now()
    good = {
        "iss": "jiaoqing", "aud": "owner", "sub": str(stranger.account_id), "ver": 1,
        "iat": int(now.timestamp()), "exp": int(now.timestamp()) + 600,
    }  # fmt: skip
    key = tokens._key(secret, "owner")
    made = {
        "none": "",
        "garbage": "abc.def.ghi",
        "expired": jwt.encode({**good, "exp": int(now.timestamp()) - 1}, key),
        "alg_none": jwt.encode(good, None, algorithm="none"),
        "other_key": jwt.encode(good, secret),
        "other_audience": jwt.encode({**good, "aud": "steward"}, key),
        "edited": stranger.token[:-4] + "AAAA",
        "no_exp": jwt.encode({k: v for k, v in good.items() if k != "exp"}, key),
    }
    assert client.get(
        "/api/v1/me", headers={"Authorization": f"Bearer {jwt.encode(good, key)}"}
    ).status_code == 200  # fmt: skip
    answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {made[change]}"})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "login_required")


def test_raising_the_version_ends_every_token(client, stranger):
    assert stranger.get("/me")[0] == 200
    db.session.execute(db.update(OwnerAccount).values(token_version=2))
    db.session.commit()
    assert stranger.get("/me") == (401, client.get("/api/v1/me").get_json())


def test_an_owners_token_opens_no_steward_address(client, stranger):
    answer = client.get("/admin/api/v1/me", headers=stranger.headers)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "login_required")
