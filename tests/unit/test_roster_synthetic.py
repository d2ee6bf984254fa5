"""The generated roster: same seed same bytes, the published shares, and quick to read."""

from __future__ import annotations

import re
from collections import Counter
from statistics import median

import pytest

from backend.estate.roster_reader import read_roster
from tests.factories.roster import SyntheticRoster, synthetic_roster


@pytest.fixture(scope="module")
def made() -> SyntheticRoster:
    return synthetic_roster(2000)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first = synthetic_roster(60, seed=7).data
    assert synthetic_roster(60, seed=7).data == first
    assert synthetic_roster(60, seed=8).data != first


def test_two_thousand_households_are_read_without_a_single_issue(made: SyntheticRoster) -> None:
    roster = read_roster(made.data, filename="合成.xlsx")
    assert roster.issues == []
    assert roster.community == "缴清花园(合成数据)"
    assert (len(roster.houses), len(roster.parking)) == (2000, 1400)
    assert sum(liability.liable for liability in roster.liabilities) == 2000


def test_the_shares_are_the_published_ones(made: SyntheticRoster) -> None:
    roster = read_roster(made.data, filename="合成.xlsx")
    assert Counter(house.use for house in roster.houses) == {"residential": 1900, "shop": 100}
    assert Counter(house.occupancy for house in roster.houses) == {
        "self": 1320, "rent": 360, "vacant": 240, "unsold": 60, "undelivered": 20,
    }  # fmt: skip
    flats = [house.area for house in roster.houses if house.use == "residential"]
    assert 94 <= median(flats) <= 102
    assert 35 <= min(flats) <= max(flats) <= 350
    joint = sum(x.role == "co_owner" for x in roster.liabilities)
    assert 0.38 <= joint / 1920 <= 0.50
    assert sum(bool(space.house_code) for space in roster.parking) == 900
    tiers = Counter(house.fee_codes[0].split("-")[0] for house in roster.houses)
    assert 0.55 <= tiers["LIFT"] / 1900 <= 0.66


@pytest.mark.covers("S5", "C12")
def test_unsold_and_undelivered_units_are_billed_to_the_developer(made: SyntheticRoster) -> None:
    roster = read_roster(made.data, filename="合成.xlsx")
    kinds = {party.key: party.kind for party in roster.parties}
    liable = {x.house_code: kinds[x.party_key] for x in roster.liabilities if x.liable}
    assert {liable[h.code] for h in roster.houses if h.occupancy in ("unsold", "undelivered")} == {
        "developer"
    }


def test_every_phone_is_a_unique_made_up_number(made: SyntheticRoster) -> None:
    roster = read_roster(made.data, filename="合成.xlsx")
    phones = [phone for party in roster.parties for phone in party.phones]
    assert len(set(phones)) == len(phones)
    assert all(re.fullmatch(r"1390000\d{4}", phone) for phone in phones)


def test_monthly_billing_can_be_asked_for() -> None:
    roster = read_roster(synthetic_roster(100, cycles={1: 1.0}).data, filename="合成.xlsx")
    assert {standard.cycle_months for standard in roster.fee_standards} == {1}


@pytest.mark.slow
def test_twenty_thousand_houses_are_read(made: SyntheticRoster) -> None:
    steps: list[int] = []
    roster = read_roster(
        synthetic_roster(20_000).data,
        filename="合成.xlsx",
        progress=lambda done, total, sheet: steps.append(done),
    )
    assert (len(roster.houses), roster.issues) == (20_000, [])
    assert steps == sorted(steps) and len(steps) > 100
