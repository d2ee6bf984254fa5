"""What a roster file says, in our own words, before anything touches the database.

Two layouts come in (our template and the HC import workbook) and one shape goes out. Every record
keeps the sheet and row it came from, so that any later answer ("created", "refused") can name
the place in the user's file. A row that could not be used is not a record; it is an `Issue`.
Records refer to each other by code: `HouseRow.code`, `PartyRow.key`, `FeeStandardRow.code`; a
record never refers to a house or party that is missing from the result. Fee codes are checked too
when the file brings its own fee standards; otherwise they name standards that exist already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

RosterKind = Literal["own", "hc"]
Severity = Literal["refused", "warning"]
HouseUse = Literal["residential", "shop", "parking", "office"]
Occupancy = Literal["self", "rent", "vacant", "unsold", "undelivered", "unknown"]
PartyKind = Literal["person", "organisation", "developer"]
PartyRole = Literal["owner", "tenant", "co_owner"]
FeeMethod = Literal["area", "fixed", "parking"]
Recurrence = Literal["periodic", "once"]
Timing = Literal["prepaid", "postpaid"]
ParkingKind = Literal["surface", "underground"]
ParkingTenure = Literal["rent", "sold"]

Progress = Callable[[int, int, str], None]
"""`progress(done, total, sheet)`: rows looked at, rows to look at, the sheet being read."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One sentence about one place in the file.

    severity `refused`: the row is not in the result (`row` counts from 1 as in the spreadsheet).
    severity `warning`: the row is in the result, but something of it was changed or left out.
    column: the header text as it stands in the file, "" when the whole row is meant.
    value_masked: what stood there, personal data masked, at most 40 characters.
    cell: the address such as "F7", "" when the whole row is meant.
    """

    severity: Severity
    sheet: str
    row: int
    column: str
    value_masked: str
    reason_zh: str
    cell: str = ""


@dataclass(frozen=True, slots=True)
class NotImported:
    """A column (or sheet, column "") that holds values which are left out on purpose, and why."""

    sheet: str
    column: str
    rows: int
    reason_zh: str


@dataclass(frozen=True, slots=True)
class BuildingRow:
    """One stair of one building; `unit` is "0" for shops that belong to no stair."""

    code: str
    unit: str
    floors: int | None
    has_lift: bool | None
    sheet: str
    row: int


@dataclass(frozen=True, slots=True)
class HouseRow:
    """One house (房屋). `code` is "building-unit-room", for instance "1-1-101".

    area: ㎡, more than 0, at most 4 decimals (more are refused, never cut off: A63).
    handed_over: delivery date, None when the file does not say.
    fee_codes: the fee standards assigned, in file order (details in `FeeAssignmentRow`).
    """

    code: str
    building: str
    unit: str
    floor: int | None
    room: str
    area: Decimal
    use: HouseUse
    occupancy: Occupancy
    handed_over: date | None
    fee_codes: tuple[str, ...]
    sheet: str
    row: int


@dataclass(frozen=True, slots=True)
class PartyRow:
    """One person or organisation (当事人). `key` is unique in the file, not in the database.

    phones: normalised digits, mobiles first as listed, placeholders left out, may be empty.
    id_no: normalised, None when missing or a placeholder.
    """

    key: str
    name: str
    kind: PartyKind
    phones: tuple[str, ...]
    id_no: str | None
    role: PartyRole
    sheet: str
    row: int


@dataclass(frozen=True, slots=True)
class LiabilityRow:
    """Who owns or uses a house; `valid_from` None means "since before the file" (C12).

    liable: this is the one party billed for the house: the owner (the developer of an unsold or
    undelivered house), or the tenant where the file says so. At most one row per house has it.
    """

    house_code: str
    party_key: str
    role: PartyRole
    liable: bool
    valid_from: date | None
    sheet: str
    row: int


@dataclass(frozen=True, slots=True)
class FeeStandardRow:
    """One fee standard (收费标准) as the file gives it; publishing it is a later, separate act.

    method `area`: area × rate + amount a month; `fixed` and `parking`: amount a month
    (`recurrence` "once": amount one time). rate: 元/㎡·month, at most 4 decimals, None unless
    `area`. amount: 元, at most 4 decimals (A63), not yet fen because only a line is rounded (M1).
    Valid on the half-open interval [valid_from, valid_to); valid_to None = open.
    """

    code: str
    name: str
    method: FeeMethod
    rate: Decimal | None
    amount: Decimal
    cycle_months: int
    recurrence: Recurrence
    timing: Timing
    valid_from: date | None
    valid_to: date | None
    sheet: str
    row: int


@dataclass(frozen=True, slots=True)
class FeeAssignmentRow:
    """A house pays a fee standard from a day on; None = from the standard's own first day."""

    house_code: str
    fee_code: str
    valid_from: date | None
    sheet: str
    row: int


@dataclass(frozen=True, slots=True)
class ParkingRow:
    """One parking space; without party and house it is a free space. area None = unknown."""

    code: str
    lot: str
    kind: ParkingKind
    area: Decimal | None
    party_key: str | None
    house_code: str | None
    tenure: ParkingTenure | None
    fee_codes: tuple[str, ...]
    valid_from: date | None
    valid_to: date | None
    sheet: str
    row: int


@dataclass(slots=True)
class RosterFile:
    """Everything one roster file says. `sha256` identifies the bytes that were read.

    community: the community name the file carries, None when it names none; never two.
    rows_read: data rows looked at; rows_refused: rows with at least one refused issue.
    """

    kind: RosterKind
    filename: str
    sha256: str
    community: str | None = None
    buildings: list[BuildingRow] = field(default_factory=list)
    houses: list[HouseRow] = field(default_factory=list)
    parties: list[PartyRow] = field(default_factory=list)
    liabilities: list[LiabilityRow] = field(default_factory=list)
    fee_standards: list[FeeStandardRow] = field(default_factory=list)
    fee_assignments: list[FeeAssignmentRow] = field(default_factory=list)
    parking: list[ParkingRow] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    not_imported: list[NotImported] = field(default_factory=list)
    rows_read: int = 0

    @property
    def refused(self) -> list[Issue]:
        """Return the issues that kept a row out; empty means the file may be imported whole."""
        return [issue for issue in self.issues if issue.severity == "refused"]

    @property
    def warnings(self) -> list[Issue]:
        """Return the issues of rows that are in the result all the same."""
        return [issue for issue in self.issues if issue.severity == "warning"]

    @property
    def rows_refused(self) -> int:
        """Return how many rows of the file are not in the result because of an issue."""
        return len({(issue.sheet, issue.row) for issue in self.refused})
