"""The roster while it is being put together: who refers to whom, and what may not be kept.

Both layouts fill one draft. A house whose owner does not exist (or was itself refused) is
refused, the later of two rows with one code is refused, and only what passed goes into the result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from backend.estate import rules
from backend.estate.roster_model import (
    BuildingRow,
    FeeAssignmentRow,
    FeeStandardRow,
    HouseRow,
    LiabilityRow,
    ParkingRow,
    PartyRole,
    PartyRow,
)
from backend.estate.roster_row import Row
from backend.estate.roster_table import Report

_ROLE_RANK: tuple[PartyRole, ...] = ("owner", "co_owner", "tenant")


class Draft:
    """Records by code, in file order; `finish` moves them into the report's result."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.buildings: dict[tuple[str, str], BuildingRow] = {}
        self.parties: dict[str, PartyRow] = {}
        self.standards: dict[str, FeeStandardRow] = {}
        self.houses: dict[str, HouseRow] = {}
        self.parking: dict[str, ParkingRow] = {}
        self.liabilities: list[LiabilityRow] = []
        self.assignments: list[FeeAssignmentRow] = []
        self._refused: dict[str, dict[str, int]] = {"party": {}, "standard": {}}
        self._identities: dict[tuple[str, str], str] = {}
        self._people: dict[str, set[str]] = {}
        self._named_after: dict[str, int] = {}
        self._standard_names: dict[str, str] = {}
        self.parties_by_house = False
        self.parties_from = ""
        self.standards_from = ""

    def refused_row(self, what: str, code: str, row: Row) -> None:
        """Remember that the row defining a party or standard was refused."""
        if code:
            self._refused[what].setdefault(code, row.number)

    def is_new(self, row: Row, column: str, code: str, known: dict[str, object]) -> bool:
        """Tell whether the code is free; otherwise refuse the row and name the earlier one."""
        if code not in known:
            return True
        row.refuse(column, f"与第 {known[code].row} 行重复（{code}）")
        return False

    def has_party(self, row: Row, column: str, key: str) -> bool:
        """Tell whether a party is in the draft; otherwise refuse the row with the reason."""
        return key in self.parties or self._missing(
            row, column, "party", f"业主编号 {key} ", self.parties_from
        )

    def fee_codes(self, row: Row, column: str) -> tuple[str, ...]:
        """Return the fee codes listed in a cell; a fee's name stands for its code. When the file
        brings its own standards, a code that is not among them refuses the row."""
        codes = []
        for listed in row.keys(column):
            code = self._standard_names.get(listed, listed)
            if self.standards_from and code not in self.standards:
                self._missing(row, column, "standard", f"收费编号 {code} ", self.standards_from)
            codes.append(code)
        return tuple(dict.fromkeys(codes))

    def add_standard(self, standard: FeeStandardRow) -> None:
        """Take over a fee standard; houses may name it by code or by name."""
        self.standards[standard.code] = standard
        self._standard_names.setdefault(rules.normalise_key(standard.name), standard.code)

    def _missing(self, row: Row, column: str, what: str, named: str, source: str) -> bool:
        refused_at = self._refused[what].get(named.split()[-1])
        if refused_at:
            row.refuse(column, f"{named}所在的“{source}”第 {refused_at} 行未通过检查")
        else:
            row.refuse(column, f"{named}在“{source}”中不存在")
        return False

    def assign(
        self, row: Row, house_code: str, codes: Iterable[str], days: list[date], column: str
    ) -> list[FeeAssignmentRow]:
        """Pair fee codes with their first days: none, one for all, or one each."""
        listed = list(codes)
        if len(days) not in (0, 1, len(listed)):
            row.refuse(column, f"有 {len(listed)} 个收费项目，却有 {len(days)} 个开始日期")
            return []
        starts = days * len(listed) if len(days) == 1 else days or [None] * len(listed)
        return [
            FeeAssignmentRow(house_code, code, start, row.sheet, row.number)
            for code, start in zip(listed, starts, strict=True)
        ]

    def add_house(
        self,
        house: HouseRow,
        *,
        liabilities: Iterable[LiabilityRow],
        assignments: Iterable[FeeAssignmentRow],
    ) -> None:
        """Take over a house that passed every check, with all that hangs on it."""
        self.houses[house.code] = house
        for liability in liabilities:
            self.add_liability(liability)
        self.assignments.extend(assignments)
        self.buildings.setdefault(
            (house.building, house.unit),
            BuildingRow(house.building, house.unit, None, None, house.sheet, house.row),
        )

    def add_liability(self, liability: LiabilityRow) -> None:
        """Take over who owns or uses a house."""
        self.liabilities.append(liability)
        self._people.setdefault(liability.house_code, set()).add(liability.party_key)

    def people_of(self, house_code: str) -> set[str]:
        """Return the keys of the parties linked to a house so far."""
        return self._people.get(house_code, set())

    def person_at_house(self, party: PartyRow, *, house_code: str) -> PartyRow:
        """Return the party of a file without owner numbers: one person with several houses is
        recognised by name and ID number or first phone, and named after the first house."""
        marks = [party.id_no, *party.phones[:1]]
        for mark in filter(None, marks):
            known = self._identities.get((party.name, mark))
            if known:
                return self.parties[known]
        taken = self._named_after[house_code] = self._named_after.get(house_code, 0) + 1
        named = replace(party, key=f"{house_code}/{taken}")
        self.parties[named.key] = named
        for mark in filter(None, marks):
            self._identities[(party.name, mark)] = named.key
        return named

    def finish(self) -> None:
        """Move everything into the result; a party's role is the strongest one it has."""
        roles: dict[str, PartyRole] = {}
        for liability in self.liabilities:
            known = roles.get(liability.party_key, "tenant")
            roles[liability.party_key] = min(known, liability.role, key=_ROLE_RANK.index)
        result = self.report.result
        result.buildings = list(self.buildings.values())
        result.houses = list(self.houses.values())
        result.parties = [
            replace(party, role=roles.get(party.key, party.role))
            for party in self.parties.values()
            if party.key in roles or not self.parties_by_house
        ]
        result.liabilities = self.liabilities
        result.fee_standards = list(self.standards.values())
        result.fee_assignments = self.assignments
        result.parking = list(self.parking.values())
        self.report.finish()
