"""Whether new late-fee terms would charge owners more than the terms they replace: pure.

One row of terms per fee item prices every day of every bill of it, past days included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

FIELDS_ZH = {
    "contract_daily_rate": "日费率不能调高",
    "grace_days": "宽限天数不能减少",
    "cap_percent": "封顶比例不能调高",
    "ceiling": "法定上限不能放宽",
    "clause_from": "条款生效日不能提前",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """A clause as far as it decides amounts. contract_daily_rate: a fraction a day."""

    contract_daily_rate: Decimal = Decimal(0)
    notice_proof: str | None = None
    clause_from: date | None = None
    grace_days: int = 15
    cap_percent: Decimal = Decimal(30)
    ceiling: str = "lpr4"

    @property
    def charges(self) -> bool:
        """Whether any late fee follows from it: a rate, and proof that it was pointed out (C8)."""
        return self.contract_daily_rate > 0 and bool(self.notice_proof)


def terms_of(values: Mapping[str, Any]) -> Terms:
    """Return the terms that stored or given values describe; defaults for what is missing."""
    kinds = {"contract_daily_rate": Decimal, "cap_percent": Decimal, "grace_days": int}
    given = {
        name: kinds[name](str(values[name])) if name in kinds else values[name]
        for name in Terms.__slots__
        if values.get(name) is not None
    }
    return Terms(**given)


def worse_for_owners(old: Terms, new: Terms, *, today: date) -> list[str]:
    """Return the fields in which `new` charges more than `old`, [] if it is equal or milder.

    Where nothing was charged before, a clause may only begin today or later.
    """
    if not new.charges:
        return []
    if not old.charges:
        return ["clause_from"] if new.clause_from is None or new.clause_from < today else []
    worse = {
        "contract_daily_rate": new.contract_daily_rate > old.contract_daily_rate,
        "grace_days": new.grace_days < old.grace_days,
        "cap_percent": new.cap_percent > old.cap_percent,
        "ceiling": (old.ceiling, new.ceiling) == ("lpr4", "contract"),
        "clause_from": old.clause_from is not None
        and (new.clause_from is None or new.clause_from < old.clause_from),
    }
    return [name for name, is_worse in worse.items() if is_worse]
