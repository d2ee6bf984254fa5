"""What each bulk task calls: one line each, ids and dates only (design 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.clock import business_today
from backend.usecases.apply_credit import apply_credit
from backend.usecases.issue_bills import continue_bill_run, plan_issue_notices
from backend.usecases.plan_day import plan_day
from backend.usecases.review_promises import review_promises

BULK: dict[str, Callable[[dict[str, Any]], Any]] = {
    "bill_run": lambda p: continue_bill_run(p["bill_run_id"]),
    "issue_notices": lambda p: plan_issue_notices(p["bill_run_id"]),
    "apply_credit": lambda p: apply_credit(),
    "plan_day": lambda p: plan_day(community_id=p["community_id"]),
    "review_promises": lambda p: review_promises(business_today(), community_id=p["community_id"]),
}
