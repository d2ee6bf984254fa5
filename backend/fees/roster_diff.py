"""What a roster changes in prices and assignments: pure comparisons, nothing is written here.

A fee of a house is a quantity by time: the fee list of the house row counts one, every parking
space that names the house one more from its own first day. A roster adds and changes, it never
takes a fee away: ending a fee is an act of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from backend.estate.roster_diff import CREATED, REFUSED, UNCHANGED, UPDATED, Results
from backend.estate.roster_model import FeeAssignmentRow, FeeStandardRow, ParkingRow

Key = tuple[str, str]
"""(house code, fee code)."""

_BRACKET = re.compile(r"[(\uff08][^()\uff08\uff09]*[)\uff09]$")
_ITEM_CODES = {
    "物业费": "WY", "物业服务费": "WY", "物业管理费": "WY", "商铺物业服务费": "WY",
    "停车费": "TC", "车位费": "TC", "车位管理费": "TC",
    "公摊费": "GT", "公共能耗费": "GT", "水费": "SF", "代收水费": "SF", "电费": "DF",
    "代收电费": "DF",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """The fee item a standard belongs to; pass_through is a utility's money (C44)."""

    code: str
    name: str
    pass_through: bool


@dataclass(frozen=True, slots=True)
class StoredStandard:
    """One version of a price; start and end of [start, end), None = open."""

    id: int
    published: bool
    method: str
    rate: Decimal | None
    surcharge: Decimal
    fixed: Decimal | None
    cycle_months: int
    start: date | None
    end: date | None


@dataclass(frozen=True, slots=True)
class Fee:
    """A quantity of one fee on [start, end); None = open. `id` of a stored one."""

    quantity: int
    start: date | None
    end: date | None
    id: int = 0


@dataclass(slots=True)
class FeeChanges:
    """What is to be written; drafts and prices are (row, first day)."""

    drafts: list[tuple[FeeStandardRow, date]] = field(default_factory=list)
    changed_drafts: list[tuple[int, FeeStandardRow, date]] = field(default_factory=list)
    publish: list[tuple[FeeStandardRow, date]] = field(default_factory=list)
    delete_fees: list[int] = field(default_factory=list)
    end_fees: list[tuple[int, date]] = field(default_factory=list)
    new_fees: list[tuple[str, str, Fee]] = field(default_factory=list)


def item_of(row: FeeStandardRow) -> Item:
    """Return the fee item: prices that differ only in a bracket "(电梯3月付)" share one."""
    name = _BRACKET.sub("", row.name).strip() or row.name
    return Item(_ITEM_CODES.get(name, row.code), name, name.startswith("代收"))


def compare_standards(
    rows: Sequence[FeeStandardRow],
    stored: Mapping[str, Sequence[StoredStandard]],
    *,
    basis: str,
    today: date,
    changes: FeeChanges,
    results: Results,
) -> None:
    """Decide for every price: known, to be published with `basis`, or kept as a draft (C43)."""
    for row in rows:
        if row.recurrence == "once":
            results.issue(row, "refused", "", "一次性收费不是周期收费标准，未导入")
            continue
        if row.timing == "postpaid":
            results.issue(row, "warning", "付费方式", "后付：到期日仍按账期首月计算")
        start = row.valid_from or today.replace(day=1)
        versions = stored.get(row.code, ())
        if _known(row, start, [v for v in versions if v.published]):
            results.note(row, UNCHANGED)
        elif basis:
            _publish(row, start, versions, changes, results)
        else:
            _draft(row, start, versions, changes, results)


def _same_price(row: FeeStandardRow, version: StoredStandard) -> bool:
    if row.method == "area":
        price = (row.rate, row.amount) == (version.rate, version.surcharge)
    else:
        price = row.amount == version.fixed
    return price and (row.method, row.cycle_months) == (version.method, version.cycle_months)


def _known(row: FeeStandardRow, start: date, versions: Sequence[StoredStandard]) -> bool:
    """Tell whether the price is published; its day may be left out of the file."""
    return any(
        _same_price(row, v) and (row.valid_from is None or v.start == start) for v in versions
    )


def _publish(
    row: FeeStandardRow,
    start: date,
    versions: Sequence[StoredStandard],
    changes: FeeChanges,
    results: Results,
) -> None:
    published = [v for v in versions if v.published]
    later = [v.start for v in published if v.start and v.start >= start]
    if later:
        results.issue(
            row, "refused", "生效日期", f"已公示自 {max(later)} 起执行的版本，请填写更晚的生效日期"
        )
        return
    changes.publish.append((row, start))
    results.note(row, UPDATED if published else CREATED)


