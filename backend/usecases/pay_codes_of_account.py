"""The query codes of an owner's own houses, so that he can go on paying outside WeChat."""

from __future__ import annotations

from collections.abc import Collection

from backend import clock
from backend.db import transaction
from backend.identity import queries
from backend.identity.pay_codes import pay_code

Pair = tuple[int, int]
"""(house id, party id)."""


def pay_codes_of_account(account_id: int, pairs: Collection[Pair]) -> dict[Pair, str]:
    """Return {(house, party): code} of an account's live bindings; made on first use.

    pairs: bindings of the account, as `queries.houses_of` has them. Commits only when a code was
    missing.
    """
    codes = queries.pay_codes_of(account_id)
    missing = sorted(set(pairs) - codes.keys())
    if missing:
        with transaction():
            now = clock.wire_now()
            made = {(h, p): pay_code(house_id=h, party_id=p, at=now) for h, p in missing}
        codes.update(made)
    return {pair: codes[pair] for pair in pairs}
