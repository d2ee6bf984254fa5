"""The worklist, the search, the household page and the phone number, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread

import pytest
from sqlalchemy import event

from backend import clock
from backend.db import db
from tests.factories import estate as make
from tests.factories.estate import BILL_FEN, TODAY
from tests.support.staff import StaffClient
from tests.support.wait import wait_for

DAY = timedelta(days=1)


@pytest.fixture
def estate(ctx):
    make.set_business_now(TODAY, "10:00")
    return make.make_estate(houses=4, buildings=2)


@pytest.fixture
def steward(client, estate):
    staff = make.make_steward(estate.company_id, building_ids=estate.building_ids[:1])
    return StaffClient(client, staff)


@pytest.fixture
def lead(client, estate):
    return StaffClient(client, make.make_steward(estate.company_id, "lead1", role="lead"))


def plan_calls(estate, day=TODAY):
    from backend.dunning import operations as dunning
    from backend.reminders.operations import start_of_day

    dunning.plan_call_tasks(community_id=estate.community_id, today=day, now=start_of_day(day))
    db.session.commit()


def overdue(estate, *, days=16):
    return [make.make_bill(estate, home, due_date=TODAY - days * DAY) for home in estate.homes]


class Queries:
    """Counts SQL statements of the application."""

    def __init__(self, app):
        with app.app_context():
            self.engine = db.engine
        self.count = 0

    def __enter__(self):
        event.listen(self.engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_):
        event.remove(self.engine, "before_cursor_execute", self._note)

    def _note(self, *_):
        self.count += 1


def test_the_worklist_shows_the_due_tasks_of_my_buildings(estate, steward, lead):
    overdue(estate)
    plan_calls(estate)
    home = estate.homes[0]
    body = steward.ok_get("/worklist")
    assert body["counts"] == {"open": 2, "done_today": 0} and body["next_cursor"] is None
    item = body["items"][0]
    assert {k: item[k] for k in item if k not in ("task_id",)} == {
        "kind": "call",
        "kind_text": "电话",
        "stage": "S25",
        "stage_text": "友好沟通",
        "due_day": "2026-12-10",
        "reason": "再次电话或送达缴费通知单",
        "house_id": str(home.house_id),
        "house_code": "1-1-101",
        "community_name": "SUN花园",
        "party_id": str(home.party_id),
        "party_name": "王*" + home.name[2],
        "open_fen": BILL_FEN,
        "open_text": "142.93",
        "overdue_days": 16,
        "bill_count": 1,
        "last_contact": None,
        "contact_allowed": {"allowed": True, "code": None, "reason_zh": None, "next_at": None},
    }
    assert lead.ok_get("/worklist")["counts"]["open"] == 4
    other_building = str(estate.building_ids[1])
    assert steward.ok_get("/worklist", building_id=other_building)["items"] == []
    assert lead.ok_get("/worklist", building_id=other_building)["counts"]["open"] == 2


def test_a_household_that_paid_leaves_the_list_even_with_its_task_open(estate, steward, db_owner):
    bills = overdue(estate)
    plan_calls(estate)
    db_owner.execute("UPDATE bill SET paid_fen = due_fen WHERE id = %s", [bills[0]])
    body = steward.ok_get("/worklist")
    assert [item["house_id"] for item in body["items"]] == [str(estate.homes[2].house_id)]
    assert body["counts"]["open"] == 1


def test_done_today_counts_and_tomorrow_does_not(estate, steward):
    overdue(estate)
    plan_calls(estate)
    task = steward.ok_get("/worklist")["items"][0]
    steward.ok_post(
        "/contacts/calls",
        {"house_id": task["house_id"], "party_id": task["party_id"], "result": "refused",
         "reason_code": "price", "task_id": task["task_id"]},
    )  # fmt: skip
    assert steward.ok_get("/worklist")["counts"] == {"open": 1, "done_today": 1}
    make.set_business_now(TODAY + DAY, "10:00")
    assert steward.ok_get("/worklist")["counts"] == {"open": 1, "done_today": 0}


def test_pages_follow_each_other_without_gap_or_double(app, client, ctx):
    make.set_business_now(TODAY, "10:00")
    estate = make.make_estate(houses=45)
    overdue(estate)
    plan_calls(estate)
    lead = StaffClient(client, make.make_steward(estate.company_id, "lead1", role="lead"))
    seen, cursor = [], None
    while True:
        page = lead.ok_get("/worklist", **({"cursor": cursor} if cursor else {}))
        seen += [item["house_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(str(home.house_id) for home in estate.homes)
    assert len(set(seen)) == 45
    for bad in ("x", "e30", "WyJhIiwxXQ", "W10"):
        status, body = lead.get("/worklist", cursor=bad)
        assert (status, body["code"]) == (422, "bad_cursor")


@pytest.mark.parametrize(
    "path, query",
    [("/worklist", {}), ("/households", {"q": "1"}), ("/communities", {}), ("/payments", {})],
)
def test_the_number_of_queries_does_not_grow_with_the_list(app, client, ctx, path, query):
    make.set_business_now(TODAY, "10:00")
    counts = []
    for number, houses in enumerate((2, 15)):
        estate = make.make_estate(code=f"E{number}", houses=houses)
        overdue(estate)
        plan_calls(estate)
        lead = StaffClient(client, make.make_steward(estate.company_id, f"l{number}", role="lead"))
        lead.ok_get(path, **query)
        clock.forget_offset()
        clock.business_now()  # read once in half a second: not part of the list
        with Queries(app) as queries:
            lead.ok_get(path, **query)
        counts.append(queries.count)
    assert counts[0] == counts[1] <= 9


def test_a_household_with_many_bills_costs_the_same_queries(app, estate, lead, db_owner):
    home = estate.homes[0]
    make.make_bill(estate, home, due_date=TODAY - 20 * DAY)
    counts = []
    for months in ((1, 2, 3, 4, 5), ()):
        lead.ok_get(f"/households/{home.house_id}")  # the clock's offset is read once in a while
        with Queries(app) as queries:
            lead.ok_get(f"/households/{home.house_id}")
        counts.append(queries.count)
        for month in months:
            make.make_bill(estate, home, due_date=TODAY.replace(month=month))
    assert counts[0] == counts[1] <= 24


@pytest.mark.covers("C10", "C53")
def test_the_household_page_has_every_section(client, ctx, db_owner):
    make.set_business_now(TODAY, "10:00")
    estate = make.make_estate(houses=1, late_fee=True)
    home = estate.homes[0]
    bill = make.make_bill(estate, home, due_date=TODAY - 25 * DAY)
    make.give_credit(estate, home, 300)
    staff = make.make_steward(estate.company_id, building_ids=estate.building_ids)
    steward = StaffClient(client, staff)
    who = {"house_id": str(home.house_id), "party_id": str(home.party_id)}
    steward.ok_post(
        "/contacts/calls",
        {**who, "result": "promised", "reason_code": "forgot", "note": "发工资后",
         "promise": {"amount_fen": 10000, "day": "2026-12-15", "pay_by": "wechatpay"}},
    )  # fmt: skip
    page = steward.ok_get(f"/households/{home.house_id}")
    assert page["house"] == {
        "id": str(home.house_id), "code": "1-1-101", "community_name": "SUN花园",
        "building": "1栋", "area_text": "94.56㎡", "use_text": "住宅", "occupancy_text": "自住",
    }  # fmt: skip
    assert page["parties"] == [
        {
            "party_id": str(home.party_id), "name": home.name, "role_text": "业主", "liable": True,
            "phones": [{"id": str(home.contact_point_id), "state": "valid",
                        "masked": f"139****{home.phone[-4:]}", "source_text": "合同登记"}],
        }
    ]  # fmt: skip
    shown = page["bills"][0]
    assert {k: v for k, v in shown.items() if k not in ("late_fee_explained", "lines")} == {
        "id": str(bill), "house_id": str(home.house_id), "party_id": str(home.party_id),
        "house_label": "SUN花园 1-1-101", "fee_name": "物业服务费", "period_from": "2026-11-01",
        "period_to": "2026-12-01", "period_text": "2026年11月", "due_date": "2026-11-15",
        "overdue_days": 25, "due_fen": BILL_FEN, "paid_fen": 0, "waived_fen": 0, "credited_fen": 0,
        "open_fen": BILL_FEN, "late_fee_fen": 47, "late_fee_text": "0.47",
        "payable_fen": 14340, "payable_text": "143.40", "state": "open", "state_text": "待缴",
    }  # fmt: skip
    assert shown["late_fee_explained"] == [
        {"from": "2026-12-01", "to": "2026-12-10", "days": 10, "base_fen": BILL_FEN,
         "rate_text": "年化12% ÷ 365/日", "exact_text": "0.469906…元"}
    ]  # fmt: skip
    assert shown["lines"] == [
        {"formula": "94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元", "fen": BILL_FEN,
         "text": "142.93", "standard_name": "住宅物业费", "basis": "合同第3条"}
    ]  # fmt: skip
    assert page["totals"] == {
        "open_fen": BILL_FEN, "late_fee_fen": 47, "payable_fen": 14340, "payable_text": "143.40"
    }  # fmt: skip
    assert page["credit_fen"] == 300
    assert [(c["kind_text"], c["result_text"], c["reason_text"], c["note"], c["steward_name"],
             c["second_name"]) for c in page["contacts"]] == [
        ("电话", "承诺缴费", "忘记了", "发工资后", "管家guanjia1", None)
    ]  # fmt: skip
    assert [(p["amount_text"], p["day"], p["state_text"], p["made_by"]) for p in page["promises"]
            ] == [("100.00", "2026-12-15", "履行中", "管家guanjia1")]  # fmt: skip
    assert [(m["event_text"], m["state_text"], m["text"], m["at"]) for m in page["messages"]] == [
        ("约定缴费日提示", "待发", "", "2026-12-14T01:00:00Z")
    ]
    assert [(h["kind_text"], h["until_day"]) for h in page["holds"]] == [("承诺缴费", "2026-12-16")]
    assert page["payments"] == []
    assert page["contact_allowed"]["call"] == {
        "allowed": False, "code": "hold_promise",
        "reason_zh": "本户处于“承诺缴费”暂停期，至 2026-12-16 前不联系。",
        "next_at": "2026-12-16T01:00:00Z",
    }  # fmt: skip
    assert page["brief"]["headline"] == "已约定 2026-12-15 缴 100.00 元，到期前不再催促。"
    assert page["brief"]["points"] == [
        "最早未缴账期：2026年11月。",
        "上次联系 2026-12-10 电话，承诺缴费，原因：忘记了；近 30 天共 1 次。",
        "可用渠道：电话。",
    ]


@pytest.mark.covers("S15")
def test_somebody_who_is_paying_or_has_paid_may_not_be_called(estate, lead, db_owner):
    home = estate.homes[0]
    page = lead.ok_get(f"/households/{home.house_id}")
    assert page["contact_allowed"]["call"]["code"] == "paid"
    assert page["brief"]["headline"].startswith("本户没有未缴账单")


def test_search_by_code_name_and_phone(estate, steward, lead, db_owner):
    home, far = estate.homes[0], estate.homes[1]
    make.make_bill(estate, home)
    hit = {
        "house_id": str(home.house_id), "house_code": "1-1-101", "community_name": "SUN花园",
        "party_name": "王*" + home.name[2], "open_fen": BILL_FEN, "open_text": "142.93",
        "billed": True,
    }  # fmt: skip
    for q in ("1-1-101", "1栋1单元101室", home.phone, f"139-0000-{home.phone[-4:]}"):
        assert steward.ok_get("/households", q=q) == {"items": [hit], "next_cursor": None}, q
    assert hit in steward.ok_get("/households", q=home.name)["items"]
    assert steward.ok_get("/households", q=far.phone)["items"] == []
    assert steward.ok_get("/households", q="2-1")["items"] == []
    never = lead.ok_get("/households", q="2-1")["items"]
    assert [(hit["open_fen"], hit["billed"]) for hit in never] == [(0, False)] * 2
    db_owner.execute("UPDATE bill SET paid_fen = due_fen")
    [paid] = lead.ok_get("/households", q="1-1-101")["items"]
    assert (paid["open_fen"], paid["billed"]) == (0, True)
    db_owner.execute("UPDATE bill SET reversed = true, paid_fen = 0")
    assert lead.ok_get("/households", q="1-1-101")["items"][0]["billed"] is False
    assert lead.ok_get("/households", q="%")["items"] == []
    assert lead.ok_get("/households", q="_-1-101")["items"] == []
    assert lead.get("/households", q="")[0] == 422
    trace = db_owner.execute(
        "SELECT detail FROM audit_event WHERE action = 'searched_by_phone' ORDER BY id"
    ).fetchall()
    assert [d for (d,) in trace] == [{"houses": [str(home.house_id)]}] * 2 + [{"houses": []}]


def reveal_path(home):
    return f"/households/{home.house_id}/phones/{home.contact_point_id}/reveal"


def reveal_traces(db_owner):
    """(permits of calls, audit rows of shown numbers)."""
    permits = db_owner.execute(
        "SELECT subject_type, subject_id, house_id, party_id, decision, reason_code FROM permit"
    ).fetchall()
    shown = db_owner.execute(
        "SELECT object, detail FROM audit_event WHERE action = 'phone_revealed'"
    ).fetchall()
    return permits, shown


@pytest.mark.covers("C57")
def test_a_phone_is_shown_for_a_reason_and_leaves_a_trace(estate, steward, db_owner):
    home = estate.homes[0]
    make.make_bill(estate, home)
    path = reveal_path(home)
    assert steward.post(path, {})[0] == 422
    status, body = steward.post(path, {"reason": " "})
    assert status == 422
    assert reveal_traces(db_owner) == ([], [])
    answer = steward.ok_post(path, {"reason": "按清单任务联系"}, key="reveal-key-1")
    assert answer == {"phone": home.phone}
    assert steward.ok_post(path, {"reason": "按清单任务联系"}, key="reveal-key-1") == answer
    permits, shown = reveal_traces(db_owner)
    detail = {"house_id": home.house_id, "reason": "按清单任务联系", "contact": "allowed"}
    assert shown == [(f"contact_point:{home.contact_point_id}", detail)] * 2
    permit = ("call", home.contact_point_id, home.house_id, home.party_id, "allowed", "ok")
    assert permits == [permit] * 2
    stored = db_owner.execute("SELECT * FROM idempotency_key").fetchall()
    assert home.phone not in str(stored)


def checkout(estate, sandbox, bill):
    """A checkout of the home's bill that nobody has paid yet."""
    from backend.usecases.start_payment import Payer, start_payment

    home = estate.homes[0]
    make.make_merchant(estate, sandbox, channel="wechatpay", appid="wx0123456789abcdef")
    payer = Payer(key="account:1", party_id=home.party_id, company_id=estate.company_id)
    start_payment(payer=payer, bill_ids=[bill], channel="wechatpay", method="native",
                  public_base_url="http://127.0.0.1:9")  # fmt: skip


