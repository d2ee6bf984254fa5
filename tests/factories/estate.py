"""A small estate to test with: company, community, houses, people, price, bills, staff.

Every function needs an application context (fixture `ctx`, or `with app.app_context():`), commits
what it made and returns plain records, so that nothing of a test's session leaks into a request.

    estate = make_estate(houses=2)              # company, payee, community, building, 2 homes
    home = estate.homes[0]
    bill_id = make_bill(estate, home)           # 142.93 元, due TODAY − 30 days
    set_business_now(TODAY, "10:00")            # inside every contact window

Amounts: the default bill is 94.56㎡ × 1.3 + 20 = 142.93 元 = `BILL_FEN`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range

from backend import clock
from backend.billing.models import Bill, BillLine, HouseAccount
from backend.db import db
from backend.estate import privacy
from backend.estate.models import (
    Building,
    Community,
    Company,
    ContactPoint,
    House,
    Liability,
    Ownership,
    Party,
    Payee,
)
from backend.fees.models import FeeItem, FeeStandard, HouseFee, LateFeeTerms
from backend.identity import steward_auth
from backend.identity.models import Steward, StewardBuilding
from backend.ledger import operations as ledger
from backend.payments.models import Merchant

TODAY = date(2026, 12, 10)  # a Thursday; set_business_now makes it the business day
BILL_FEN = 14293
PASSWORD = "Correct-Horse-9"

_phones = count(1)


@dataclass(frozen=True)
class Home:
    """One house with the person who owns it and owes for it."""

    house_id: int
    house_code: str
    building_id: int
    party_id: int
    name: str
    phone: str
    contact_point_id: int


@dataclass(frozen=True)
class Estate:
    """One community of one company; `homes` in house-code order."""

    company_id: int
    payee_id: int
    community_id: int
    building_ids: list[int]
    fee_item_id: int
    standard_id: int
    homes: list[Home] = field(default_factory=list)


@dataclass(frozen=True)
class Staff:
    """A steward who can log in with `PASSWORD`."""

    id: int
    login: str
    role: str
    company_id: int


def make_company(code: str = "C1") -> int:
    """Make a company with its own data key; return its id."""
    company = Company(
        code=code, name=f"{code}物业", hotline="400-000-0000",
        data_key_wrapped=privacy.new_wrapped_key(),
    )  # fmt: skip
    db.session.add(company)
    db.session.commit()
    return company.id


def make_estate(
    *,
    code: str = "SUN",
    company_id: int | None = None,
    houses: int = 2,
    buildings: int = 1,
    late_fee: bool = False,
) -> Estate:
    """Make a community whose `houses` are spread over `buildings` in turn, each with an owner.

    The fee standard 'WY' (1.3 元/㎡·month + 20) is published from 2026-01-01. late_fee: with a
    proved clause of 0.5‰ a day, 15 days of grace, 30 % cap.
    """
    company_id = company_id or make_company(f"CO-{code}")
    payee = Payee(company_id=company_id, name=f"{code}收款单位")
    db.session.add(payee)
    db.session.flush()
    community = Community(
        company_id=company_id, payee_id=payee.id, code=code, name=f"{code}花园",
        hotline="400-000-0001",
    )  # fmt: skip
    db.session.add(community)
    db.session.flush()
    blocks = [
        Building(community_id=community.id, code=str(n), name=f"{n}栋")
        for n in range(1, buildings + 1)
    ]
    db.session.add_all(blocks)
    item, standard = _make_price(community.id, late_fee=late_fee)
    estate = Estate(
        company_id, payee.id, community.id, [b.id for b in blocks], item.id, standard.id
    )
    for number in range(houses):
        block = blocks[number % buildings]
        estate.homes.append(_make_home(estate, block, f"{1 + number // buildings}01"))
    db.session.commit()
    return estate


def _make_price(community_id: int, *, late_fee: bool) -> tuple[FeeItem, FeeStandard]:
    item = FeeItem(community_id=community_id, code="WY", name="物业服务费")
    db.session.add(item)
    db.session.flush()
    standard = FeeStandard(
        community_id=community_id, fee_item_id=item.id, code="WY", version=1, name="住宅物业费",
        method="area", rate=Decimal("1.3"), surcharge=Decimal("20"),
        effective=Range(date(2026, 1, 1), None), basis="合同第3条",
        published_at=datetime(2025, 12, 1, tzinfo=UTC), published_by="test",
    )  # fmt: skip
    db.session.add(standard)
    if late_fee:
        db.session.add(
            LateFeeTerms(
                fee_item_id=item.id, contract_daily_rate=Decimal("0.0005"), clause_text="第9条",
                clause_page="12", notice_proof="加粗提示", clause_from=date(2026, 1, 1),
            )
        )  # fmt: skip
    db.session.flush()
    return item, standard


def _make_home(estate: Estate, block: Building, room: str) -> Home:
    house = House(
        community_id=estate.community_id, building_id=block.id, code=f"{block.code}-1-{room}",
        unit="1", room=room, area=Decimal("94.56"), occupancy="self",
    )  # fmt: skip
    db.session.add(house)
    db.session.flush()
    db.session.add(HouseAccount(house_id=house.id, community_id=estate.community_id))
    party_id, point_id, phone, name = make_party(estate.company_id, commit=False)
    since = Range(date(2026, 1, 1), None)
    db.session.add(Ownership(house_id=house.id, party_id=party_id, valid=since))
    db.session.add(Liability(house_id=house.id, party_id=party_id, valid=since))
    db.session.add(
        HouseFee(
            community_id=estate.community_id, house_id=house.id, standard_code="WY", valid=since
        )
    )
    return Home(house.id, house.code, block.id, party_id, name, phone, point_id)


def make_party(
    company_id: int, *, name: str | None = None, phone: str | None = None, commit: bool = True
) -> tuple[int, int, str, str]:
    """Make a person with one phone; return (party id, contact point id, phone, name)."""
    number = next(_phones)
    phone = phone or f"1390000{number:04d}"
    name = name or f"王小{'明红刚丽华军'[number % 6]}"
    party = Party(company_id=company_id, source_key=f"P{number}", name=name)
    db.session.add(party)
    db.session.flush()
    point = ContactPoint(
        company_id=company_id, party_id=party.id, kind="mobile",
        value_enc=privacy.encrypt(company_id, phone), blind=privacy.blind(company_id, phone),
        masked=f"{phone[:3]}****{phone[-4:]}", source_date=date(2026, 1, 1),
    )  # fmt: skip
    db.session.add(point)
    db.session.flush()
    if commit:
        db.session.commit()
    return party.id, point.id, phone, name


def make_bill(
    estate: Estate,
    home: Home,
    *,
    due_date: date = TODAY - timedelta(days=30),
    fen: int = BILL_FEN,
    period_from: date | None = None,
    party_id: int | None = None,
) -> int:
    """Make one issued bill of a month with its line and its journal; return its id."""
    start = period_from or due_date.replace(day=1)
    end = (start + timedelta(days=31)).replace(day=1)
    bill = Bill(
        community_id=estate.community_id, house_id=home.house_id,
        party_id=party_id or home.party_id, payee_id=estate.payee_id,
        fee_item_id=estate.fee_item_id, period_from=start, period_to=end, due_date=due_date,
        issued_on=start, due_fen=fen,
    )  # fmt: skip
    db.session.add(bill)
    db.session.flush()
    db.session.add(
        BillLine(
            bill_id=bill.id, line=1, standard_id=estate.standard_id, period_from=start,
            period_to=end, area=Decimal("94.56"), rate=Decimal("1.3"), surcharge=Decimal("20"),
            months=Decimal(1), months_text="1", fen=fen,
        )
    )  # fmt: skip
    ledger.post(
        company_id=estate.company_id,
        source_type="bill",
        source_key=str(bill.id),
        entries=[
            ledger.Entry("receivable", fen, bill.id),
            ledger.Entry("income:WY", -fen, bill.id),
        ],
        at=clock.wire_now(),
    )
    db.session.commit()
    return bill.id


@lru_cache
def _hashed(password: str) -> str:
    """A hash is slow on purpose; the same password's serves a whole run."""
    return steward_auth.hash_password(password)


