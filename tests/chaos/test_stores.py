"""Redis wiped twenty times and PostgreSQL stopped at once five times, under load.

Redis holds hints only: a wipe costs seconds. What PostgreSQL acknowledged survives an immediate
stop; what it did not is asked for again, by the platform or by us.
"""

from __future__ import annotations

import pytest

from tests.chaos.conftest import STOPS, WIPES

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.alone]


def test_the_stores_were_hurt_under_load(storm):
    assert (storm["wipes"], storm["stops"]) == (WIPES, STOPS)
    assert storm["payments"] > 50
    assert storm["acknowledged"] > 50


def test_every_acknowledged_callback_is_still_there(storm):
    assert storm["wrong"]["lost"] == 0, storm["details"]
    assert storm["wrong"]["ledger"] == 0, storm["details"]


def test_nothing_is_stuck_two_minutes_later(storm):
    """Inbox judged, orders final or due for a question, no lease older than its end."""
    assert storm["wrong"]["stuck"] == 0, storm["details"]
    assert storm["calm_after"] < 120
