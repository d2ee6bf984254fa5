"""When somebody who cannot show the phone number still proves to be the owner: pure.

Name and the last four digits of a phone on the roster must both fit one person of that house.
Nothing says which of them did not.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.estate.rules import normalise_name

TRIES_A_DAY = 5
LAST_DIGITS = 4


@dataclass(frozen=True)
class Candidate:
    """A person of a house as the roster knows him; phones are full numbers."""

    house_id: int
    party_id: int
    name: str
    phones: Sequence[str]


def matching(
    candidates: Iterable[Candidate], *, name: str, phone_last4: str
) -> list[tuple[int, int]]:
    """Return (house, party) of every candidate that fits both name and last four digits."""
    wanted = normalise_name(name)
    return [
        (person.house_id, person.party_id)
        for person in candidates
        if _same(normalise_name(person.name), wanted)
        & any(_same(phone[-LAST_DIGITS:], phone_last4) for phone in person.phones)
    ]


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())
