"""Calls and visits: what is written, what follows, and what was against the rules."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from backend import clock
from backend.conduct import operations as conduct
from backend.conduct import queries as permissions
from backend.db import db
from backend.errors import NotFound, Refusal
from backend.identity.scope import Scope
from backend.usecases.plan_day import plan_day
from backend.usecases.record_contact import ContactInput, PromiseMade, record_contact
from backend.usecases.record_visit import record_visit
from tests.factories import estate as make
from tests.factories.estate import BILL_FEN, TODAY

DAY = timedelta(days=1)


@pytest.fixture
def place(ctx):
    make.set_business_now(TODAY, "10:00")
    estate = make.make_estate(houses=2)
    make.make_bill(estate, estate.homes[0])
    staff = make.make_steward(estate.company_id, building_ids=estate.building_ids)
    scope = Scope(estate.company_id, staff.id, tuple(estate.building_ids))
    return estate, estate.homes[0], scope


def call(place, result="will_consider", **changes):
    _, home, scope = place
    values = {"house_id": home.house_id, "party_id": home.party_id, "result": result,
              "reason_code": "forgot", **changes}  # fmt: skip
    return record_contact(scope=scope, contact=ContactInput(**values))


def visit(place, second, result="met", **changes):
    _, home, scope = place
    values = {"house_id": home.house_id, "party_id": home.party_id, "result": result,
              "reason_code": "forgot", **changes}  # fmt: skip
    return record_visit(scope=scope, second_steward_id=second, contact=ContactInput(**values))


def rows(db_owner, sql, *values):
    return db_owner.execute(sql, values).fetchall()


def plan_task(place, kind="call", window="call_10:x"):
    from backend.dunning.models import StewardTask

    estate, home, _ = place
    task = StewardTask(
        community_id=estate.community_id, house_id=home.house_id, party_id=home.party_id,
        kind=kind, stage="S25", window_key=window, due_day=TODAY, created_at=clock.business_now(),
    )  # fmt: skip
    db.session.add(task)
    db.session.commit()
    return task.id


def written(db_owner):
    """Counts of everything a contact may write."""
    tables = ("contact", "contact_log", "promise", "hold", "audit_event", "late_fee_freeze")
    return tuple(rows(db_owner, f"SELECT count(*) FROM {t}")[0][0] for t in tables)


def test_a_call_is_written_counted_and_closes_its_task(place, db_owner):
    _, home, scope = place
    task = plan_task(place)
    recorded = call(place, "will_consider", task_id=task, note="下周看看", reason_code="no_urgency")
    assert recorded.promise_id is None and recorded.violations == ()
    contact = rows(
        db_owner,
        "SELECT kind, result, reason_code, note, connected, steward_id, second_steward_id "
        "FROM contact",
    )
    assert contact == [
        ("call", "will_consider", "no_urgency", "下周看看", True, scope.steward_id, None)
    ]
    assert rows(
        db_owner, "SELECT party_id, kind, class, channel, connected, subject_id FROM contact_log"
    ) == [(home.party_id, "call", "reminder", "phone", True, recorded.contact_id)]
    assert rows(db_owner, "SELECT state FROM steward_task WHERE id = %s", task) == [("done",)]
    assert rows(db_owner, "SELECT action, detail FROM audit_event") == [
        (
            "contact_recorded",
            {"kind": "call", "house_id": home.house_id, "result": "will_consider",
             "reason": "no_urgency"},
        )
    ]  # fmt: skip


@pytest.mark.covers("C16", "S40")
def test_an_unanswered_call_is_an_attempt_and_not_a_contact(place, db_owner):
    call(place, "no_answer", reason_code="unknown")
    assert rows(db_owner, "SELECT connected FROM contact_log") == [(False,)]
    _, home, _ = place
    now = clock.business_now()
    answer = permissions.permission(
        house_id=home.house_id, party_id=home.party_id, kind="call", at=now
    )
    assert (answer.allowed, answer.code) == (False, "E-C16")
    # two hours later is noon, when nobody is called
    assert answer.next_at == datetime(2026, 12, 10, 14, tzinfo=clock.SHANGHAI)
    visit_answer = permissions.permission(
        house_id=home.house_id, party_id=home.party_id, kind="visit", at=now
    )
    assert visit_answer.allowed


@pytest.mark.covers("S35", "S40")
def test_a_household_without_a_date_comes_back_on_its_next_allowed_day(place, db_owner):
    call(place, "no_answer", task_id=plan_task(place), reason_code="unknown")
    assert rows(db_owner, "SELECT kind, due_day, stage FROM steward_task WHERE state = 'open'") == [
        ("call", TODAY + DAY, "S25")
    ]


@pytest.mark.covers("S35")
@pytest.mark.parametrize("result", ["no_answer", "unreachable", "will_consider"])
def test_the_calls_go_on_until_a_day_is_named(place, db_owner, result):
    """Class B in its lawful form: again on the next allowed day, and no more once it is A."""
    call(place, result, task_id=plan_task(place), reason_code="unknown")
    make.set_business_now(TODAY + DAY, "15:00")
    call(place, result, reason_code="unknown")
    waiting = rows(db_owner, "SELECT due_day FROM steward_task WHERE state = 'open'")
    quota_used = result == "will_consider"  # two contacts in seven days: the third waits
    next_day = TODAY + (7 if quota_used else 2) * DAY
    assert waiting == [(next_day,)]
    make.set_business_now(next_day, "15:00")
    recorded = call(place, "promised", promise=PromiseMade(100, next_day + DAY, "cash"))
    assert recorded.violations == ()
    assert rows(db_owner, "SELECT state, count(*) FROM steward_task GROUP BY 1") == [("done", 3)]


def test_a_second_reminder_within_seven_days_moves_the_next_call_beyond_them(place, db_owner):
    estate, home, scope = place
    make.set_business_now(TODAY - 2 * DAY, "10:00")
    call(place, "will_consider")
    make.set_business_now(TODAY, "10:00")
    call(place, "will_consider")
    due = rows(db_owner, "SELECT due_day FROM steward_task WHERE state = 'open'")
    assert due == [(TODAY + 5 * DAY,)]


@pytest.mark.covers("S34", "C71")
def test_a_promise_on_the_phone_is_made_with_the_contact(place, db_owner):
    task = plan_task(place)
    made = PromiseMade(BILL_FEN, TODAY + 3 * DAY, "alipay")
    recorded = call(place, "promised", task_id=task, promise=made)
    assert rows(db_owner, "SELECT id, amount_fen, day, pay_by, made_by, state FROM promise") == [
        (recorded.promise_id, BILL_FEN, TODAY + 3 * DAY, "alipay",
         f"steward:{place[2].steward_id}", "open")
    ]  # fmt: skip
    assert rows(db_owner, "SELECT id, state FROM steward_task") == [(task, "done")]


@pytest.mark.parametrize(
    "result, changes, code",
    [
        ("promised", {}, "contact_invalid"),
        ("refused", {"promise": PromiseMade(1, TODAY, "cash")}, "contact_invalid"),
        ("met", {}, "contact_invalid"),
        ("no_such", {}, "contact_invalid"),
        ("refused", {"reason_code": ""}, "contact_invalid"),
        ("promised", {"promise": PromiseMade(BILL_FEN + 1, TODAY, "cash")}, "promise_invalid"),
        ("promised", {"promise": PromiseMade(100, TODAY - DAY, "cash")}, "promise_invalid"),
    ],
)
def test_an_incomplete_record_is_refused_as_a_whole(place, db_owner, result, changes, code):
    task = plan_task(place)
    with pytest.raises(Refusal) as refused:
        call(place, result, task_id=task, **changes)
    assert refused.value.code == code
    assert written(db_owner) == (0, 0, 0, 0, 0, 0)
    assert rows(db_owner, "SELECT state FROM steward_task") == [("open",)]


def test_the_time_of_a_contact_must_be_near(place, db_owner):
    now = clock.business_now()
    for at in (now + timedelta(minutes=10), now - timedelta(days=8)):
        with pytest.raises(Refusal) as refused:
            call(place, at=at)
        assert refused.value.code == "contact_time"
    assert written(db_owner) == (0, 0, 0, 0, 0, 0)


@pytest.mark.covers("C15", "C16")
def test_a_contact_against_the_rules_is_recorded_and_named(place, db_owner):
    make.set_business_now(TODAY, "13:00")
    assert call(place).violations == ("E-C15",)
    make.set_business_now(TODAY, "16:00")
    assert call(place).violations == ("E-C16",)
    found = rows(
        db_owner,
        "SELECT detail -> 'violations' FROM audit_event WHERE action = 'contact_recorded' "
        "ORDER BY id",
    )
    assert found == [(["E-C15"],), (["E-C16"],)]
    assert rows(db_owner, "SELECT count(*) FROM contact") == [(2,)]


@pytest.mark.covers("C17")
def test_after_stop_contact_nothing_is_allowed_and_a_call_is_a_violation(place, db_owner):
    _, home, _ = place
    now = clock.business_now()
    conduct.place_hold(
        kind="stop_contact", house_id=home.house_id, party_id=home.party_id, from_day=TODAY,
        until_day=None, reason="业主要求", source="account:1", now=now - timedelta(hours=1),
    )  # fmt: skip
    db.session.commit()
    for kind in ("call", "visit", "message"):
        answer = permissions.permission(
            house_id=home.house_id, party_id=home.party_id, kind=kind, at=now
        )
        assert (answer.allowed, answer.code, answer.next_at) == (False, "E-C17", None)
    assert call(place).violations == ("E-C17",)


def test_calling_somebody_who_has_paid_is_a_violation(place, db_owner):
    db_owner.execute("UPDATE bill SET paid_fen = due_fen")
    assert "paid" in call(place, "paid_already", reason_code="unknown").violations


def test_a_wrong_number_is_marked_invalid(place, db_owner):
    _, home, _ = place
    call(place, "wrong_number", reason_code="unknown", phone_id=home.contact_point_id)
    assert rows(
        db_owner, "SELECT state FROM contact_point WHERE id = %s", home.contact_point_id
    ) == [("invalid",)]
    assert rows(db_owner, "SELECT action FROM audit_event ORDER BY id") == [
        ("phone_invalid",),
        ("contact_recorded",),
    ]


def test_a_number_of_somebody_else_is_not_marked(place, db_owner):
    estate, _, _ = place
    other = estate.homes[1].contact_point_id
    with pytest.raises(NotFound):
        call(place, "wrong_number", reason_code="unknown", phone_id=other)
    assert rows(db_owner, "SELECT DISTINCT state FROM contact_point") == [("valid",)]
    assert written(db_owner) == (0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("result, kind", [("dispute", "dispute"), ("hardship", "hardship")])
@pytest.mark.covers("C10")
def test_dispute_and_hardship_silence_until_lifted_and_stop_the_late_fee(
    place, db_owner, result, kind
):
    call(place, result, reason_code="dissatisfied", note="电梯常坏")
    assert rows(db_owner, "SELECT kind, from_day, until_day, reason FROM hold") == [
        (kind, TODAY, None, "电梯常坏")
    ]
    assert rows(db_owner, "SELECT day_from, day_to, amount_fen FROM late_fee_freeze") == [
        (TODAY, None, None)
    ]
    call(place, result, reason_code="dissatisfied", at=clock.business_now())
    assert rows(db_owner, "SELECT count(*) FROM hold") == [(1,)]


def test_a_visit_needs_two_different_active_people_of_the_company(place, db_owner):
    estate, home, scope = place
    mate = make.make_steward(estate.company_id, "mate")
    gone = make.make_steward(estate.company_id, "gone")
    db_owner.execute("UPDATE steward SET active = false WHERE id = %s", [gone.id])
    foreign = make.make_steward(make.make_estate(code="MOON", houses=1).company_id, "foreign")
    with pytest.raises(Refusal) as refused:
        visit(place, scope.steward_id)
    assert (refused.value.code, refused.value.http) == ("visit_needs_two", 422)
    for second in (gone.id, foreign.id, 999):
        with pytest.raises(NotFound):
            visit(place, second)
    assert written(db_owner) == (0, 0, 0, 0, 0, 0)
    recorded = visit(place, mate.id)
    assert rows(db_owner, "SELECT kind, second_steward_id FROM contact") == [("visit", mate.id)]
    assert recorded.violations == ()
    with pytest.raises(IntegrityError):
        db.session.execute(
            db.text(
                "INSERT INTO contact (community_id, house_id, party_id, steward_id, kind, result, "
                "reason_code, connected, at, recorded_at) SELECT community_id, house_id, party_id, "
                "steward_id, 'visit', 'met', 'other', true, at, at FROM contact"
            )
        )
    db.session.rollback()


@pytest.mark.covers("C16")
def test_a_second_visit_within_fourteen_days_or_after_hours_is_named(place, db_owner):
    estate, _, _ = place
    mate = make.make_steward(estate.company_id, "mate")
    visit(place, mate.id, "not_met")
    make.set_business_now(TODAY + 8 * DAY, "19:45")
    assert visit(place, mate.id).violations == ("E-C15",)
    make.set_business_now(TODAY + 13 * DAY, "15:00")
    assert visit(place, mate.id).violations == ("E-C16",)


@pytest.mark.covers("C12", "S5")
def test_a_new_owner_is_not_asked_for_what_the_old_one_owes(place, db_owner):
    estate, home, _ = place
    buyer = make.make_party(estate.company_id)[0]
    for table in ("ownership", "liability"):
        db_owner.execute(
            f"UPDATE {table} SET valid = daterange(lower(valid), %s) WHERE house_id = %s",
            [TODAY - DAY, home.house_id],
        )
        db_owner.execute(
            f"INSERT INTO {table} (house_id, party_id, valid) VALUES (%s, %s, daterange(%s, NULL))",
            [home.house_id, buyer, TODAY - DAY],
        )
    plan_day(community_id=estate.community_id)
    for asked in ("SELECT party_id FROM steward_task", "SELECT party_id FROM message"):
        assert rows(db_owner, asked) in ([], [(home.party_id,)])
    assert rows(db_owner, "SELECT count(*) FROM steward_task") == [(1,)]
    assert rows(db_owner, "SELECT party_id, open_fen FROM bill") == [(home.party_id, BILL_FEN)]
    answer = permissions.permission(
        house_id=home.house_id, party_id=buyer, kind="call", at=clock.business_now()
    )
    assert (answer.allowed, answer.code) == (False, "paid")
    assert "paid" in call(place, party_id=buyer).violations


@pytest.mark.covers("C21")
def test_a_foreign_task_house_or_party_does_not_exist(place, db_owner):
    estate, home, scope = place
    other = make.make_estate(code="MOON", houses=1)
    strange = other.homes[0]
    for change in (
        {"house_id": strange.house_id, "party_id": strange.party_id},
        {"party_id": strange.party_id},
        {"task_id": 12345},
    ):
        with pytest.raises(NotFound):
            call(place, **change)
    narrow = (estate, home, Scope(scope.company_id, scope.steward_id, ()))
    with pytest.raises(NotFound):
        call(narrow)
    assert written(db_owner) == (0, 0, 0, 0, 0, 0)


def test_a_dispute_of_one_bill_leaves_the_others_callable(place, db_owner):
    estate, home, _ = place
    second = make.make_bill(estate, home, due_date=TODAY - 61 * DAY)
    now = clock.business_now()
    hold = {"kind": "dispute", "house_id": home.house_id, "party_id": home.party_id,
            "from_day": TODAY, "until_day": None, "reason": "面积",
            "source": "x", "now": now}  # fmt: skip
    conduct.place_hold(**hold, bill_id=second)
    db.session.commit()
    ask = {"house_id": home.house_id, "party_id": home.party_id, "kind": "call", "at": now}
    assert permissions.permission(**ask).allowed
    first = rows(db_owner, "SELECT id FROM bill WHERE id <> %s", second)[0][0]
    conduct.place_hold(**hold, bill_id=first)
    db.session.commit()
    assert permissions.permission(**ask).code == "hold_dispute"
