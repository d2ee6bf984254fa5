"""Who pays when: households keep their habits, and pay at the sandbox cashier on both channels.

The shares follow the published cumulative curve: 42 % by the due day, 58 % fifteen days after,
67 % after thirty, 75 % after sixty. A household belongs to one segment for good, so some are never
late and some collect arrears.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

from flask import current_app
from sqlalchemy import text

from backend.cli.demo.platforms import Console
from backend.db import db
from backend.usecases.query_orders import ask_order
from backend.usecases.start_payment import Payer, start_payment

# Share of households, days after the due date on which they pay; the rest does not pay in time.
HABITS = ((0.42, -6), (0.16, 8), (0.09, 24), (0.08, 45))
THREADS = 4


@dataclass(frozen=True)
class Household:
    """One house with its liable party and its habit: days after the due date, None = never."""

    house_id: int
    code: str
    party_id: int
    pays_after: int | None
    channel: str


def households(community_id: int, *, seed: int) -> list[Household]:
    """Return the households of a community, each with a habit drawn from the seed."""
    dice = random.Random(seed)
    rows = db.session.execute(
        text(
            "SELECT h.id, h.code, l.party_id FROM house h JOIN liability l ON l.house_id = h.id "
            "AND upper_inf(l.valid) JOIN party p ON p.id = l.party_id "
            "WHERE h.community_id = :c ORDER BY h.id"
        ),
        {"c": community_id},
    )
    return [Household(row.id, row.code, row.party_id, _habit(dice), _channel(dice)) for row in rows]


def _habit(dice: random.Random) -> int | None:
    left = dice.random()
    for share, days in HABITS:
        if left < share:
            return days + dice.randrange(-2, 3)
        left -= share
    return None


def _channel(dice: random.Random) -> str:
    return "wechatpay" if dice.random() < 0.7 else "alipay"


def bills_to_pay(homes: Sequence[Household], today: date) -> list[tuple[Household, list[int]]]:
    """Return the households whose day has come, with their open bills that are due by habit."""
    rows = db.session.execute(
        text(
            "SELECT id, house_id, party_id, due_date FROM bill WHERE open_fen > 0 "
            "AND NOT reversed AND house_id = ANY(:houses) ORDER BY due_date, id"
        ),
        {"houses": [home.house_id for home in homes]},
    ).all()
    db.session.rollback()
    found = []
    for home in homes:
        if home.pays_after is None:
            continue
        mine = [
            row.id
            for row in rows
            if (row.house_id, row.party_id) == (home.house_id, home.party_id)
            and (today - row.due_date).days >= home.pays_after
        ]
        if mine:
            found.append((home, mine))
    return found


def open_bills(home: Household) -> list[int]:
    """Return the ids of a household's open bills."""
    rows = db.session.scalars(
        text("SELECT id FROM bill WHERE open_fen > 0 AND house_id = :h AND party_id = :p"),
        {"h": home.house_id, "p": home.party_id},
    )
    return list(rows)


def pay_all(wanted: Sequence[tuple[Household, list[int]]], *, company_id: int) -> int:
    """Let these households pay, a few at a time; return how many did."""
    app, console = current_app._get_current_object(), Console()

    def one(item: tuple[Household, list[int]]) -> None:
        with app.app_context():
            try:
                pay(item[0], item[1], company_id=company_id, console=console)
            finally:
                db.session.remove()

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        list(pool.map(one, wanted))
    return len(wanted)


def pay(home: Household, bill_ids: list[int], *, company_id: int, console: Console) -> str:
    """Pay bills of a house at the sandbox cashier and let the platform be asked."""
    settings = current_app.config["SETTINGS"]
    answer = start_payment(
        payer=Payer(f"demo:{home.party_id}:{home.house_id}", home.party_id, company_id),
        bill_ids=bill_ids,
        channel=home.channel,
        method="h5" if home.channel == "wechatpay" else "qr",
        public_base_url=settings.public_base_url,
    )
    number = answer["order"].out_trade_no
    console.post("pay", out_trade_no=number)
    ask_order(number)  # booked in this process too, whether or not the callback arrives
    return number