@pytest.mark.parametrize("code", ["paid", "payment_in_progress"])
def test_a_number_is_not_dialled_when_nothing_is_owed_or_money_may_be_on_its_way(
    estate, steward, sandbox, db_owner, code
):
    home = estate.homes[0]
    if code == "payment_in_progress":
        checkout(estate, sandbox, make.make_bill(estate, home))
    status, body = steward.post(reveal_path(home), {"reason": "按清单任务联系"})
    assert (status, body["code"]) == (409, code)
    assert body["what_to_do"]
    assert reveal_traces(db_owner) == ([], [])
    # who asked to be called back is called back, whatever is owed
    assert steward.ok_post(reveal_path(home), {"reason": "回复业主来电"}) == {"phone": home.phone}
    permits, shown = reveal_traces(db_owner)
    assert [permit[4:] for permit in permits] == [("allowed", "reply")]
    assert [detail["contact"] for _, detail in shown] == [code]


def test_a_number_waits_for_the_house_as_a_payment_does(estate, steward, db_app, db_owner):
    home = estate.homes[0]
    bill = make.make_bill(estate, home)
    steward.ok_get("/me")
    answers = []
    with db_app.transaction():  # a settlement that is about to commit
        db_app.execute(
            "SELECT 1 FROM house_account WHERE house_id = %s FOR UPDATE", [home.house_id]
        )
        asking = Thread(
            target=lambda: answers.append(
                steward.post(reveal_path(home), {"reason": "按清单任务联系"})
            )
        )
        asking.start()
        wait_for(lambda: db_owner.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())
        db_app.execute("UPDATE bill SET paid_fen = due_fen WHERE id = %s", [bill])
    asking.join()
    assert [(status, body["code"]) for status, body in answers] == [(409, "paid")]


@pytest.mark.covers("C17")
def test_a_number_is_not_shown_after_stop_contact(estate, steward, db_owner):
    from backend import clock
    from backend.conduct.operations import place_hold

    home = estate.homes[0]
    place_hold(
        kind="stop_contact", house_id=None, party_id=home.party_id, from_day=TODAY, until_day=None,
        reason="业主要求", source="account:1", now=clock.business_now(),
    )  # fmt: skip
    db.session.commit()
    path = f"/households/{home.house_id}/phones/{home.contact_point_id}/reveal"
    status, body = steward.post(path, {"reason": "按清单任务联系"})
    assert (status, body["code"]) == (409, "E-C17")
    assert body["legal_basis"] and body["what_to_do"]


def test_a_phone_of_another_house_is_not_shown_through_this_one(estate, lead, db_owner):
    mine, other = estate.homes[0], estate.homes[1]
    path = f"/households/{mine.house_id}/phones/{other.contact_point_id}/reveal"
    status, body = lead.post(path, {"reason": "按清单任务联系"})
    assert (status, body["code"]) == (404, "not_found")