def make_steward(
    company_id: int,
    login: str = "guanjia1",
    *,
    role: str = "steward",
    building_ids: list[int] | None = None,
    password: str = PASSWORD,
) -> Staff:
    """Make a member of staff; role 'steward' sees only `building_ids`."""
    person = Steward(
        company_id=company_id, login=login, name=f"管家{login}", role=role,
        password_hash=_hashed(password),
    )  # fmt: skip
    db.session.add(person)
    db.session.flush()
    for building_id in building_ids or []:
        db.session.add(StewardBuilding(steward_id=person.id, building_id=building_id))
    db.session.commit()
    return Staff(person.id, login, role, company_id)


def make_merchant(
    estate: Estate, sandbox: Any, *, channel: str = "wechatpay", **options: Any
) -> str:
    """Open a merchant account of the estate's payee at the sandbox; return its name.

    options go to the sandbox's console (`app`, `appid` …).
    """
    name = f"{channel}-{estate.community_id}"
    file = sandbox.post("/_sandbox/merchants", channel=channel, name=name, **options)
    db.session.add(
        Merchant(
            company_id=estate.company_id, payee_id=estate.payee_id, name=name, channel=channel,
            config_enc=privacy.encrypt_json(estate.company_id, file[channel]),
        )
    )  # fmt: skip
    db.session.commit()
    return name


def give_credit(estate: Estate, home: Home, fen: int) -> None:
    """Put unspent money on the credit of a home's owner (as an over-payment would)."""
    account = ledger.credit_account(home.house_id, home.party_id)
    ledger.post(
        company_id=estate.company_id,
        source_type="test_credit",
        source_key=f"{account}:{clock.monotonic()}",
        entries=[ledger.Entry("bank:test", fen), ledger.Entry(account, -fen)],
        at=clock.wire_now(),
    )
    db.session.commit()


def set_business_now(day: date = TODAY, at: str = "10:00") -> datetime:
    """Move the business clock to a Shanghai day and time (whole seconds); return the instant."""
    instant = datetime.combine(day, time.fromisoformat(at), tzinfo=ZoneInfo("Asia/Shanghai"))
    seconds = int((instant - clock.wire_now()).total_seconds()) + 1
    db.session.execute(text("UPDATE business_clock SET offset_seconds = :s"), {"s": seconds})
    db.session.commit()
    clock.forget_offset()
    return instant