def _draft(
    row: FeeStandardRow,
    start: date,
    versions: Sequence[StoredStandard],
    changes: FeeChanges,
    results: Results,
) -> None:
    draft = next((v for v in versions if not v.published), None)
    results.issue(row, "warning", "", "没有公示依据(--basis),保存为草稿，公示前不能出账")
    if draft is None:
        changes.drafts.append((row, start))
        results.note(row, CREATED)
    elif _same_price(row, draft):
        results.note(row, UNCHANGED)
    else:
        changes.changed_drafts.append((draft.id, row, start))
        results.note(row, UPDATED)


def wanted_fees(
    assignments: Iterable[FeeAssignmentRow], spaces: Iterable[ParkingRow]
) -> tuple[dict[Key, list[Fee]], dict[Key, list[object]]]:
    """Return per (house, fee) its quantities over time, and the rows that ask for it."""
    spans: dict[Key, list[tuple[date | None, date | None]]] = defaultdict(list)
    rows: dict[Key, list[object]] = defaultdict(list)
    for row in assignments:
        spans[(row.house_code, row.fee_code)].append((row.valid_from, None))
        rows[(row.house_code, row.fee_code)].append(row)
    for space in spaces:
        for code in space.fee_codes:
            key = (space.house_code or "", code)
            spans[key].append((space.valid_from, space.valid_to))
            rows[key].append(space)
    return {key: _quantities(held) for key, held in spans.items()}, rows


def _quantities(spans: Sequence[tuple[date | None, date | None]]) -> list[Fee]:
    """Return the count of spans in force, cut where it changes."""
    first, last = date.min, date.max
    held = [(start or first, end or last) for start, end in spans]
    days = sorted({day for span in held for day in span})
    fees: list[Fee] = []
    for start, end in zip(days, days[1:], strict=False):
        count = sum(s <= start and end <= e for s, e in held)
        if not count:
            continue
        before = fees[-1] if fees else None
        stop = None if end == last else end
        if before and before.quantity == count and before.end == start:
            fees[-1] = Fee(count, before.start, stop)
        else:
            fees.append(Fee(count, None if start == first else start, stop))
    return fees


def compare_fees(
    wanted: Mapping[Key, list[Fee]],
    rows: Mapping[Key, list[object]],
    stored: Mapping[Key, list[Fee]],
    *,
    today: date,
    changes: FeeChanges,
    results: Results,
) -> None:
    """Decide for every fee of a house what changes, from which day; the past is not rewritten."""
    for key, fees in wanted.items():
        if any(results.rows.get((r.sheet, r.row)) == REFUSED for r in rows[key]):  # type: ignore[attr-defined]
            continue
        have = stored.get(key, [])
        agree = bool(have) and _agree(fees, have, today)
        if not have:
            changes.new_fees += [(*key, fee) for fee in fees]
        elif not agree:
            _change(key, fees, have, today, changes)
        for row in rows[key]:
            fresh = not have and isinstance(row, ParkingRow)
            results.note(row, UNCHANGED if agree else CREATED if fresh else UPDATED)


def _agree(fees: Sequence[Fee], have: Sequence[Fee], today: date) -> bool:
    """Tell whether both say the same from today on."""
    return _from(fees, today) == _from(have, today)


def _from(fees: Sequence[Fee], day: date) -> list[tuple[int, date, date | None]]:
    return [
        (fee.quantity, max(fee.start or day, day), fee.end)
        for fee in fees
        if fee.end is None or fee.end > day
    ]


def _change(
    key: Key, fees: Sequence[Fee], have: Sequence[Fee], today: date, changes: FeeChanges
) -> None:
    """Replace what is stored from the first difference on, at the earliest from the file's day."""
    starts = [fee.start for fee in fees if fee.start and fee.start not in {h.start for h in have}]
    day = min([*starts, today])
    for fee in have:
        if fee.start is not None and fee.start >= day:
            changes.delete_fees.append(fee.id)
        elif fee.end is None or fee.end > day:
            changes.end_fees.append((fee.id, day))
    for quantity, start, end in _from(fees, day):
        changes.new_fees.append((*key, Fee(quantity, start, end)))
