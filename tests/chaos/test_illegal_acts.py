"""Every illegal act, tried under the application's own database role, refused by the database.

No product code stands between: whatever a mistake or an intruder could send over the product's
connection is refused by a constraint, a trigger or a missing right, and nothing has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import psycopg
import pytest

from backend import clock
from backend.billing.models import Bill
from backend.db import db
from backend.ledger import operations as ledger
from backend.reminders.models import SubscribeGrant
from tests.chaos.test_callbacks import fingerprint
from tests.factories.estate import (
    BILL_FEN,
    TODAY,
    Estate,
    give_credit,
    make_bill,
    make_estate,
    make_merchant,
    make_steward,
    set_business_now,
)
from tests.factories.messages import plan_reminder

pytestmark = [pytest.mark.chaos]

CHECK, RIGHTS = "23514", "42501"  # sqlstates
UNIQUE, EXCLUSION = "23505", "23P01"


@dataclass(frozen=True)
class Scene:
    """Ids of one of everything."""

    estate: Estate
    company: int
    house: int
    party: int
    bill: int
    paid_bill: int
    order: int
    message: int
    credit: int
    bank: int
    journal: int
    refund_order: int


@pytest.fixture
def scene(ctx, sandbox, db_app) -> Scene:
    sandbox.post("/_sandbox/apps", kind="miniprogram", name="acts-mini")
    set_business_now(TODAY, "10:00")
    estate = make_estate()
    home = estate.homes[0]
    make_merchant(estate, sandbox)
    make_steward(estate.company_id, "acts")
    bill = make_bill(estate, home)
    paid = make_bill(estate, home, due_date=TODAY - timedelta(days=60))
    db.session.get_one(Bill, paid).paid_fen = BILL_FEN
    give_credit(estate, home, 500)
    db.session.add(SubscribeGrant(appid="wx1", openid="o1", template_id="t1", granted=1, used=1))
    message = plan_reminder(estate, home, [bill])
    db.session.commit()
    ids = ledger.account_ids(
        company_id=estate.company_id,
        keys={
            (ledger.credit_account(home.house_id, home.party_id), "CNY"),
            ("bank:test", "CNY"),
            (ledger.points_account(home.party_id), "PT"),
            ("points_liability", "PT"),
        },
    )
    db.session.commit()
    order = insert_order(db_app, estate, bill)
    closed = insert_order(db_app, estate, paid, payer="account:2")
    for state in ("pending", "closing", "closed"):
        db_app.execute("UPDATE payment_order SET state = %s WHERE id = %s", [state, closed])
    journal = db_app.execute("SELECT min(id) FROM journal").fetchone()[0]
    return Scene(
        estate=estate, company=estate.company_id, house=home.house_id, party=home.party_id,
        bill=bill, paid_bill=paid, order=order, message=message,
        credit=ids[(ledger.credit_account(home.house_id, home.party_id), "CNY")],
        bank=ids[("bank:test", "CNY")], journal=journal, refund_order=closed,
    )  # fmt: skip


def insert_order(
    connection: psycopg.Connection, estate: Estate, bill: int, *, payer: str = "account:1"
) -> int:
    home = estate.homes[0]
    order = connection.execute(
        "INSERT INTO payment_order (out_trade_no, community_id, house_id, party_id, merchant_id, "
        "channel, method, payer, amount_fen, time_expire, created_at) SELECT %s, %s, %s, %s, id, "
        "'wechatpay', 'native', %s, 100, now() + interval '30 min', now() FROM merchant "
        "RETURNING id",
        [f"JQ{bill}{payer[-1]}", estate.community_id, home.house_id, home.party_id, payer],
    ).fetchone()[0]
    connection.execute(
        "INSERT INTO order_bill (order_id, bill_id, channel, payer, principal_fen, late_fee_fen) "
        "VALUES (%s, %s, 'wechatpay', %s, 100, 0)",
        [order, bill, payer],
    )
    return order


@pytest.fixture
def refused(scene: Scene, db_app: psycopg.Connection, db_owner: psycopg.Connection):
    """Return `refused(sqlstate, *statements)`: one transaction that must fail and change nothing.

    Statements may use %(name)s for the fields of the scene.
    """

    def attempt(sqlstate: str, *statements: str) -> str:
        before = fingerprint(db_owner)
        with pytest.raises(psycopg.Error) as error, db_app.transaction():
            for statement in statements:
                db_app.execute(statement, vars(scene))
            db_app.execute("SET CONSTRAINTS ALL IMMEDIATE")
        assert error.value.sqlstate == sqlstate, str(error.value)
        assert fingerprint(db_owner) == before
        return str(error.value)

    return attempt


JOURNAL = (
    "INSERT INTO journal (company_id, source_type, source_key, posted_at) "
    "VALUES (%(company)s, 'act', 'a', now())"
)
LINES = "INSERT INTO posting (journal_id, line, account_id, currency, amount) VALUES "
LAST = "(SELECT max(id) FROM journal)"


# ---------------------------------------------------------------- ledger
def test_an_unbalanced_journal(refused):
    lines = f"({LAST}, 1, %(bank)s, 'CNY', 100), ({LAST}, 2, %(credit)s, 'CNY', -99)"
    assert "does not balance" in refused(CHECK, JOURNAL, LINES + lines)


def test_a_journal_of_one_line(refused):
    refused(CHECK, JOURNAL, LINES + f"({LAST}, 1, %(bank)s, 'CNY', 100)")


def test_a_journal_without_lines(refused):
    assert "has no lines" in refused(CHECK, JOURNAL)


def test_balanced_only_across_currencies(refused):
    points = "(SELECT id FROM account WHERE code = 'points_liability')"
    lines = f"({LAST}, 1, %(bank)s, 'CNY', 100), ({LAST}, 2, {points}, 'PT', -100)"
    refused(CHECK, JOURNAL, LINES + lines)


def test_a_line_in_another_currency_than_its_account(refused):
    lines = f"({LAST}, 1, %(bank)s, 'PT', 100), ({LAST}, 2, %(bank)s, 'PT', -100)"
    assert "foreign account or currency" in refused(CHECK, JOURNAL, LINES + lines)


def test_a_line_of_nothing(refused):
    lines = f"({LAST}, 1, %(bank)s, 'CNY', 0), ({LAST}, 2, %(credit)s, 'CNY', 0)"
    refused(CHECK, JOURNAL, LINES + lines)


def test_the_same_source_booked_twice(refused):
    lines = f"({LAST}, 1, %(bank)s, 'CNY', 1), ({LAST}, 2, %(credit)s, 'CNY', -1)"
    refused(UNIQUE, JOURNAL, LINES + lines, JOURNAL)


def test_a_line_added_to_a_closed_journal(refused):
    lines = "(%(journal)s, 98, %(bank)s, 'CNY', 5), (%(journal)s, 99, %(credit)s, 'CNY', -5)"
    assert "is closed" in refused(CHECK, LINES + lines)


def test_a_journal_reversed_twice(refused):
    reversal = (
        "INSERT INTO journal (company_id, source_type, source_key, reverses, posted_at) "
        "VALUES (%(company)s, 'reversal', '{0}', %(journal)s, now())"
    )
    lines = f"({LAST}, 1, %(bank)s, 'CNY', 1), ({LAST}, 2, %(credit)s, 'CNY', -1)"
    refused(UNIQUE, reversal.format("a"), LINES + lines, reversal.format("b"), LINES + lines)


def test_credit_below_zero(refused):
    """Credit accounts count the other way round: debiting more than is there."""
    lines = f"({LAST}, 1, %(credit)s, 'CNY', 501), ({LAST}, 2, %(bank)s, 'CNY', -501)"
    assert "ck_account_floor" in refused(CHECK, JOURNAL, LINES + lines)


def test_points_below_zero(refused):
    points = "(SELECT id FROM account WHERE code = 'points:' || %(party)s)"
    other = "(SELECT id FROM account WHERE code = 'points_liability')"
    lines = f"({LAST}, 1, {points}, 'PT', 1), ({LAST}, 2, {other}, 'PT', -1)"
    assert "ck_account_floor" in refused(CHECK, JOURNAL, LINES + lines)


def test_a_balance_changed_directly(refused):
    refused(RIGHTS, "UPDATE account SET balance = 999999 WHERE id = %(credit)s")


def test_an_account_opened_with_money(refused):
    refused(
        CHECK,
        "INSERT INTO account (company_id, code, sign, min_balance, balance) "
        "VALUES (%(company)s, 'credit:1:1', -1, 0, 100)",
    )


APPEND_ONLY = (
    "journal", "posting", "audit_event", "audit_seal", "inbox", "inbox_outcome", "permit",
    "order_event", "contact", "contact_log", "delivery_receipt", "principal_event",
    "points_entry", "bill_line",
)  # fmt: skip


def test_changing_deleting_and_emptying_what_is_append_only(refused, db_app, db_owner):
    for table in APPEND_ONLY:
        column = db_app.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", [table]
        ).fetchone()[0]
        refused(RIGHTS, f"UPDATE {table} SET {column} = {column}")
        refused(RIGHTS, f"DELETE FROM {table}")
        refused(RIGHTS, f"TRUNCATE {table} CASCADE")
        # and the owner is stopped by a trigger: history needs a guard removed first
        guards = db_owner.execute(
            "SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass "
            "AND tgname = 'append_only' AND tgenabled = 'O'",
            [table],
        ).fetchone()[0]
        assert guards == 1, table


def test_the_owner_cannot_change_history_by_mistake_either(scene, db_owner):
    for act in ("UPDATE posting SET amount = 1", "DELETE FROM permit", "DELETE FROM journal"):
        if act.startswith("DELETE FROM permit"):
            db_owner.execute(
                "INSERT INTO permit (subject_type, subject_id, house_id, party_id, decision, "
                "reason_code, rule_set, at) VALUES ('x', 1, 1, 1, 'allowed', 'ok', 'x', now())"
            )
        with pytest.raises(psycopg.Error) as error:
            db_owner.execute(act)
        assert error.value.sqlstate == "23001", act


# ---------------------------------------------------------------- bills and prices
def test_a_bill_paid_beyond_its_amount(refused):
    refused(CHECK, "UPDATE bill SET paid_fen = due_fen + 1 WHERE id = %(bill)s")


def test_a_negative_part_of_a_bill(refused):
    for part in ("paid_fen", "waived_fen", "credited_fen"):
        refused(CHECK, f"UPDATE bill SET {part} = -1 WHERE id = %(bill)s")


def test_paid_and_waived_together_beyond_the_amount(refused):
    refused(CHECK, "UPDATE bill SET waived_fen = 1 WHERE id = %(paid_bill)s")


def test_late_fee_paid_that_was_never_charged(refused):
    refused(CHECK, "UPDATE bill SET late_fee_paid_fen = 1 WHERE id = %(bill)s")


def test_an_issued_bill_changed(refused):
    refused(CHECK, "UPDATE bill SET due_fen = due_fen - 1 WHERE id = %(bill)s")
    refused(CHECK, "UPDATE bill SET party_id = party_id + 1 WHERE id = %(bill)s")


def test_a_bill_deleted(refused):
    refused(RIGHTS, "DELETE FROM bill WHERE id = %(bill)s")
    refused(RIGHTS, "TRUNCATE bill CASCADE")


def test_the_same_bill_issued_twice(refused):
    columns = (
        "community_id, house_id, party_id, payee_id, fee_item_id, kind, source_key, revision, "
        "period_from, period_to, due_date, issued_on, due_fen"
    )
    copied = f"INSERT INTO bill ({columns}) SELECT {columns} FROM bill WHERE id = %(bill)s"
    refused(UNIQUE, copied)


@pytest.mark.covers("C43")
def test_a_bill_line_of_an_unpublished_standard(refused):
    refused(
        CHECK,
        "INSERT INTO fee_standard (community_id, fee_item_id, code, version, name, method, rate, "
        "effective, basis) SELECT community_id, fee_item_id, 'DRAFT', 1, 'draft', method, rate, "
        "daterange('2027-01-01', NULL), basis FROM fee_standard LIMIT 1",
        "INSERT INTO bill_line (bill_id, line, standard_id, period_from, period_to, area, rate, "
        "surcharge, months, months_text, fen) SELECT %(bill)s, 2, (SELECT max(id) FROM "
        "fee_standard), period_from, period_to, 1, 1, 0, 1, '1', 5 FROM bill WHERE id = %(bill)s",
    )


def test_a_published_standard_changed(refused):
    refused(CHECK, "UPDATE fee_standard SET rate = rate * 2")


@pytest.mark.covers("C12")
def test_two_people_liable_for_the_same_day(refused):
    refused(
        EXCLUSION,
        "INSERT INTO liability (house_id, party_id, valid) "
        "SELECT %(house)s, max(id), daterange('2026-06-01', '2026-06-02') FROM party",
    )


@pytest.mark.covers("C22")
def test_a_phone_from_a_source_that_is_not_lawful(refused):
    for source in ("neighbour", "colleague", "bought", ""):
        refused(CHECK, f"UPDATE contact_point SET source = '{source}'")


# ---------------------------------------------------------------- orders, refunds
BAD_MOVES = [
    ("created", "closed"), ("created", "succeeded_late"), ("pending", "created"),
    ("pending", "closed"), ("closing", "pending"), ("closed", "pending"), ("closed", "succeeded"),
    ("succeeded", "pending"), ("succeeded", "closed"), ("succeeded", "succeeded_late"),
]  # fmt: skip
WAYS = {
    "created": [], "pending": ["pending"], "closing": ["closing"],
    "closed": ["closing", "closed"], "succeeded": ["succeeded"],
}  # fmt: skip


def test_an_order_moved_where_no_edge_leads(refused):
    move = (
        "UPDATE payment_order SET state = '{}', channel_txn = coalesce(channel_txn, 'T1') "
        "WHERE id = %(order)s"
    )
    for start, goal in BAD_MOVES:
        words = refused(CHECK, *(move.format(state) for state in [*WAYS[start], goal]))
        assert f"cannot move from {start} to {goal}" in words


def test_an_order_born_paid(refused):
    refused(
        CHECK,
        "INSERT INTO payment_order (out_trade_no, community_id, house_id, party_id, merchant_id, "
        "channel, method, payer, amount_fen, state, channel_txn, time_expire, created_at) "
        "SELECT 'JQX', community_id, house_id, party_id, merchant_id, channel, method, payer, 1, "
        "'succeeded', 'T9', now(), now() FROM payment_order WHERE id = %(order)s",
    )


def test_success_without_a_transaction_of_the_platform(refused):
    refused(CHECK, "UPDATE payment_order SET state = 'succeeded' WHERE id = %(order)s")


def test_two_orders_with_one_transaction(refused, db_app, scene):
    db_app.execute("UPDATE payment_order SET channel_txn = 'T1' WHERE id = %s", [scene.order])
    refused(UNIQUE, "UPDATE payment_order SET channel_txn = 'T1' WHERE id = %(refund_order)s")
    refused(CHECK, "UPDATE payment_order SET channel_txn = 'T2' WHERE id = %(order)s")


def test_an_order_whose_amount_or_payer_changes(refused):
    refused(CHECK, "UPDATE payment_order SET amount_fen = 1 WHERE id = %(order)s")
    refused(CHECK, "UPDATE payment_order SET payer = 'account:9' WHERE id = %(order)s")


def test_an_order_deleted_or_an_edge_invented(refused):
    refused(RIGHTS, "DELETE FROM payment_order")
    refused(RIGHTS, "INSERT INTO pay_edge VALUES ('closed', 'pending')")


def test_a_second_live_order_of_one_payer_for_a_bill(refused):
    refused(
        UNIQUE,
        "INSERT INTO order_bill (order_id, bill_id, channel, payer, principal_fen, late_fee_fen) "
        "VALUES (%(refund_order)s, %(bill)s, 'wechatpay', 'account:1', 1, 0)",
    )


REFUND = (
    "INSERT INTO refund (out_refund_no, order_id, channel, amount_fen, reason, state, "
    "requested_by, approved_by, requested_at) VALUES ('R1', %(order)s, 'wechatpay', {fen}, 'x', "
    "'{state}', 'steward:1', {by}, now())"
)


def test_a_refund_approved_by_who_asked_for_it(refused):
    refused(CHECK, REFUND.format(fen=1, state="requested", by="'steward:1'"))


def test_a_refund_of_nothing_or_under_one_number_twice(refused):
    refused(CHECK, REFUND.format(fen=0, state="requested", by="NULL"))
    once = REFUND.format(fen=1, state="requested", by="NULL")
    refused(UNIQUE, once, once)


def test_a_finished_refund_moved_or_its_amount_changed(refused):
    done = REFUND.format(fen=5, state="succeeded", by="'steward:2'")
    refused(CHECK, done, "UPDATE refund SET state = 'pending'")
    refused(CHECK, done, "UPDATE refund SET amount_fen = 6")


# ---------------------------------------------------------------- messages
@pytest.mark.covers("S24")
def test_a_second_live_reminder_of_a_stage_and_window(refused):
    """Over all channels: the key is on the bill, not on the message."""
    copied = (
        "INSERT INTO message (community_id, house_id, party_id, kind, event, stage, window_key, "
        "channel, out_id, due_at) SELECT community_id, house_id, party_id, kind, event, stage, "
        "window_key, 'wechat_template', 'M2', due_at FROM message WHERE id = %(message)s"
    )
    bound = (
        "INSERT INTO message_bill (message_id, bill_id, stage, window_key) SELECT max(m.id), "
        "b.bill_id, b.stage, b.window_key FROM message m, message_bill b "
        "WHERE b.message_id = %(message)s GROUP BY 2, 3, 4"
    )
    refused(UNIQUE, copied, bound)


REOPENED = (
    ["accepted"], ["delivered"], ["in_doubt"],
    ["calling", "accepted", "calling"], ["calling", "accepted", "planned"],
    ["calling", "in_doubt", "planned"], ["calling", "in_doubt", "calling"],
    ["calling", "in_doubt", "suppressed"], ["calling", "accepted", "delivered", "failed"],
    ["suppressed", "planned"], ["failed", "planned"], ["calling", "failed", "calling"],
)  # fmt: skip


def test_a_message_that_may_have_gone_out_opened_for_sending_again(refused):
    """No second open attempt while one may have worked, and none after the end."""
    for way in REOPENED:
        steps = [f"UPDATE message SET state = '{state}' WHERE id = %(message)s" for state in way]
        assert f"to {way[-1]}" in refused(CHECK, *steps)


def test_two_messages_under_one_id(refused):
    refused(
        UNIQUE,
        "INSERT INTO message (community_id, house_id, party_id, kind, event, stage, window_key, "
        "channel, out_id, due_at) SELECT community_id, house_id, party_id, kind, event, stage, "
        "'other', channel, out_id, due_at FROM message WHERE id = %(message)s",
    )


def test_a_message_deleted(refused):
    refused(RIGHTS, "DELETE FROM message")
    refused(RIGHTS, "DELETE FROM message_bill")


@pytest.mark.covers("C19")
def test_more_subscribe_messages_than_were_granted(refused):
    refused(CHECK, "UPDATE subscribe_grant SET used = used + 1")


# ---------------------------------------------------------------- the rest
def test_a_sixth_binding_attempt(refused):
    five = "INSERT INTO binding_attempt (house_id, day, tries) VALUES (%(house)s, '2026-12-10', 5)"
    refused(CHECK, five, "UPDATE binding_attempt SET tries = tries + 1")


def test_the_same_notice_stored_twice(refused):
    notice = (
        "INSERT INTO inbox (channel, merchant_id, event_key, kind, out_trade_no, raw, headers, "
        "parsed, received_at) SELECT 'wechatpay', id, 'EV-1', 'payment', 'JQ1', '', '{}', '{}', "
        "now() FROM merchant"
    )
    refused(UNIQUE, notice, notice)


def test_a_notice_judged_twice(refused):
    notice = (
        "INSERT INTO inbox (channel, merchant_id, event_key, kind, out_trade_no, raw, headers, "
        "parsed, received_at) SELECT 'wechatpay', id, 'EV-1', 'payment', 'JQ1', '', '{}', '{}', "
        "now() FROM merchant"
    )
    judged = (
        "INSERT INTO inbox_outcome (inbox_id, state, at) SELECT max(id), 'ignored', now() "
        "FROM inbox"
    )
    refused(UNIQUE, notice, judged, judged)


def test_a_calendar_slot_run_twice(refused):
    slot = "INSERT INTO schedule_run (job, slot, at) VALUES ('plan_day', '2026-12-10', now())"
    refused(UNIQUE, slot, slot)
    refused(RIGHTS, "DELETE FROM schedule_run")


def test_a_task_planned_twice(refused):
    task = (
        "INSERT INTO task (queue, kind, dedupe_key, payload, due_at) VALUES ('bulk', 'plan_day', "
        "'1:x', '{}', now())"
    )
    refused(UNIQUE, task, task)


def test_making_or_changing_tables(refused):
    refused(RIGHTS, "CREATE TABLE mine (id int)")
    refused(RIGHTS, "ALTER TABLE bill DROP CONSTRAINT ck_bill_open")
    refused(RIGHTS, "ALTER TABLE posting DISABLE TRIGGER ALL")
    refused(RIGHTS, "SET session_replication_role = replica")
    refused(RIGHTS, "DROP VIEW check_v1.bills")


def test_the_scene_itself_is_legal(scene, db_owner):
    """What is refused above is refused for itself: the same statements' legal twins pass."""
    at = clock.wire_now()
    with db_owner.transaction(), pytest.raises(ZeroDivisionError):  # rolled back
        db_owner.execute(
            "WITH j AS (INSERT INTO journal (company_id, source_type, source_key, posted_at) "
            "VALUES (%s, 'act', 'legal', %s) RETURNING id) INSERT INTO posting (journal_id, line, "
            "account_id, currency, amount) SELECT j.id, 1, %s, 'CNY', 500 FROM j UNION ALL "
            "SELECT j.id, 2, %s, 'CNY', -500 FROM j",
            [scene.company, at, scene.credit, scene.bank],
        )
        raise ZeroDivisionError
