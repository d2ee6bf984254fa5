"""Parking spaces and unsold units: the two places where a roster row is not simply a house.

A space that names a house and is charged a fixed amount is a quantity of that house's fee: one
bill, one reminder, one household. A space charged by its area, or of somebody without a house
here, becomes a house of use "parking" in the building 车位. A space nobody uses, or without a fee,
is left out: there is nothing to bill. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

from backend.estate.roster_diff import LEFT_OUT, Results
from backend.estate.roster_model import (
    FeeAssignmentRow,
    HouseRow,
    LiabilityRow,
    NotImported,
    ParkingRow,
    PartyRow,
    RosterFile,
)

BUILDING = "车位"


def settle_spaces(
    file: RosterFile, *, by_area: Collection[str], results: Results
) -> tuple[RosterFile, list[ParkingRow]]:
    """Return the file with spaces that are houses of their own, and those that are a quantity.

    by_area: fee codes charged by area. Spaces left out are noted in `results`.
    """
    liable = {link.house_code: link.party_key for link in file.liabilities if link.liable}
    quantities: list[ParkingRow] = []
    houses, links, fees = list(file.houses), list(file.liabilities), list(file.fee_assignments)
    idle = 0
    for space in file.parking:
        party = space.party_key or liable.get(space.house_code or "")
        if not space.fee_codes or not (space.house_code or party):
            results.note(space, LEFT_OUT)
            idle += 1
        elif space.house_code and not set(space.fee_codes) & set(by_area):
            quantities.append(space)
        elif party:
            house = _as_house(space)
            houses.append(house)
            links.append(_liability(house, space, party))
            fees += [
                FeeAssignmentRow(house.code, code, space.valid_from, space.sheet, space.row)
                for code in space.fee_codes
            ]
        else:
            results.issue(space, "warning", "业主编号", "按面积计费的车位没有缴费责任人，未保存")
            results.note(space, LEFT_OUT)
    left_out = list(file.not_imported)
    if idle:
        reason = "没有使用人或收费项目的车位不产生账单，未保存"
        left_out.append(NotImported(file.parking[0].sheet, "", idle, reason))
    changed = replace(
        file, houses=houses, liabilities=links, fee_assignments=fees, not_imported=left_out
    )
    return changed, quantities


def _as_house(space: ParkingRow) -> HouseRow:
    return HouseRow(
        code=f"{BUILDING}-0-{space.code}", building=BUILDING, unit="0", floor=None,
        room=space.code, area=space.area or Decimal(0), use="parking", occupancy="self",
        handed_over=None, fee_codes=space.fee_codes, sheet=space.sheet, row=space.row,
    )  # fmt: skip


def _liability(house: HouseRow, space: ParkingRow, party: str) -> LiabilityRow:
    role = "owner" if space.tenure == "sold" else "tenant"
    return LiabilityRow(house.code, party, role, True, space.valid_from, space.sheet, space.row)


def with_developer(file: RosterFile, name: str) -> RosterFile:
    """Return the file with the developer liable for unsold units that name nobody (S5, C12)."""
    taken = {link.house_code for link in file.liabilities if link.liable}
    units = [
        house
        for house in file.houses
        if house.code not in taken and house.occupancy in ("unsold", "undelivered")
    ]
    if not units:
        return file
    key = f"开发商/{name}"
    first = units[0]
    party = PartyRow(key, name, "developer", (), None, "owner", first.sheet, first.row)
    links = [
        LiabilityRow(house.code, key, "owner", True, None, house.sheet, house.row)
        for house in units
    ]
    return replace(file, parties=[*file.parties, party], liabilities=[*file.liabilities, *links])
