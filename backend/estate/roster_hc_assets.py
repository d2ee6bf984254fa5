"""The one-sheet asset workbook of HC小区管理系统 (资产信息): a row per house and person.

The house is repeated on the row of each of its people, the owner first. There are no owner
numbers, so people are told apart by name and phone or ID number.
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.estate import rules
from backend.estate.roster_draft import Draft
from backend.estate.roster_hc_layout import (
    ASSET_COLUMNS,
    ASSETS,
    HOUSE_STATES,
    HOUSE_TYPES,
    LEFT_OUT,
    LIFTS,
    NOT_LIABLE,
    OWNER_TYPES,
)
from backend.estate.roster_model import (
    BuildingRow,
    HouseRow,
    LiabilityRow,
    NotImported,
    PartyRow,
)
from backend.estate.roster_row import Row
from backend.estate.roster_sheets import Grid
from backend.estate.roster_table import Report, Table


def read_hc_assets(grids: Mapping[str, Grid], *, report: Report) -> None:
    """Fill the report from the sheet 资产信息. Raises Refusal on an unusable header."""
    draft = Draft(report)
    draft.parties_by_house = True
    table = Table(grids[ASSETS], ASSET_COLUMNS, report=report)
    others = sum(_read_row(row, draft) for row in table.rows())
    if others:
        report.result.not_imported.append(
            NotImported(table.grid.name, table.headers.get("业主类型", ""), others, NOT_LIABLE)
        )
    table.report_left_out(LEFT_OUT)
    draft.finish()


def _read_row(row: Row, draft: Draft) -> bool:
    """Read one row; return whether its person was left out on purpose."""
    house = _house(row)
    building = _building(row, house)
    role = row.choice("业主类型", OWNER_TYPES, default="owner")
    known = draft.houses.get(house.code) if house else None
    if known is not None and (known.area, known.use) != (house.area, house.use):
        row.refuse("建筑面积", f"与第 {known.row} 行同一房屋的面积或类型不一致")
    if role == "other":
        return not row.refused
    unsold = house is not None and house.occupancy == "unsold"
    party = None if unsold and not row.text("业主名称") else _party(row)
    if row.refused or house is None:
        return False
    if known is None:
        if role == "tenant":
            row.refuse("业主类型", "同一房屋的业主须写在租客之前")
            return False
        draft.buildings.setdefault((house.building, house.unit), building)
        draft.add_house(house, liabilities=[], assignments=[])
    if party is None:
        row.warn("业主名称", "没有业主：按未售登记，指定开发商之前不能出账")
    else:
        _link(row, draft, house, party, role)
    return False


def _link(row: Row, draft: Draft, house: HouseRow, party: PartyRow, role: str) -> None:
    key = draft.person_at_house(party, house_code=house.code).key
    here = draft.people_of(house.code)
    if key in here:
        row.refuse("业主名称", "同一房屋的同一人重复")
        return
    first = role == "owner" and not here
    kind = role if role == "tenant" or first else "co_owner"
    draft.add_liability(LiabilityRow(house.code, key, kind, first, None, row.sheet, row.number))


def _house(row: Row) -> HouseRow | None:
    building = row.part("楼号", part="building")
    unit = row.part("单元", part="unit")
    room = row.part("房间", part="room")
    floor = row.integer("楼层", low=-9, high=200)
    area = row.area("建筑面积")
    use = row.choice("房屋类型", HOUSE_TYPES, default="residential")
    occupancy = row.choice("房屋状态", HOUSE_STATES, default="unknown")
    if not (building and unit and room and area):
        return None
    return HouseRow(
        rules.house_code(building=building, unit=unit, room=room), building, unit, floor, room,
        area, "shop" if unit == "0" else use, occupancy, None, (), row.sheet, row.number,
    )  # fmt: skip


def _building(row: Row, house: HouseRow | None) -> BuildingRow | None:
    floors = row.integer("总层数", low=1, high=200)
    lift = row.choice("是否有电梯", LIFTS, default=None)
    if house is None:
        return None
    return BuildingRow(house.building, house.unit, floors, lift, row.sheet, row.number)


def _party(row: Row) -> PartyRow:
    name = rules.normalise_name(row.text("业主名称", required=True))
    kind = "organisation" if rules.looks_like_organisation(name) else "person"
    return PartyRow(
        "", name, kind, row.phones("手机号"), row.id_no("身份证号"), "owner", row.sheet, row.number
    )
