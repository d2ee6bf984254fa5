"""Reading what an estate has and writing what a roster changes, a statement per table.

Rows travel as arrays (`unnest`), so 20,000 houses are a dozen statements. Phones and ID numbers
are encrypted here; a known phone is recognised by its blind index, never by decrypting all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import text

from backend.db import db
from backend.estate import privacy, rules
from backend.estate.models import Community
from backend.estate.roster_diff import (
    EstateChanges,
    Stored,
    StoredHouse,
    StoredParty,
    StoredSpan,
)
from backend.estate.roster_model import HouseRow, PartyRow, RosterFile


def source_key(community: Community, owner_number: str) -> str:
    """Return the key of a party: owner numbers are unique in their community only."""
    return f"{community.code}:{owner_number}"


def read_stored(community: Community, file: RosterFile) -> Stored:
    """Return what the database has about the community and the parties the file names."""
    stored = Stored()
    for row in _rows(
        "SELECT h.id, h.code, b.code AS building, h.unit, h.room, h.area, h.use, h.occupancy, "
        "h.handed_over FROM house h JOIN building b ON b.id = h.building_id "
        "WHERE h.community_id = :c",
        c=community.id,
    ):
        stored.houses[row.code] = StoredHouse(
            row.id, row.building, row.unit, row.room, row.area, row.use, row.occupancy,
            row.handed_over,
        )  # fmt: skip
    stored.buildings = {
        row.code
        for row in _rows("SELECT code FROM building WHERE community_id = :c", c=community.id)
    }
    stored.parties = _stored_parties(community, file.parties)
    prefix = source_key(community, "")
    for table, spans in (("ownership", stored.ownerships), ("liability", stored.liabilities)):
        for row in _rows(
            f"SELECT s.id, h.code, p.source_key, lower(s.valid) AS start, upper(s.valid) AS stop "
            f"FROM {table} s JOIN house h ON h.id = s.house_id JOIN party p ON p.id = s.party_id "
            "WHERE h.community_id = :c ORDER BY s.valid",
            c=community.id,
        ):
            party = row.source_key.removeprefix(prefix)
            spans[row.code].append(StoredSpan(row.id, party, row.start, row.stop))
    return stored


def _stored_parties(community: Community, parties: Sequence[PartyRow]) -> dict[str, StoredParty]:
    company, prefix = community.company_id, source_key(community, "")
    key = privacy.data_key(company)
    wanted = {source_key(community, party.key): party for party in parties}
    rows = _rows(
        "SELECT p.id, p.source_key, p.name, p.kind, p.id_no_enc, "
        "array(SELECT c.blind FROM contact_point c WHERE c.party_id = p.id) AS blinds "
        "FROM party p WHERE p.company_id = :c AND p.source_key = ANY(:keys)",
        c=company,
        keys=list(wanted),
    )
    found = {}
    for row in rows:
        blinds = {bytes(blind) for blind in row.blinds}
        phones = wanted[row.source_key].phones
        known = frozenset(p for p in phones if blinds and key.blind(p) in blinds)
        id_no = key.decrypt(row.id_no_enc) if row.id_no_enc else None
        found[row.source_key.removeprefix(prefix)] = StoredParty(
            row.id, row.name, row.kind, id_no, known
        )
    return found


def _rows(statement: str, **values: Any) -> Any:
    return db.session.execute(text(statement), values)


def write(
    community: Community, changes: EstateChanges, *, today: date, step: Callable[[str], None]
) -> None:
    """Write the changes; the caller holds the import lock and commits.

    step(what) is called before each of the four parts.
    """
    step("楼栋和房屋")
    _write_buildings(community, changes.buildings)
    _write_houses(community, changes)
    step("人员")
    _write_parties(community, changes)
    step("电话")
    _write_phones(community, changes.phones, today)
    step("权属和缴费责任")
    for table, ends in (
        ("ownership", changes.end_ownerships),
        ("liability", changes.end_liabilities),
    ):
        _end_spans(table, ends)
    _write_spans(community, changes)


def _write_buildings(community: Community, codes: Sequence[str]) -> None:
    if codes:
        _rows(
            "INSERT INTO building (community_id, code, name) SELECT :c, code, name "
            "FROM unnest(CAST(:codes AS text[]), CAST(:names AS text[])) AS b(code, name)",
            c=community.id,
            codes=list(codes),
            names=[
                f"{code}栋" if code[:1].isalnum() and code.isascii() else code for code in codes
            ],
        )


_HOUSE_COLUMNS = """unnest(CAST(:keys AS {key}[]), CAST(:building AS text[]),
    CAST(:unit AS text[]), CAST(:room AS text[]), CAST(:area AS numeric[]), CAST(:use AS text[]),
    CAST(:occupancy AS text[]), CAST(:handed_over AS date[])) WITH ORDINALITY
    AS v(key, building, unit, room, area, use, occupancy, handed_over, n)"""


def _house_arrays(houses: Sequence[HouseRow]) -> dict[str, list[Any]]:
    names = ("building", "unit", "room", "area", "use", "occupancy", "handed_over")
    return {name: [getattr(house, name) for house in houses] for name in names}


def _write_houses(community: Community, changes: EstateChanges) -> None:
    if changes.new_houses:
        _rows(
            "INSERT INTO house (community_id, building_id, code, unit, room, area, use, occupancy,"
            " handed_over) SELECT :c, b.id, v.key, v.unit, v.room, v.area, v.use, v.occupancy,"
            f" v.handed_over FROM {_HOUSE_COLUMNS.format(key='text')}"
            " JOIN building b ON b.community_id = :c AND b.code = v.building ORDER BY v.n",
            c=community.id,
            keys=[house.code for house in changes.new_houses],
            **_house_arrays(changes.new_houses),
        )
    if changes.changed_houses:
        _rows(
            "UPDATE house h SET building_id = b.id, unit = v.unit, room = v.room, area = v.area,"
            " use = v.use, occupancy = v.occupancy, handed_over = v.handed_over"
            f" FROM {_HOUSE_COLUMNS.format(key='bigint')}"
            " JOIN building b ON b.community_id = :c AND b.code = v.building WHERE h.id = v.key",
            c=community.id,
            keys=[id_ for id_, _ in changes.changed_houses],
            **_house_arrays([house for _, house in changes.changed_houses]),
        )


def _party_arrays(company_id: int, parties: Sequence[PartyRow]) -> dict[str, list[Any]]:
    ids = [party.id_no for party in parties]
    key = privacy.data_key(company_id)
    return {
        "names": [party.name for party in parties],
        "kinds": [party.kind for party in parties],
        "id_enc": [key.encrypt(id_no) if id_no else None for id_no in ids],
        "id_masked": [rules.mask_id(id_no) if id_no else None for id_no in ids],
        "born": [_birth_year(id_no) for id_no in ids],
    }


def _birth_year(id_no: str | None) -> int | None:
    """Return the year in an 18-digit personal ID: a minor is contacted by the guardian (C65)."""
    return int(id_no[6:10]) if id_no and len(id_no) == 18 and id_no[:17].isdigit() else None


_PARTY_COLUMNS = """unnest(CAST(:keys AS {key}[]), CAST(:names AS text[]),
    CAST(:kinds AS text[]), CAST(:id_enc AS bytea[]), CAST(:id_masked AS text[]),
    CAST(:born AS bigint[])) AS v(key, name, kind, id_enc, id_masked, born)"""


def _write_parties(community: Community, changes: EstateChanges) -> None:
    company = community.company_id
    if changes.new_parties:
        _rows(
            "INSERT INTO party (company_id, source_key, name, kind, id_no_enc, id_no_masked,"
            " birth_year) SELECT :c, v.key, v.name, v.kind, v.id_enc, v.id_masked, v.born"
            f" FROM {_PARTY_COLUMNS.format(key='text')}",
            c=company,
            keys=[source_key(community, party.key) for party in changes.new_parties],
            **_party_arrays(company, changes.new_parties),
        )
    if changes.changed_parties:
        _rows(
            "UPDATE party p SET name = v.name, kind = v.kind, id_no_enc = v.id_enc,"
            " id_no_masked = v.id_masked, birth_year = v.born"
            f" FROM {_PARTY_COLUMNS.format(key='bigint')} WHERE p.id = v.key",
            keys=[id_ for id_, _ in changes.changed_parties],
            **_party_arrays(company, [party for _, party in changes.changed_parties]),
        )


def _write_phones(
    community: Community, phones: Sequence[tuple[str, str, int]], today: date
) -> None:
    """Store phones with their lawful source, the contract, and the day of the import (C22)."""
    if not phones:
        return
    company = community.company_id
    data_key = privacy.data_key(company)
    _rows(
        "INSERT INTO contact_point (company_id, party_id, kind, value_enc, blind, masked, source,"
        " source_date, rank) SELECT :c, p.id, v.kind, v.enc, v.blind, v.masked, 'contract', :day,"
        " v.rank FROM unnest(CAST(:keys AS text[]), CAST(:kinds AS text[]), CAST(:enc AS bytea[]),"
        " CAST(:blinds AS bytea[]), CAST(:masked AS text[]), CAST(:ranks AS bigint[]))"
        " AS v(key, kind, enc, blind, masked, rank)"
        " JOIN party p ON p.company_id = :c AND p.source_key = v.key"
        " ON CONFLICT (party_id, kind, blind) DO NOTHING",
        c=company,
        day=today,
        keys=[source_key(community, key) for key, _, _ in phones],
        kinds=["mobile" if rules.is_mobile(phone) else "landline" for _, phone, _ in phones],
        enc=[data_key.encrypt(phone) for _, phone, _ in phones],
        blinds=[data_key.blind(phone) for _, phone, _ in phones],
        masked=[rules.mask_phone(phone) for _, phone, _ in phones],
        ranks=[rank for _, _, rank in phones],
    )


def _end_spans(table: str, ends: Sequence[tuple[int, date]]) -> None:
    if ends:
        _rows(
            f"UPDATE {table} s SET valid = daterange(lower(s.valid), v.day)"
            " FROM unnest(CAST(:ids AS bigint[]), CAST(:days AS date[])) AS v(id, day)"
            " WHERE s.id = v.id",
            ids=[id_ for id_, _ in ends],
            days=[day for _, day in ends],
        )


def _write_spans(community: Community, changes: EstateChanges) -> None:
    joined = (
        " AS v(house, party, role, start) JOIN house h ON h.community_id = :c AND h.code = v.house"
        " JOIN party p ON p.company_id = :company AND p.source_key = v.party ORDER BY h.id"
    )
    arrays = "FROM unnest(CAST(:houses AS text[]), CAST(:parties AS text[]), CAST(:roles AS text[]), CAST(:starts AS date[]))"  # noqa: E501
    owners = [(house, party, None, start) for house, party, start in changes.new_ownerships]
    for table, columns, chosen, rows in (
        ("ownership", "", "", owners),
        ("liability", ", role", ", v.role", changes.new_liabilities),
    ):
        if rows:
            _rows(
                f"INSERT INTO {table} (house_id, party_id, valid{columns})"
                f" SELECT h.id, p.id, daterange(v.start, NULL){chosen} {arrays}{joined}",
                c=community.id,
                company=community.company_id,
                houses=[row[0] for row in rows],
                parties=[source_key(community, row[1]) for row in rows],
                roles=[row[2] for row in rows],
                starts=[row[3] for row in rows],
            )
