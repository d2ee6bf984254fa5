"""Our own roster template: 房屋, 人员, and optionally 收费标准 and 车位 (docs/roster-template.md).

Columns are found by name, in any order. Without a sheet 人员 (and in a CSV, which has one sheet
only) the owner's name and phones stand in the row of the house.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from backend.estate import roster_own_layout as layout
from backend.estate import rules
from backend.estate.roster_draft import Draft
from backend.estate.roster_header import header_refusal
from backend.estate.roster_model import (
    FeeStandardRow,
    HouseRow,
    LiabilityRow,
    ParkingRow,
    PartyRow,
)
from backend.estate.roster_row import Row
from backend.estate.roster_sheets import Grid
from backend.estate.roster_table import Report, Table


def read_own(grids: Mapping[str, Grid], *, report: Report) -> None:
    """Fill the report from the sheets of our template; `grids` maps 房屋, 人员 … to sheets.

    Raises Refusal when a header cannot be used.
    """
    draft = Draft(report)
    if layout.STANDARDS in grids:
        table = Table(grids[layout.STANDARDS], layout.STANDARD_COLUMNS, report=report)
        _read_standards(table, draft)
    if layout.PARTIES in grids:
        draft.parties_from = grids[layout.PARTIES].name
        _read_parties(Table(grids[layout.PARTIES], layout.PARTY_COLUMNS, report=report), draft)
    draft.parties_by_house = layout.PARTIES not in grids
    flat = () if layout.PARTIES in grids else layout.FLAT_PARTY_COLUMNS
    table = Table(grids[layout.HOUSES], layout.HOUSE_COLUMNS + flat, report=report)
    needed = "姓名" if flat else "业主编号"
    if not table.has(needed):
        raise header_refusal(table.grid.name, table.header_row, needed, f"缺少列：{needed}")
    for row in table.rows():
        _read_house(row, draft, flat=bool(flat))
    table.report_left_out({})
    if layout.PARKING in grids:
        _read_parking(Table(grids[layout.PARKING], layout.PARKING_COLUMNS, report=report), draft)
    draft.finish()


def _read_standards(table: Table, draft: Draft) -> None:
    draft.standards_from = table.grid.name
    for row in table.rows():
        code = row.key("收费编号")
        name = row.text("收费项目", required=True)
        method = row.choice("计费方式", layout.METHODS, default="fixed")
        if not row.text("计费方式") and not row.refused:
            row.refuse("计费方式", "不能为空")
        rate = row.money("单价") if method == "area" else None
        amount = row.money("附加费" if method == "area" else "固定金额")
        if not row.refused and (rate if method == "area" else amount) is None:
            row.refuse("单价" if method == "area" else "固定金额", "不能为空")
        cycle = row.integer("缴费周期", low=1, high=36) or 1
        timing = row.choice("付费方式", layout.TIMINGS, default="prepaid")
        first, end = row.date("生效日期"), row.date("失效日期")
        if first and end and end <= first:
            row.refuse("失效日期", "须晚于生效日期")
        if row.refused or not draft.is_new(row, "收费编号", code, draft.standards):
            draft.refused_row("standard", code, row)
            continue
        standard = FeeStandardRow(
            code, name, method, rate, amount or Decimal(0), cycle, "periodic", timing,
            first, end, row.sheet, row.number,
        )  # fmt: skip
        draft.add_standard(standard)
    table.report_left_out({})


def _read_parties(table: Table, draft: Draft) -> None:
    for row in table.rows():
        key = row.key("业主编号")
        party = _party(row, key)
        if row.refused or not draft.is_new(row, "业主编号", key, draft.parties):
            draft.refused_row("party", key, row)
            continue
        draft.parties[key] = party
    table.report_left_out({})


def _party(row: Row, key: str) -> PartyRow:
    name = rules.normalise_name(row.text("姓名", required=True))
    guess = "organisation" if rules.looks_like_organisation(name) else "person"
    return PartyRow(
        key, name, row.choice("类型", layout.KINDS, default=guess), row.phones("手机", "备用手机"),
        row.id_no("证件号"), "owner", row.sheet, row.number,
    )  # fmt: skip


def _read_house(row: Row, draft: Draft, *, flat: bool) -> None:
    house = _house(row, draft)
    _check_community(row, draft)
    if house is not None:
        draft.is_new(row, "房号", house.code, draft.houses)
    owners = _flat_owner(row, draft, house) if flat else row.keys("业主编号")
    tenants = [] if flat else row.keys("租户编号")
    for column, keys in (("业主编号", owners), ("租户编号", tenants)):
        for key in keys:
            draft.has_party(row, column, key)
    if not owners and not row.refused:
        row.refuse("姓名" if flat else "业主编号", "不能为空；未售房屋请填开发商")
    if house is None or row.refused:
        return
    liabilities = _liabilities(row, draft, house, owners, tenants)
    assignments = draft.assign(
        row, house.code, house.fee_codes, row.dates("计费开始日期"), "计费开始日期"
    )
    if not row.refused:
        draft.add_house(house, liabilities=liabilities, assignments=assignments)


def _house(row: Row, draft: Draft) -> HouseRow | None:
    building = row.part("楼栋", part="building")
    unit = row.part("单元", part="unit", default="0")
    room = row.part("房号", part="room")
    floor = row.integer("楼层", low=-9, high=200)
    area = row.area("面积")
    use = row.choice("用途", layout.USES, default="residential")
    occupancy = row.choice("使用状态", layout.OCCUPANCIES, default="unknown")
    handed_over = row.date("交付日期")
    fee_codes = draft.fee_codes(row, "收费项目")
    if not (building and unit and room and area):
        return None
    return HouseRow(
        rules.house_code(building=building, unit=unit, room=room), building, unit, floor, room,
        area, use, occupancy, handed_over, fee_codes, row.sheet, row.number,
    )  # fmt: skip


def _check_community(row: Row, draft: Draft) -> None:
    name = rules.plain(row.text("小区"))
    result = draft.report.result
    if name and result.community not in (None, name):
        row.refuse("小区", f"一个文件只能有一个小区（前面为“{result.community}”）")
    elif name:
        result.community = name


def _flat_owner(row: Row, draft: Draft, house: HouseRow | None) -> list[str]:
    """Return the key of the owner who stands in the house's own row (CSV, single sheet)."""
    party = _party(row, "")
    key = row.key("业主编号", required=False)
    if row.refused or house is None:
        return []
    if not key:
        return [draft.person_at_house(party, house_code=house.code).key]
    known = draft.parties.setdefault(key, PartyRow(key, *_identity(party), row.sheet, row.number))
    if _identity(known) != _identity(party):
        row.refuse("业主编号", f"业主编号 {key} 与第 {known.row} 行的姓名、电话或证件号不一致")
    return [key]


