"""Starting a bill run from the desk: the run is created here, a bulk worker issues it (S10)."""

from __future__ import annotations

from datetime import date
from typing import Any

from backend import clock, tasks
from backend.db import transaction
from backend.errors import Refusal
from backend.identity.scope import Scope, require_community
from backend.money import yuan_text
from backend.usecases import issue_bills


def preview_bills(
    *,
    scope: Scope,
    community_id: int,
    period_from: date,
    period_to: date,
    part_month: bool = False,
) -> dict[str, Any]:
    """Return {houses, bills, total_fen, total_text, skipped, sample}; nothing is written.

    Raises NotFound for another company's community, Refusal as `issue_bills.start_bill_run`.
    """
    require_community(scope, community_id)
    found = issue_bills.preview_bill_run(
        community_id=community_id,
        period_from=period_from,
        period_to=period_to,
        part_month=part_month,
    )
    return {**found, "total_text": yuan_text(found["total_fen"])}


def run_bills(
    *,
    scope: Scope,
    community_id: int,
    period_from: date,
    period_to: date,
    part_month: bool = False,
) -> dict[str, Any]:
    """Create (or reopen) the run of a period and queue it; return {id, state}.

    Raises NotFound for another company's community, Refusal as `issue_bills.start_bill_run`.
    """
    require_community(scope, community_id)
    run_id = issue_bills.start_bill_run(
        community_id=community_id,
        period_from=period_from,
        period_to=period_to,
        by=f"steward:{scope.steward_id}",
        company_id=scope.company_id,
        part_month=part_month,
    )
    with transaction():
        now = clock.business_now()
        tasks.plan(
            queue="bulk",
            kind="bill_run",
            dedupe_key=f"{run_id}:{now.isoformat()}",
            due_at=now,
            payload={"bill_run_id": run_id},
            community_id=community_id,
        )
    return {"id": run_id, "state": "running"}


def refuse_fee_codes(fee_codes: list[str] | None) -> None:
    """Refuse a run of some fee items only: a run bills all published standards of its cycle."""
    if fee_codes:
        raise Refusal(
            "fee_codes_unsupported",
            message="a run bills every published standard of the period",
            message_zh="出账按已发布的全部收费标准进行，暂不支持只出部分收费项目。",
            http=422,
            what_to_do="请将收费项目留空。",
            fields={"fee_codes": "请留空"},
        )
