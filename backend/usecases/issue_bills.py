"""Issuing a period's bills: set-based, batch by batch, restartable, with progress (S10, S11, C43).

Each batch of houses is one transaction: one INSERT…SELECT writes bills, lines and one journal's
postings. A run killed half-way continues behind its last house; started again for the same
period it adds only what is missing. Amounts follow M1/M2 exactly: numeric arithmetic, months as
an exact share, one half-up rounding per line; a tariff change or a hand-over inside the period
goes the slow way through the pure rules, house by house (M3), so that both agree to the fen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from backend import audit, clock, tasks
from backend.billing import issuing
from backend.billing.models import BillRun
from backend.billing.operations import open_house_accounts
from backend.billing.queries import RUN_STATE
from backend.conduct.holidays import is_working_day
from backend.db import db, transaction
from backend.errors import Refusal
from backend.estate.models import Community
from backend.fees.models import FeeStandard
from backend.periods import PeriodRefused, is_whole_months, require_period
from backend.reminders import operations as reminders
from backend.usecases.apply_credit import apply_credit

BATCH_HOUSES = 5000


@dataclass(frozen=True)
class RunResult:
    """What a run did: bills added and their sum in fen, houses looked at."""

    run_id: int
    bills: int
    total_fen: int
    houses: int


def start_bill_run(
    *,
    community_id: int,
    period_from: date,
    period_to: date,
    by: str,
    company_id: int,
    part_month: bool = False,
) -> int:
    """Create (or reopen) the run of a period [period_from, period_to) and return its id.

    Raises Refusal `empty_period`, `period_not_whole_months` (422) unless `part_month` is asked
    for, `E-C43` when no published standard covers the period, `E-C04` when the contract ended
    before it.
    """
    _refuse_impossible(community_id, period_from, period_to, part_month)
    now = clock.business_now()
    with transaction():
        open_house_accounts(community_id)
        _mark_failed(community_id, period_from, period_to)
        run_id = db.session.execute(
            pg_insert(BillRun)
            .values(
                community_id=community_id,
                period_from=period_from,
                period_to=period_to,
                issue_date=clock.date_of(now),
                by=by,
                started_at=now,
            )
            .on_conflict_do_update(
                index_elements=["community_id", "period_from", "period_to"],
                set_={
                    "state": "running",
                    "last_house_id": 0,
                    "houses_done": 0,
                    "issue_date": clock.date_of(now),  # due dates count from when bills go out
                },  # fmt: skip
                where=text("bill_run.state <> 'running'"),
            )
            .returning(BillRun.id)
        ).scalar()
        run = db.session.scalar(
            db.select(BillRun).where(
                BillRun.community_id == community_id,
                BillRun.period_from == period_from,
                BillRun.period_to == period_to,
            )
        )
        run.houses_total = issuing.count_houses(community_id)
        audit.record(
            actor=by,
            action="bill_run_started",
            object=f"bill_run:{run.id}",
            at=clock.wire_now(),
            company_id=company_id,
            detail={"from": period_from.isoformat(), "to": period_to.isoformat()},
        )
        return run_id or run.id


def _mark_failed(community_id: int, period_from: date, period_to: date) -> None:
    """Let a run whose task gave up be reopened like a finished one, with today's issue date."""
    db.session.execute(
        text(
            f"UPDATE bill_run r SET state = {RUN_STATE} WHERE r.community_id = :c "
            "AND r.period_from = :pf AND r.period_to = :pt AND r.state = 'running'"
        ),
        {"c": community_id, "pf": period_from, "pt": period_to},
    )


def _refuse_impossible(
    community_id: int, period_from: date, period_to: date, part_month: bool
) -> None:
    try:
        require_period(period_from, period_to)
    except PeriodRefused as error:
        raise Refusal(error.code, message_zh=error.message_zh, http=422) from error
    community = db.session.get_one(Community, community_id)
    if community.contract_to and period_from >= community.contract_to:
        raise Refusal(
            "E-C04", message_zh="合同已终止，不得再计费。", legal_basis="民法典949、950条"
        )
    standards = issuing.published_standards(community_id, period_from, period_to)
    if not part_month:
        _refuse_part_month(standards, period_from, period_to)
    if not standards:
        raise Refusal(
            "E-C43",
            message="no published fee standard covers the period",
            message_zh="收费项目无公示依据或已过期。",
            what_to_do="请先发布覆盖该期间的收费标准。",
            legal_basis="物业服务收费管理办法8条",
        )


def _refuse_part_month(
    standards: Sequence[FeeStandard], period_from: date, period_to: date
) -> None:
    """Refuse a period that would cut a month: a last day given as the end bills 29/30 of it.

    Whole are calendar months, and the months of a cycle day that all standards share (A03).
    """
    if is_whole_months(period_from, period_to):
        return
    anchors = {standard.anchor_day for standard in standards}
    if anchors and all(
        is_whole_months(period_from, period_to, anchor_day=anchor) for anchor in anchors
    ):
        return
    raise Refusal(
        "period_not_whole_months",
        message="the period is not made of whole months; its end is the day after the last day",
        message_zh=f"账期须为整月：{period_from} 起、不含 {period_to} 的期间不是整月。",
        http=422,
        what_to_do="截止日请填最后一个月次月的 1 日；确需不足整月的，须明确指定（--part-month）。",
        fields={"period_to": "应为次月 1 日（不含当日）"},
    )


