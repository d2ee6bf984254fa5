"""A roster file becomes an estate: compared, judged row by row, written all or not at all.

The file is read and compared first (pure); a refused row keeps the whole file out unless
`accept_partial`. Writing is one transaction with a few set-based statements, so a crash leaves
nothing half imported, and the same file again changes nothing. One import per community at a time.
The row in `roster_import` shows progress while it runs and keeps the report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text

from backend import audit, clock
from backend.billing.operations import open_house_accounts
from backend.db import db, one_transaction, transaction
from backend.errors import Refusal
from backend.estate import roster_apply
from backend.estate.models import Community, RosterImport
from backend.estate.roster_diff import EstateChanges, Results, compare
from backend.estate.roster_model import FeeStandardRow, RosterFile
from backend.estate.roster_reader import read_roster
from backend.estate.roster_report import RosterReport, report_of
from backend.estate.roster_spaces import settle_spaces, with_developer
from backend.fees import roster_apply as fees_apply
from backend.fees.roster_diff import (
    FeeChanges,
    compare_fees,
    compare_standards,
    item_of,
    wanted_fees,
)
from backend.usecases.publish_standard import StandardDraft, publish_standard

IMPORT_LOCK = 727_005
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Options:
    """`basis` publishes the prices of the file; `developer` is billed for unsold units."""

    accept_partial: bool = False
    basis: str = ""
    developer: str = ""


def import_roster(
    *,
    community_id: int,
    data: bytes,
    filename: str,
    options: Options,
    by: str,
    progress: Progress | None = None,
) -> RosterReport:
    """Import a roster file into a community and return the report of every row.

    progress(done, total, what): rows read, then rows written. `report.imported` is False when
    refused rows kept the file out. Raises Refusal: those of `read_roster`, `import_running`.
    """
    community = db.session.get_one(Community, community_id)
    run_id = _start(community, filename, hashlib.sha256(data).hexdigest(), by)
    try:
        file = read_roster(data, filename=filename, progress=progress)
        _total(run_id, file.rows_read)
        return _import(community_id, file, options, by, run_id, progress)
    except Exception as error:
        db.session.rollback()
        reason = error.as_json() if isinstance(error, Refusal) else {"code": type(error).__name__}
        _finish(run_id, "failed", reason)
        raise


def _start(community: Community, filename: str, sha256: str, by: str) -> int:
    with transaction():
        run = RosterImport(
            company_id=community.company_id, community_id=community.id, filename=filename,
            sha256=sha256, by=by, at=clock.business_now(),
        )  # fmt: skip
        db.session.add(run)
        db.session.flush()
        return run.id


def _import(
    community_id: int,
    file: RosterFile,
    options: Options,
    by: str,
    run_id: int,
    progress: Progress | None,
) -> RosterReport:
    with one_transaction():
        _only_one(community_id)
        community = db.session.get_one(Community, community_id)
        work = _compare(community, file, options)
        report = report_of(work.file, work.results, community=community.name)
        report.imported = options.accept_partial or not report.refused
        if report.imported:
            _write(community, work, options, by, _steps(run_id, file.rows_read, progress))
        run = db.session.get_one(RosterImport, run_id)
        run.state = "done" if report.imported else "refused"
        run.done, run.report = file.rows_read, report.as_json(rows=False)
        audit.record(
            actor=by,
            action="roster_imported" if report.imported else "roster_refused",
            object=f"roster_import:{run_id}",
            at=clock.wire_now(),
            company_id=community.company_id,
            detail={"sha256": file.sha256, "counts": report.counts},
        )
    return report


def _only_one(community_id: int) -> None:
    got = db.session.scalar(
        text("SELECT pg_try_advisory_xact_lock(:k, CAST(:c AS int))"),
        {"k": IMPORT_LOCK, "c": community_id % 2**31},
    )
    if not got:
        raise Refusal(
            "import_running",
            message_zh="该小区正在导入另一份名册。",
            what_to_do="请等它完成后再导入。",
        )


@dataclass
class _Work:
    """The file as it will be stored, and what that changes."""

    file: RosterFile
    results: Results
    estate: EstateChanges
    fees: FeeChanges


def _compare(community: Community, file: RosterFile, options: Options) -> _Work:
    """Compare the file with the database; refused rows have their issues, nothing is written."""
    today, results = clock.business_today(), Results()
    for issue in file.issues:
        results.issues.append(issue)
        if issue.severity == "refused":
            results.rows[(issue.sheet, issue.row)] = "refused"
    standards = fees_apply.stored_standards(community.id)
    by_area = {row.code for row in file.fee_standards if row.method == "area"} | {
        code for code, versions in standards.items() if versions[-1].method == "area"
    }
    file, spaces = settle_spaces(file, by_area=by_area, results=results)
    if options.developer:
        file = with_developer(file, options.developer)
    _warn_of_another_name(file, community.name, results)
    fees = FeeChanges()
    compare_standards(
        file.fee_standards, standards, basis=options.basis, today=today, changes=fees,
        results=results,
    )  # fmt: skip
    estate = compare(file, roster_apply.read_stored(community, file), today=today, results=results)
    wanted, rows = wanted_fees(file.fee_assignments, spaces)
    stored = fees_apply.stored_fees(community.id)
    compare_fees(wanted, rows, stored, today=today, changes=fees, results=results)
    return _Work(file, results, estate, fees)


def _write(
    community: Community, work: _Work, options: Options, by: str, step: Callable[[str], None]
) -> None:
    """Write what changes; rows refused by the comparison are left out of it."""
    today = clock.business_today()
    roster_apply.write(community, work.estate, today=today, step=step)
    open_house_accounts(community.id)
    step("收费标准")
    for row, start in work.fees.publish:
        draft = _draft(row, start, options.basis)
        publish_standard(community_id=community.id, draft=draft, by=by)
    fees_apply.write_drafts(community.id, work.fees)
    fees_apply.write_fees(community.id, work.fees)
    step("完成")


def _draft(row: FeeStandardRow, start: date, basis: str) -> StandardDraft:
    item, is_area = item_of(row), row.method == "area"
    return StandardDraft(
        item_code=item.code, item_name=item.name, pass_through=item.pass_through, code=row.code,
        name=row.name, method=row.method, cycle_months=row.cycle_months, basis=basis,
        effective_from=start, effective_to=row.valid_to,
        rate=str(row.rate) if is_area else None,
        surcharge=str(row.amount) if is_area else "0",
        fixed=None if is_area else str(row.amount),
    )  # fmt: skip


def _warn_of_another_name(file: RosterFile, name: str, results: Results) -> None:
    """Say when the file was written for a community of another name; it may be a short form."""
    if file.community and file.community != name and file.houses:
        results.issue(
            file.houses[0], "warning", "小区", f"文件写的小区与“{name}”不同，请核对", file.community
        )


STEPS = 6


def _steps(run_id: int, rows: int, progress: Progress | None) -> Callable[[str], None]:
    """Return what is called before each part is written: shows how far the import is."""
    passed = 0

    def step(what: str) -> None:
        nonlocal passed
        passed += 1
        if progress:
            progress(passed, STEPS, what)
        # a connection of its own: others see the progress before the import commits
        with db.engine.begin() as connection:
            connection.execute(
                text("UPDATE roster_import SET done = :n WHERE id = :id"),
                {"n": rows * (passed - 1) // STEPS, "id": run_id},
            )

    return step


def _total(run_id: int, rows: int) -> None:
    with transaction():
        db.session.get_one(RosterImport, run_id).total = rows


def _finish(run_id: int, state: str, reason: dict[str, Any]) -> None:
    with transaction():
        run = db.session.get_one(RosterImport, run_id)
        run.state, run.report = state, reason
