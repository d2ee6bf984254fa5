"""What a roster changes in an estate: a pure comparison of the file with what is stored.

The file is the truth about the houses it names: their data, their owners and who is liable. It
never removes a house, a party or a phone. A changed owner or liable party ends the old one on the
new one's first day (the file's date, else today), because bills keep the party of their period
(C12). What cannot be stored becomes a refused issue of its row; nothing here touches a database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from backend.estate.roster_model import HouseRow, Issue, LiabilityRow, PartyRow, RosterFile

Place = tuple[str, int]
"""(sheet, row) of the file."""

CREATED, UPDATED, UNCHANGED, REFUSED, LEFT_OUT = (
    "created", "updated", "unchanged", "refused", "left_out",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredHouse:
    """A house as the database has it."""

    id: int
    building: str
    unit: str
    room: str
    area: Decimal
    use: str
    occupancy: str
    handed_over: date | None


@dataclass(frozen=True, slots=True)
class StoredParty:
    """A party as the database has it; `phones` are those of the file that are known already."""

    id: int
    name: str
    kind: str
    id_no: str | None
    phones: frozenset[str]


@dataclass(frozen=True, slots=True)
class StoredSpan:
    """An ownership or liability: [start, end), None = open. `party` is the owner number."""

    id: int
    party: str
    start: date | None
    end: date | None


@dataclass(slots=True)
class Stored:
    """What the database has; houses by code, parties by owner number, spans by house code."""

    buildings: set[str] = field(default_factory=set)
    houses: dict[str, StoredHouse] = field(default_factory=dict)
    parties: dict[str, StoredParty] = field(default_factory=dict)
    ownerships: dict[str, list[StoredSpan]] = field(default_factory=lambda: defaultdict(list))
    liabilities: dict[str, list[StoredSpan]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class Results:
    """What became of each row; several parts of one row add up to its strongest result."""

    rows: dict[Place, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    def note(self, row: object, result: str) -> None:
        """Note the result of one part: created and refused outlast updated, that unchanged."""
        place = (row.sheet, row.row)  # type: ignore[attr-defined]
        order = (LEFT_OUT, UNCHANGED, UPDATED, CREATED, REFUSED)
        if order.index(result) >= order.index(self.rows.get(place, LEFT_OUT)):
            self.rows[place] = result

    def issue(self, row: object, severity: str, column: str, reason: str, value: str = "") -> None:
        """Add one sentence about a row; `refused` also marks it."""
        sheet, number = row.sheet, row.row  # type: ignore[attr-defined]
        self.issues.append(Issue(severity, sheet, number, column, value, reason))  # type: ignore[arg-type]
        if severity == "refused":
            self.note(row, REFUSED)


@dataclass(slots=True)
class EstateChanges:
    """What is to be written. Spans: (house code, owner number, role, first day or None)."""

    buildings: list[str] = field(default_factory=list)
    new_houses: list[HouseRow] = field(default_factory=list)
    changed_houses: list[tuple[int, HouseRow]] = field(default_factory=list)
    new_parties: list[PartyRow] = field(default_factory=list)
    changed_parties: list[tuple[int, PartyRow]] = field(default_factory=list)
    phones: list[tuple[str, str, int]] = field(default_factory=list)
    end_ownerships: list[tuple[int, date]] = field(default_factory=list)
    new_ownerships: list[tuple[str, str, date | None]] = field(default_factory=list)
    end_liabilities: list[tuple[int, date]] = field(default_factory=list)
    new_liabilities: list[tuple[str, str, str, date | None]] = field(default_factory=list)

    def add(self, part: EstateChanges) -> None:
        """Take over what one house row changes."""
        self.new_houses += part.new_houses
        self.changed_houses += part.changed_houses
        self.end_ownerships += part.end_ownerships
        self.new_ownerships += part.new_ownerships
        self.end_liabilities += part.end_liabilities
        self.new_liabilities += part.new_liabilities


def compare(file: RosterFile, stored: Stored, *, today: date, results: Results) -> EstateChanges:
    """Return what the file changes; the result of every row goes into `results`."""
    changes = EstateChanges()
    links: dict[str, list[LiabilityRow]] = defaultdict(list)
    for link in file.liabilities:
        links[link.house_code].append(link)
    parties = _parties(file, stored, changes, results)
    for building in file.buildings:
        known = building.code in stored.buildings
        results.note(building, UNCHANGED if known else CREATED)
    wanted = dict.fromkeys([b.code for b in file.buildings] + [h.building for h in file.houses])
    changes.buildings = [code for code in wanted if code not in stored.buildings]
    for house in file.houses:
        part, people = EstateChanges(), links[house.code]
        _house(house, stored.houses.get(house.code), part, results)
        _owners(house, people, stored.ownerships[house.code], today, part, results)
        _liable(house, people, stored.liabilities[house.code], parties, today, part, results)
        if results.rows[(house.sheet, house.row)] != REFUSED:  # all of a row, or nothing of it
            changes.add(part)
    return changes


def _parties(
    file: RosterFile, stored: Stored, changes: EstateChanges, results: Results
) -> Mapping[str, PartyRow]:
    """Compare the parties; tenants who are not billed are not kept (C21, C22)."""
    linked = defaultdict(list)
    for link in file.liabilities:
        linked[link.party_key].append(link)
    for party in file.parties:
        places = linked[party.key]
        if places and all(link.role == "tenant" and not link.liable for link in places):
            results.note(party, LEFT_OUT)
            continue
        known = stored.parties.get(party.key)
        new_phones = [
            (party.key, phone, rank)
            for rank, phone in enumerate(party.phones, start=1)
            if known is None or phone not in known.phones
        ]
        changes.phones += new_phones
        if known is None:
            changes.new_parties.append(party)
            results.note(party, CREATED)
            continue
        kept = replace(party, id_no=party.id_no or known.id_no)
        changed = (kept.name, kept.kind, kept.id_no) != (known.name, known.kind, known.id_no)
        if changed:
            changes.changed_parties.append((known.id, kept))
        results.note(party, UPDATED if changed or new_phones else UNCHANGED)
    return {party.key: party for party in file.parties}


def _house(
    house: HouseRow, known: StoredHouse | None, changes: EstateChanges, results: Results
) -> None:
    if known is None:
        changes.new_houses.append(house)
        results.note(house, CREATED)
        return
    kept = replace(
        house,
        occupancy=known.occupancy if house.occupancy == "unknown" else house.occupancy,  # type: ignore[arg-type]
        handed_over=house.handed_over or known.handed_over,
    )
    same = (kept.building, kept.unit, kept.room, kept.area, kept.use, kept.occupancy,
            kept.handed_over) == (known.building, known.unit, known.room, known.area, known.use,
                                  known.occupancy, known.handed_over)  # fmt: skip
    if not same:
        changes.changed_houses.append((known.id, kept))
    results.note(house, UNCHANGED if same else UPDATED)


def _open(spans: Iterable[StoredSpan]) -> list[StoredSpan]:
    return [span for span in spans if span.end is None]


def _owners(
    house: HouseRow,
    people: Sequence[LiabilityRow],
    spans: Sequence[StoredSpan],
    today: date,
    changes: EstateChanges,
    results: Results,
) -> None:
    owners = {p.party_key: p for p in people if p.role in ("owner", "co_owner")}
    current = {span.party: span for span in _open(spans)}
    fresh = [p for key, p in owners.items() if key not in current]
    gone = [span for key, span in current.items() if key not in owners] if owners else []
    starts = [p.valid_from for p in fresh if p.valid_from]
    day = min(starts, default=today)
    for span in gone:
        end = day if span.start is None or span.start < day else today
        if span.start is not None and span.start >= end:
            results.issue(house, "warning", "业主编号", "原业主自今天或以后才登记，未结束其权属")
            continue
        changes.end_ownerships.append((span.id, end))
        results.note(house, UPDATED)
    for person in fresh:
        start = person.valid_from or (today if spans else None)
        if _overlaps(spans, person.party_key, start):
            results.issue(house, "refused", "权属起始日", "该业主在这一天之后已有过权属记录")
            continue
        changes.new_ownerships.append((house.code, person.party_key, start))
        results.note(house, UPDATED)


def _overlaps(spans: Sequence[StoredSpan], party: str, start: date | None) -> bool:
    return any(
        span.party == party and (start is None or span.end is None or span.end > start)
        for span in spans
    )


def _liable(
    house: HouseRow,
    people: Sequence[LiabilityRow],
    spans: Sequence[StoredSpan],
    parties: Mapping[str, PartyRow],
    today: date,
    changes: EstateChanges,
    results: Results,
) -> None:
    wanted = next((p for p in people if p.liable), None)
    current = next(iter(_open(spans)), None)
    if wanted is None:
        if current is None:
            results.issue(house, "warning", "业主编号", "没有缴费责任人，指定之前无法出账")
        return
    if current is not None and current.party == wanted.party_key:
        results.note(house, UNCHANGED)
        return
    start = wanted.valid_from or (today if spans else None)
    if any(span.start is not None and (start is None or span.start >= start) for span in spans):
        latest = max(span.start for span in spans if span.start is not None)
        results.issue(
            house, "refused", "权属起始日",
            f"自 {latest} 起已登记其他缴费责任人，请填写更晚的起始日",
        )  # fmt: skip
        return
    if current is not None:
        changes.end_liabilities.append((current.id, start))  # type: ignore[arg-type]
    role = "user" if wanted.role == "tenant" else "owner"
    if parties[wanted.party_key].kind == "developer":
        role = "developer"
    changes.new_liabilities.append((house.code, wanted.party_key, role, start))
    results.note(house, UPDATED)