def continue_bill_run(run_id: int) -> RunResult:
    """Work a run to its end, batch by batch; safe to call again after a crash, or twice at once."""
    added, total = 0, 0
    while True:
        with transaction():
            run = db.session.scalar(
                db.select(BillRun)
                .where(BillRun.id == run_id)
                .with_for_update()
                .execution_options(populate_existing=True)
            )
            if run.state != "running":
                break
            batch = issuing.issue_batch(
                run, limit=BATCH_HOUSES, at=clock.wire_now(), workday=is_working_day
            )
            if batch is None:
                _finish(run)
                break
            run.last_house_id, run.batch_no = batch.last_house_id, run.batch_no + 1
            run.houses_done += batch.houses
            run.bills += batch.bills
            run.total_fen += batch.total_fen
            added, total = added + batch.bills, total + batch.total_fen
        db.session.expunge_all()
    apply_credit(run_id=run_id)
    return RunResult(run_id, added, total, _houses_done(run_id))


_FREEZE_GENTLE = text(
    """
    INSERT INTO late_fee_freeze (bill_id, day_from, reason)
    SELECT b.id, h.from_day, 'hold:' || h.id FROM hold h
    JOIN bill b ON b.house_id = h.house_id AND (h.party_id IS NULL OR b.party_id = h.party_id)
    WHERE h.kind = 'hardship' AND h.bill_id IS NULL AND h.lifted_at IS NULL
      AND (h.until_day IS NULL OR h.until_day > :today) AND b.bill_run_id = :run
      AND NOT EXISTS (SELECT 1 FROM late_fee_freeze f
                      WHERE f.bill_id = b.id AND f.reason = 'hold:' || h.id)
    """
)


def _finish(run: BillRun) -> None:
    """Close a run; the bills of gently handled households carry no late fee either (A40, C28)."""
    db.session.execute(_FREEZE_GENTLE, {"run": run.id, "today": clock.business_today()})
    run.state, run.finished_at = "done", clock.business_now()
    tasks.plan(
        queue="bulk",
        kind="issue_notices",
        dedupe_key=f"{run.id}:{run.batch_no}",
        due_at=clock.business_now(),
        payload={"bill_run_id": run.id},
        community_id=run.community_id,
    )
    company_id = db.session.get_one(Community, run.community_id).company_id
    audit.record(
        actor=run.by,
        action="bill_run_done",
        object=f"bill_run:{run.id}",
        at=clock.wire_now(),
        company_id=company_id,
        detail={"bills": run.bills, "total_fen": run.total_fen},
    )


def plan_issue_notices(run_id: int) -> int:
    """Plan 'your bill is out' for the households of a run; return how many (S11)."""
    today = clock.business_today()
    due_at = max(clock.business_now(), reminders.start_of_day(today))
    with transaction():
        return reminders.plan_issue_notices(bill_run_id=run_id, due_at=due_at)


def _houses_done(run_id: int) -> int:
    return db.session.scalar(db.select(BillRun.houses_done).where(BillRun.id == run_id))


def preview_bill_run(
    *, community_id: int, period_from: date, period_to: date, part_month: bool = False
) -> dict[str, Any]:
    """Return {houses, bills, total_fen, skipped, sample} of a run without writing anything.

    Same code path as the run: its batches are issued in a transaction that is rolled back.
    Raises Refusal as `start_bill_run`.
    """
    try:
        run = BillRun(
            community_id=community_id,
            period_from=period_from,
            period_to=period_to,
            issue_date=clock.business_today(),
            by="preview",
            started_at=clock.business_now(),
            **_RUN_START,
        )
        _refuse_impossible(community_id, period_from, period_to, part_month)
        _clear_existing_run(run)
        bills, total, houses = 0, 0, 0
        while batch := issuing.issue_batch(
            run, limit=BATCH_HOUSES, at=clock.wire_now(), workday=is_working_day
        ):
            run.last_house_id = batch.last_house_id
            run.bills += batch.bills
            bills, total = bills + batch.bills, total + batch.total_fen
            houses += batch.houses
        return {
            "houses": houses,
            "bills": bills,
            "total_fen": total,
            "skipped": issuing.unbillable(community_id, period_from, period_to),
            "sample": issuing.sample_bills(run.id, added=bills),
        }
    finally:
        db.session.rollback()


_RUN_START = {
    "state": "running", "houses_done": 0, "houses_total": 0, "last_house_id": 0, "batch_no": 0,
    "bills": 0, "total_fen": 0,
}  # fmt: skip


def _clear_existing_run(run: BillRun) -> None:
    """Give the preview a run row of its own; a period that was run before keeps its row."""
    same = db.session.scalar(
        db.select(BillRun).where(
            BillRun.community_id == run.community_id,
            BillRun.period_from == run.period_from,
            BillRun.period_to == run.period_to,
        )
    )
    if same is None:
        db.session.add(run)
        db.session.flush()
    else:
        run.id, run.bills = same.id, same.bills