def _identity(party: PartyRow) -> tuple:
    return party.name, party.kind, party.phones, party.id_no, party.role


def _liabilities(
    row: Row, draft: Draft, house: HouseRow, owners: list[str], tenants: list[str]
) -> list[LiabilityRow]:
    """Return owner, co-owners and tenants; exactly one of them is billed (S5, C12)."""
    tenant_pays = row.choice("缴费责任人", {"业主": False, "租户": True}, default=False)
    if tenant_pays and not tenants:
        row.refuse("缴费责任人", "选择了租户，但没有填写租户编号")
    by_developer = house.occupancy in ("unsold", "undelivered")
    if by_developer and draft.parties[owners[0]].kind != "developer":
        row.refuse("业主编号", "未售或未交付房屋的物业费由开发商承担，此处须填类型为“开发商”的编号")
    owned_from: date | None = row.date("权属起始日") or house.handed_over
    if by_developer:
        owned_from = row.date("权属起始日")
    used_from = row.date("租期起始日") or owned_from
    at = (row.sheet, row.number)
    people = [
        LiabilityRow(
            house.code, key, "co_owner" if n else "owner", not (n or tenant_pays), owned_from, *at
        )
        for n, key in enumerate(owners)
    ]
    for n, key in enumerate(tenants):
        people.append(
            LiabilityRow(house.code, key, "tenant", tenant_pays and not n, used_from, *at)
        )
    return people


def _read_parking(table: Table, draft: Draft) -> None:
    for row in table.rows():
        code = row.key("车位编号")
        house = row.parse("房屋", rules.normalise_house_code)
        if house and house not in draft.houses:
            row.refuse("房屋", f"房屋 {house} 不存在或未通过检查")
        owner = row.key("业主编号", required=False) or None
        if owner:
            draft.has_party(row, "业主编号", owner)
        fee_codes = draft.fee_codes(row, "收费项目")
        kind = row.choice("车位类型", layout.PARKING_KINDS, default="surface")
        tenure = row.choice("使用方式", layout.TENURES, default=None)
        area = row.area("面积", required=False)
        first, end = row.date("开始日期"), row.date("结束日期")
        if first and end and end <= first:
            row.refuse("结束日期", "须晚于开始日期")
        if row.refused or not draft.is_new(row, "车位编号", code, draft.parking):
            continue
        draft.parking[code] = ParkingRow(
            code, row.text("停车场"), kind, area, owner, house, tenure, fee_codes,
            first, end, row.sheet, row.number,
        )  # fmt: skip
    table.report_left_out({})
