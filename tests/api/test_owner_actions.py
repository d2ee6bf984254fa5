"""What an owner can do besides paying: promise, object, end contact, use points, grant messages."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.dialects.postgresql import Range

from backend import clock
from backend.billing.queries import bills_by_id, late_fees
from backend.conduct.operations import holds_in_force
from backend.db import db, transaction
from backend.estate import privacy
from backend.ledger import operations as ledger
from backend.ledger.operations import Entry
from backend.points.models import PointsProgramme
from backend.reminders import operations as reminders
from tests.factories.estate import BILL_FEN, TODAY, make_bill, make_estate, set_business_now
from tests.integration.test_promises import pay
from tests.support.owner import OwnerClient, bound_owner, counts, new_key, register_apps, scalar

MONEY = ("journal", "posting", "principal_event", "points_entry", "hold", "late_fee_freeze")


@pytest.fixture
def estate(ctx, sandbox):
    estate = make_estate(houses=2, late_fee=True)
    set_business_now()
    return estate


@pytest.fixture
def apps(estate, sandbox):
    return register_apps(sandbox, estate.company_id)


@pytest.fixture
def owner(client, sandbox, estate, apps) -> OwnerClient:
    return bound_owner(client, sandbox, apps, estate.homes[0])


@pytest.fixture
def bill_id(estate) -> int:
    return make_bill(estate, estate.homes[0])  # due 30 days ago, late fee for 15 of them


def holds(estate, bill_id):
    home = estate.homes[0]
    return [
        hold.kind
        for hold in holds_in_force(
            house_id=home.house_id, party_id=home.party_id, bill_ids=[bill_id], day=TODAY
        )
    ]


# ---------------------------------------------------------------- late fee, as the owner sees it
@pytest.mark.covers("C10", "C53")
def test_a_late_bill_explains_its_late_fee(owner, bill_id):
    [bill] = owner.ok_get("/bills")["items"]
    fee = bill["late_fee_fen"]
    assert fee > 0 and bill["payable_fen"] == BILL_FEN + fee
    assert sum(step["days"] for step in bill["late_fee_explained"]) == 15
    for step in bill["late_fee_explained"]:
        assert step["base_fen"] == BILL_FEN and step["rate_text"] and step["exact_text"]
    assert bill["overdue_days"] == 30


@pytest.mark.covers("C10")
def test_late_fee_left_on_a_paid_bill_is_listed_and_can_be_paid(owner, estate):
    home = estate.homes[0]
    late = make_bill(estate, home, due_date=date(2026, 10, 15))
    new = make_bill(estate, home, due_date=TODAY + timedelta(days=9), fen=4_000)
    on_time = make_bill(estate, home, due_date=TODAY, fen=5_000, period_from=date(2026, 7, 1))
    pay(estate, home, late, BILL_FEN, day=TODAY)  # at the bank, without its late fee of 193 fen
    pay(estate, home, on_time, 5_000, day=TODAY)
    page = owner.ok_get("/bills", state="open")
    shown = [(int(b["id"]), b["payable_fen"], b["state_text"]) for b in page["items"]]
    assert shown == [(late, 193, "本金已缴，违约金待缴"), (new, 4_000, "待缴")]
    assert page["totals"]["payable_fen"] == 4_193
    [step] = page["items"][0]["late_fee_explained"]
    assert step["base_fen"] == BILL_FEN
    every = owner.ok_get("/bills", state="all")
    assert every["totals"] == page["totals"] and len(every["items"]) == 3


# ---------------------------------------------------------------- promises
@pytest.mark.covers("S34", "C71")
def test_a_promise_silences_reminders_until_its_day(owner, estate, bill_id):
    day = TODAY + timedelta(days=5)
    body = {"house_id": str(estate.homes[0].house_id), "amount_fen": 5000, "day": day.isoformat()}
    promise = owner.ok_post("/promises", body)
    assert promise == {
        "id": str(scalar("SELECT id FROM promise")),
        "state": "open",
        "day": "2026-12-15",
        "amount_fen": 5000,
        "amount_text": "50.00",
        "reminder_day": "2026-12-14",
    }
    assert holds(estate, bill_id) == ["promise"]
    assert scalar("SELECT made_by FROM promise") == f"account:{owner.account_id}"


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"amount_fen": 0}, 422), ({"day": "2026-12-01"}, 422), ({"day": "2028-01-01"}, 422),
     ({"amount_fen": 10**9}, 422), ({"amount_fen": 1.5}, 422), ({"pay_by": "shells"}, 422)],
)  # fmt: skip
def test_an_impossible_promise_changes_nothing(owner, estate, bill_id, changed, status):
    body = {"house_id": str(estate.homes[0].house_id), "amount_fen": 5000, "day": "2026-12-15"}
    assert owner.post("/promises", {**body, **changed})[0] == status
    assert counts("promise", "hold") == {"promise": 0, "hold": 0}


# ---------------------------------------------------------------- disputes
def test_a_dispute_stops_reminders_and_late_fee_and_is_answered_in_three_days(
    owner, estate, bill_id
):
    body = {"bill_id": str(bill_id), "amount_fen": 4293, "reason_code": "no_service",
            "text": "楼道灯三个月没修"}  # fmt: skip
    answer = owner.ok_post("/disputes", body)
    assert answer == {
        "hold_id": str(scalar("SELECT id FROM hold")),
        "answer_by": "2026-12-15",  # Thursday + 3 working days
    }
    assert holds(estate, bill_id) == ["dispute"]
    db.session.rollback()
    [bill] = bills_by_id([bill_id])
    freeze = db.session.execute(db.text("SELECT * FROM late_fee_freeze")).mappings().one()
    assert (freeze["bill_id"], freeze["day_from"], freeze["amount_fen"]) == (bill_id, TODAY, 4293)
    later = TODAY + timedelta(days=40)
    steps = late_fees([bill], later)[bill_id].steps
    assert {step.base for step in steps if step.start >= TODAY} == {BILL_FEN - 4293}
    # the rest, and even the disputed part, stays payable
    assert owner.ok_get("/bills")["items"][0]["open_fen"] == BILL_FEN
    status, refusal = owner.post("/disputes", body)
    assert (status, refusal["code"]) == (409, "dispute_open")


def test_a_whole_bill_can_be_disputed(owner, bill_id):
    body = {"bill_id": str(bill_id), "reason_code": "not_mine", "text": "已经卖房"}
    owner.ok_post("/disputes", body)
    assert scalar("SELECT amount_fen IS NULL FROM late_fee_freeze")


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"amount_fen": BILL_FEN + 1}, 422, "dispute_amount"),
        ({"reason_code": "because"}, 422, "validation_failed"),
        ({"text": ""}, 422, "validation_failed"),
        ({"amount_fen": -5}, 422, "validation_failed"),
    ],
)
def test_an_impossible_dispute_changes_nothing(owner, bill_id, changed, status, code):
    before = counts(*MONEY)
    good = {"bill_id": str(bill_id), "reason_code": "price", "text": "太贵"}
    answered, refusal = owner.post("/disputes", {**good, **changed})
    assert (answered, refusal["code"]) == (status, code)
    assert counts(*MONEY) == before


# ---------------------------------------------------------------- stop contact
@pytest.mark.covers("C17")
def test_one_tap_stops_contact_at_every_house(owner, estate, bill_id):
    body = {"house_id": str(estate.homes[0].house_id)}
    first = owner.ok_post("/stop-contact", body)
    assert owner.ok_post("/stop-contact", body) == first
    hold = db.session.execute(db.text("SELECT * FROM hold")).mappings().one()
    assert (hold["kind"], hold["house_id"], hold["party_id"], hold["until_day"]) == (
        "stop_contact", None, estate.homes[0].party_id, None,
    )  # fmt: skip
    assert holds(estate, bill_id) == ["stop_contact"]


def test_the_wish_is_remembered_at_every_house_until_it_is_lifted(
    client, sandbox, owner, estate, apps, db_owner
):
    """`get_me` says what is in force for this person, not what this page did."""
    mine, other = estate.homes
    db_owner.execute(
        "INSERT INTO binding (account_id, house_id, party_id, bound_by, bound_at) "
        "SELECT account_id, %s, party_id, bound_by, bound_at FROM binding",
        [other.house_id],
    )
    neighbour = bound_owner(client, sandbox, apps, other)

    def stopped(who):
        return [(h["house_id"], h["stopped"]) for h in who.ok_get("/me")["houses"]]

    mine_id, other_id = str(mine.house_id), str(other.house_id)
    assert stopped(owner) == [(mine_id, False), (other_id, False)]
    owner.ok_post("/stop-contact", {"house_id": mine_id})
    assert stopped(owner) == [(mine_id, True), (other_id, True)]
    assert stopped(neighbour) == [(other_id, False)]
    db_owner.execute("UPDATE hold SET lifted_at = now()")
    assert stopped(owner) == [(mine_id, False), (other_id, False)]


# ---------------------------------------------------------------- points
def give_points(estate, party_id: int, points: int) -> None:
    with transaction():
        ledger.post(
            company_id=estate.company_id, source_type="test_points", source_key=str(points),
            entries=[
                Entry("points_liability", points, None, "PT"),
                Entry(ledger.points_account(party_id), -points, None, "PT"),
            ],
            at=clock.wire_now(),
        )  # fmt: skip


@pytest.fixture
def programme(estate):
    with transaction():
        db.session.add(
            PointsProgramme(
                community_id=estate.community_id, title="准时缴费", points_per_yuan=Decimal(1),
                valid=Range(date(2026, 1, 1), None),
            )
        )  # fmt: skip


def test_points_pay_part_of_a_bill(owner, estate, bill_id, programme):
    party = estate.homes[0].party_id
    give_points(estate, party, 500)
    page = owner.ok_get("/points")
    assert (page["balance"], page["shortage"], page["items"]) == (500, 0, [])
    assert page["rule_text"] == "准时缴费：每缴 1 元物业服务费得 1 分；100 分可抵 1 元物业服务费。"
    key = new_key()
    body = {"bill_id": str(bill_id), "points": 300}
    first = owner.ok_post("/points/redemptions", body, key=key)
    assert owner.ok_post("/points/redemptions", body, key=key) == first
    assert (first["points_used"], first["fen"]) == (300, 300)
    assert (first["bill"]["open_fen"], first["bill"]["waived_fen"]) == (BILL_FEN - 300, 300)
    page = owner.ok_get("/points")
    assert page["balance"] == 200
    assert [(i["points"], i["reason_text"]) for i in page["items"]] == [(-300, "抵扣物业服务费")]
    postings = db.session.execute(
        db.text(
            "SELECT a.code, p.currency, p.amount FROM posting p "
            "JOIN account a ON a.id = p.account_id JOIN journal j ON j.id = p.journal_id "
            "WHERE j.source_type = 'points_redeemed' ORDER BY 1"
        )
    ).all()
    assert [tuple(row) for row in postings] == [
        ("discount", "CNY", 300),
        (f"points:{party}", "PT", 300),
        ("points_liability", "PT", -300),
        ("receivable", "CNY", -300),
    ]


def test_points_never_go_below_zero(owner, estate, bill_id):
    give_points(estate, estate.homes[0].party_id, 100)
    before = counts(*MONEY)
    status, refusal = owner.post("/points/redemptions", {"bill_id": str(bill_id), "points": 101})
    assert (status, refusal["code"]) == (409, "points_not_enough")
    assert counts(*MONEY) == before
    assert owner.ok_get("/points")["balance"] == 100
    assert owner.ok_get("/bills")["items"][0]["waived_fen"] == 0


def test_more_points_than_a_bill_needs_are_not_taken(owner, estate):
    small = make_bill(estate, estate.homes[0], fen=120, due_date=TODAY)
    give_points(estate, estate.homes[0].party_id, 1000)
    done = owner.ok_post("/points/redemptions", {"bill_id": str(small), "points": 1000})
    assert (done["points_used"], done["fen"], done["bill"]["state"]) == (120, 120, "paid")
    assert owner.ok_get("/points")["balance"] == 880
    status, refusal = owner.post("/points/redemptions", {"bill_id": str(small), "points": 1})
    assert (status, refusal["code"]) == (409, "nothing_to_pay")


@pytest.mark.parametrize("points", [0, -1, 1.5, "3", True, None])
def test_only_whole_points_are_taken(owner, bill_id, points):
    status, refusal = owner.post("/points/redemptions", {"bill_id": str(bill_id), "points": points})
    assert (status, refusal["code"]) == (422, "validation_failed")


# ---------------------------------------------------------------- one-time message accepts
@pytest.mark.covers("C19")
def test_accepts_are_counted_once_per_tap(owner, apps):
    mine = [t["id"] for t in apps.mini["templates"].values()][:3]
    results = {mine[0]: "accept", mine[1]: "reject", "not-ours": "accept"}
    body, key = {"appid": apps.mini["appid"], "results": results}, new_key()
    assert owner.ok_post("/subscriptions", body, key=key) == {"recorded": 2}
    assert owner.ok_post("/subscriptions", body, key=key) == {"recorded": 2}
    rows = db.session.execute(db.text("SELECT template_id, granted, used FROM subscribe_grant"))
    assert [tuple(row) for row in rows] == [(mine[0], 1, 0)]
    db.session.rollback()
    owner.ok_post("/subscriptions", {**body, "results": {mine[0]: "accept"}})
    assert scalar("SELECT granted FROM subscribe_grant") == 2
    owner.ok_post("/subscriptions", {**body, "results": {mine[0]: "ban"}})
    assert scalar("SELECT granted - used FROM subscribe_grant") == 0


def test_accepts_of_a_foreign_app_are_refused(owner, sandbox):
    body = {"appid": "wx0000000000000000", "results": {"x": "accept"}}
    status, refusal = owner.post("/subscriptions", body)
    assert (status, refusal["code"]) == (404, "app_unknown")


# ---------------------------------------------------------------- my contact record
def test_messages_and_contacts_made_to_me_are_listed(owner, estate, bill_id, db_owner):
    home = estate.homes[0]
    with transaction():
        planned = reminders.plan_message(
            community_id=estate.community_id, house_id=home.house_id, party_id=home.party_id,
            kind="reminder", event="overdue_3", stage="S24", window_key="w", bill_ids=[bill_id],
            due_at=clock.business_now(),
        )  # fmt: skip
    assert owner.ok_get("/contacts", house_id=home.house_id)["items"] == []
    db_owner.execute("UPDATE message SET state = 'calling', channel = 'sms'")
    db_owner.execute(
        "UPDATE message SET state = 'accepted', begun_at = '2026-12-10 02:00+00', "
        "rendered_enc = %s",
        [privacy.encrypt(estate.company_id, "您的账单尚未缴纳")],
    )
    page = owner.ok_get("/contacts", house_id=home.house_id)
    assert page["next_cursor"] is None and planned
    assert page["items"] == [
        {
            "at": "2026-12-10T02:00:00Z",
            "kind": "message",
            "channel_text": "短信",
            "text": "您的账单尚未缴纳",
        }
    ]


# ---------------------------------------------------------------- pages
def test_bills_are_paged_by_key_without_gaps_or_repeats(owner, estate):
    made = [
        make_bill(
            estate, estate.homes[0], due_date=date(2026, 1 + n % 11, 15), fen=100 + n,
            period_from=date(2020 + n // 12, 1 + n % 12, 1),
        )
        for n in range(45)
    ]  # fmt: skip
    for state in ("open", "all"):
        seen, cursor = [], None
        while True:
            page = owner.ok_get("/bills", state=state, **({"cursor": cursor} if cursor else {}))
            seen += [(b["due_date"], int(b["id"])) for b in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert len(seen) == 45 and {i for _, i in seen} == set(made)
        assert seen == sorted(seen, reverse=state == "all")
        assert page["totals"]["open_fen"] == sum(100 + n for n in range(45))


@pytest.mark.parametrize("cursor", ["x", "e30", "WzEsMl0", "A" * 201, "%00"])
def test_a_broken_cursor_is_refused(owner, cursor):
    status, refusal = owner.get("/bills", cursor=cursor)
    assert status == 422 and refusal["code"] in ("bad_cursor", "validation_failed")
