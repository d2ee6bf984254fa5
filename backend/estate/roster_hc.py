"""The import workbooks of HC小区管理系统, the commonest open-source property system.

Five sheets: 楼栋单元, 业主信息, 费用设置, 房屋信息, 车位信息 (one sheet: `roster_hc_assets`).
Its habits: notes stand to the right of the data, "1#2" lists fees, 18999999999 and
110101199001010000 mean "none", 2037-01-01 means "no end", unit 0 means a shop, and an owner type
other than 1001 is a relative or visitor whose number we have no ground to keep (C21, C22).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from backend.estate import rules
from backend.estate.roster_draft import Draft
from backend.estate.roster_hc_assets import ASSETS, read_hc_assets
from backend.estate.roster_hc_layout import (
    BUILDING_COLUMNS,
    BUILDINGS,
    FEE_COLUMNS,
    FEES,
    HC_SHEETS,
    HOUSE_COLUMNS,
    HOUSE_TYPES,
    HOUSES,
    LEFT_OUT,
    LIFTS,
    NO_END,
    NOT_LIABLE,
    OWNER_COLUMNS,
    OWNER_TYPES,
    OWNERS,
    PARKING,
    PARKING_COLUMNS,
    PARKING_KINDS,
    TENANT_UNCLEAR,
    TENURES,
)
from backend.estate.roster_model import (
    BuildingRow,
    FeeAssignmentRow,
    FeeStandardRow,
    HouseRow,
    LiabilityRow,
    NotImported,
    ParkingRow,
    PartyRow,
)
from backend.estate.roster_row import Row
from backend.estate.roster_sheets import Grid
from backend.estate.roster_table import Report, Table

__all__ = ["ASSETS", "HC_SHEETS", "HOUSES", "OWNERS", "read_hc", "read_hc_assets"]


def read_hc(grids: Mapping[str, Grid], *, report: Report) -> None:
    """Fill the report from the five-sheet workbook. Raises Refusal on an unusable header."""
    draft = Draft(report)
    draft.parties_from = grids[OWNERS].name
    tables = {
        name: Table(grids[name], columns, report=report)
        for name, columns in (
            (BUILDINGS, BUILDING_COLUMNS), (OWNERS, OWNER_COLUMNS), (FEES, FEE_COLUMNS),
            (HOUSES, HOUSE_COLUMNS), (PARKING, PARKING_COLUMNS),
        )
        if name in grids
    }  # fmt: skip
    if BUILDINGS in tables:
        _read_buildings(tables[BUILDINGS], draft)
    if FEES in tables:
        _read_fees(tables[FEES], draft)
    tenants = _read_owners(tables[OWNERS], draft)
    for row in tables[HOUSES].rows():
        _read_house(row, draft, check_building=BUILDINGS in tables)
    _attach_tenants(tenants, draft)
    if PARKING in tables:
        _read_parking(tables[PARKING], draft)
    for table in tables.values():
        table.report_left_out(LEFT_OUT)
    draft.finish()


def _read_buildings(table: Table, draft: Draft) -> None:
    for row in table.rows():
        building = row.part("楼栋号", part="building")
        unit = row.part("单元编号", part="unit")
        floors = row.integer("总层数", low=1, high=200)
        lift = row.choice("是否有电梯", LIFTS, default=None)
        if row.refused or not draft.is_new(row, "单元编号", (building, unit), draft.buildings):
            continue
        draft.buildings[(building, unit)] = BuildingRow(
            building, unit, floors, lift, row.sheet, row.number
        )


def _read_fees(table: Table, draft: Draft) -> None:
    draft.standards_from = table.grid.name
    for row in table.rows():
        code = row.key("费用编号")
        standard = _fee(row, code)
        if row.refused or not draft.is_new(row, "费用编号", code, draft.standards):
            draft.refused_row("standard", code, row)
            continue
        draft.add_standard(standard)


def _fee(row: Row, code: str) -> FeeStandardRow:
    name = row.text("收费项目", required=True)
    method = row.choice("计算公式", {"1001": "area", "2002": "fixed"}, default="")
    if not method and not row.refused:
        row.refuse("计算公式", "不能为空")
    rate, amount = row.money("计费单价"), row.money("固定费用")
    if method == "area" and rate is None and not row.refused:
        row.refuse("计费单价", "计算公式 1001(面积*单价+附加费)须填单价")
    recurrence = row.choice(
        "费用标识", {"周期性费用": "periodic", "一次性费用": "once"}, default="periodic"
    )
    timing = row.choice("付费类型", {"预付费": "prepaid", "后付费": "postpaid"}, default="prepaid")
    cycle = row.integer("缴费周期", low=1, high=36) or 1
    first, end = row.date("计费起始时间"), _end(row, "计费结束时间")
    if first and end and end <= first:
        row.refuse("计费结束时间", "须晚于计费起始时间")
    return FeeStandardRow(
        code, name, method, rate if method == "area" else None, amount or Decimal(0), cycle,
        recurrence, timing, first, end, row.sheet, row.number,
    )  # fmt: skip


def _end(row: Row, column: str) -> date | None:
    """Return an end date; the 2037-01-01 that HC writes for "no end" is None."""
    day = row.date(column)
    return None if day == NO_END else day


def _read_owners(table: Table, draft: Draft) -> list[tuple[str, PartyRow]]:
    """Read owners into the draft; return the tenants with the owner number they belong to."""
    tenants: list[tuple[str, PartyRow]] = []
    others = 0
    for row in table.rows():
        role = row.choice("业主类型", OWNER_TYPES, default="owner")
        if role == "other":
            others += 1
            continue
        key = row.key("业主编号")
        party = _party(row, key, role=role)
        if role == "tenant" and not row.refused:
            tenants.append((key, party))
        elif row.refused or not draft.is_new(row, "业主编号", key, draft.parties):
            draft.refused_row("party", key, row)
        else:
            draft.parties[key] = party
    if others:
        draft.report.result.not_imported.append(NotImported(OWNERS, "业主类型", others, NOT_LIABLE))
    return tenants


def _party(row: Row, key: str, *, role: str) -> PartyRow:
    name = rules.normalise_name(row.text("业主名称", required=True))
    kind = "organisation" if rules.looks_like_organisation(name) else "person"
    phones, id_no = row.phones("手机号"), row.id_no("身份证号")
    named = f"{key}/T{row.number}" if role == "tenant" else key
    return PartyRow(named, name, kind, phones, id_no, role, row.sheet, row.number)


def _read_house(row: Row, draft: Draft, *, check_building: bool) -> None:
    house = _house(row, draft)
    if house is not None:
        place = (house.building, house.unit)
        if check_building and place not in draft.buildings:
            row.refuse("单元编号", f"{place[0]} 栋 {place[1]} 单元在“{BUILDINGS}”中不存在")
        draft.is_new(row, "房屋编号", house.code, draft.houses)
    owner = row.key("业主编号", required=False)
    if owner:
        draft.has_party(row, "业主编号", owner)
    if house is None or row.refused:
        return
    assignments = _assignments(row, draft, house)
    if row.refused:
        return
    if not owner:
        row.warn("业主编号", "没有业主：按未售登记，指定开发商之前不能出账")
    liabilities = (
        [LiabilityRow(house.code, owner, "owner", True, None, row.sheet, row.number)]
        if owner
        else []
    )
    draft.add_house(house, liabilities=liabilities, assignments=assignments)


def _house(row: Row, draft: Draft) -> HouseRow | None:
    building = row.part("楼栋编号", part="building")
    unit = row.part("单元编号", part="unit")
    room = row.part("房屋编号", part="room")
    floor = row.integer("房屋楼层", low=-9, high=200)
    area = row.area("建筑面积")
    use = row.choice("房屋类型", HOUSE_TYPES, default="residential")
    fees = () if row.text("房屋费用") in ("0", "") else draft.fee_codes(row, "房屋费用")
    if not (building and unit and room and area):
        return None
    occupancy = "unknown" if row.text("业主编号") else "unsold"
    return HouseRow(
        rules.house_code(building=building, unit=unit, room=room), building, unit, floor, room,
        area, "shop" if unit == "0" else use, occupancy, None, fees, row.sheet, row.number,
    )  # fmt: skip


def _assignments(row: Row, draft: Draft, house: HouseRow) -> list[FeeAssignmentRow]:
    """Pair "1#2" with "2020-06-10#2020-07-10"; without fees the date says nothing."""
    if not house.fee_codes:
        return []
    days = row.dates("费用开始时间")
    if len(days) == 1 < len(house.fee_codes):
        row.refuse("费用开始时间", "有多个费用，却只有一个开始时间(应以 # 分隔，一一对应)")
    return draft.assign(row, house.code, house.fee_codes, days, "费用开始时间")


def _attach_tenants(tenants: list[tuple[str, PartyRow]], draft: Draft) -> None:
    """A tenant is listed under an owner; only an owner with one house says which house it is."""
    houses_of: dict[str, list[str]] = {}
    for liability in draft.liabilities:
        houses_of.setdefault(liability.party_key, []).append(liability.house_code)
    unclear = 0
    for owner, party in tenants:
        houses = houses_of.get(owner, [])
        if len(houses) != 1:
            unclear += 1
            continue
        draft.parties[party.key] = party
        draft.add_liability(
            LiabilityRow(houses[0], party.key, "tenant", False, None, party.sheet, party.row)
        )
    if unclear:
        draft.report.result.not_imported.append(
            NotImported(OWNERS, "业主类型", unclear, TENANT_UNCLEAR)
        )


def _read_parking(table: Table, draft: Draft) -> None:
    for row in table.rows():
        code = row.key("车位编码")
        lot = row.code("停车场编号")
        kind = row.choice("停车场类型", PARKING_KINDS, default="surface")
        area = row.area("面积", required=False)
        owner = row.key("业主编号", required=False) or None
        if owner:
            draft.has_party(row, "业主编号", owner)
        tenure = row.choice("出租还是出售", TENURES, default=None)
        first, end = row.date("开始时间"), _end(row, "结束时间")
        if first and end and end <= first:
            row.refuse("结束时间", "须晚于开始时间")
        if row.refused or not draft.is_new(row, "车位编码", code, draft.parking):
            continue
        # HC asks for area 1 where it is unknown.
        draft.parking[code] = ParkingRow(
            code, lot, kind, None if area == 1 else area, owner, None, tenure, (),
            first, end, row.sheet, row.number,
        )  # fmt: skip
