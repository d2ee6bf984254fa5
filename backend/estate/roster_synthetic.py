"""A synthetic roster in our own template: same size and seed, same bytes.

The shares follow the assumptions published with the conduct rules (docs/conduct.md): flat areas
lognormal around 98 ㎡, 5 % shops, four fee tiers, four billing cycles, 45 % joint owners, 18 % let,
12 % empty, 0.7 parking spaces a household and a parking line for 45 % of them. No value belongs to
a real person: names are drawn from syllables, phones count up from 139 0000 0000. The seed and the
parameters travel in the workbook's sheet 合成数据.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from backend.estate.roster_template import roster_bytes

SEED = 20260101
COMMUNITY = "缴清花园(合成数据)"
DEVELOPER = "K1"

TIERS = {"old": 0.20, "lift": 0.60, "upper": 0.18, "luxury": 0.02}
RATES = {"old": (0.6, 1.2), "lift": (1.4, 2.6), "upper": (2.6, 4.5), "luxury": (5, 12)}
TIER_NAMES = {"old": "多层", "lift": "电梯", "upper": "改善", "luxury": "高端"}
CYCLES = {1: 0.35, 3: 0.30, 6: 0.10, 12: 0.25}
OCCUPANCY = {"自住": 0.66, "出租": 0.18, "空置": 0.12, "未售": 0.03, "未交付": 0.01}
SHOP_SHARE, JOINT_SHARE, PHONE_SHARE = 0.05, 0.45, 0.93
TENANT_PAYS_SHARE, SECOND_HOME_SHARE, COMPANY_SHOP_SHARE = 0.30, 0.03, 0.20
SPACES_PER_HOUSE, PARKING_SHARE, ENERGY_SHARE, WATER_SHARE = 0.7, 0.45, 0.30, 0.15
STAIRS = ((6, 4), (7, 3), (11, 2), (11, 4), (18, 2), (18, 3), (26, 2), (34, 1))

_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何吕张"
_GIVEN = "一甲乙丙丁子丑寅卯辰安宁和平明远知行思文朗清"

HEADERS: Mapping[str, tuple[str, ...]] = {
    "房屋": (
        "小区", "楼栋", "单元", "楼层", "房号", "面积", "用途", "使用状态", "交付日期", "业主编号",
        "租户编号", "缴费责任人", "收费项目", "计费开始日期",
    ),
    "人员": ("业主编号", "姓名", "类型", "手机", "备用手机", "证件号"),
    "收费标准": (
        "收费编号", "收费项目", "计费方式", "单价", "附加费", "固定金额", "缴费周期", "付费方式",
        "生效日期", "失效日期",
    ),
    "车位": ("车位编号", "停车场", "车位类型", "面积", "房屋", "业主编号", "使用方式", "收费项目"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SyntheticRoster:
    """The workbook's bytes, and what was put into it (rows by sheet, header first)."""

    data: bytes
    sheets: Mapping[str, Sequence[Sequence[object]]]
    households: int
    seed: int

    def write(self, path: Path) -> Path:
        """Write the workbook and return its path."""
        path.write_bytes(self.data)
        return path


def synthetic_roster(
    households: int = 2000,
    *,
    seed: int = SEED,
    cycles: Mapping[int, float] | None = None,
    community: str = COMMUNITY,
    charged_from: date = date(2026, 1, 1),
) -> SyntheticRoster:
    """Return a roster of `households` units (flats and shops together).

    cycles: months per bill → share, default the assumed mix; `{1: 1.0}` bills all by the month.
    """
    made = _Maker(random.Random(seed), dict(cycles or CYCLES), community, charged_from)
    made.make(households)
    sheets = {name: [HEADERS[name], *made.rows[name]] for name in HEADERS}
    sheets["合成数据"] = [
        ("本工作簿由程序生成，不含真实个人信息",),
        ("seed", seed), ("households", households), ("tiers", str(TIERS)),
        ("cycles", str(made.cycles)), ("occupancy", str(OCCUPANCY)),
        ("shops", SHOP_SHARE), ("joint", JOINT_SHARE), ("phones", PHONE_SHARE),
    ]  # fmt: skip
    return SyntheticRoster(roster_bytes(sheets), sheets, households, seed)


@dataclass(slots=True)
class _Quota:
    """Deals categories so that the shares come out as close to the weights as they can."""

    weights: Mapping[Hashable, float]
    dealt: dict[Hashable, float] = field(default_factory=dict)

    def deal(self, size: float = 1) -> Hashable:
        total = sum(self.dealt.values()) + size
        lacking = {
            category: weight * total - self.dealt.get(category, 0)
            for category, weight in self.weights.items()
        }
        category = max(lacking, key=lacking.__getitem__)
        self.dealt[category] = self.dealt.get(category, 0) + size
        return category


@dataclass(slots=True)
class _Maker:
    random: random.Random
    cycles: dict[int, float]
    community: str
    charged_from: date
    rows: dict[str, list[tuple[object, ...]]] = field(
        default_factory=lambda: {name: [] for name in HEADERS}
    )
    people: int = 0
    phones: int = 0
    last_owner: str = ""
    company: str = ""

    def make(self, households: int) -> None:
        self.rows["人员"].append((DEVELOPER, "合成置业有限公司", "开发商", self._phone(), "", ""))
        self._standards()
        shops = round(households * SHOP_SHARE)
        states = self._states(households)
        self._flats(households - shops, states)
        for number in range(1, shops + 1):
            self._shop(number, states)
        self._parking(households)

    def _standards(self) -> None:
        for tier, (low, high) in RATES.items():
            rate = round(self.random.uniform(low, high), 2)
            for cycle in self.cycles:
                self._standard(
                    f"{tier}-{cycle}", f"物业服务费({TIER_NAMES[tier]}{cycle}月付)", "面积",
                    cycle, rate=rate, amount="",
                )  # fmt: skip
        self._standard("SHOP", "商铺物业服务费", "面积", 1, rate=4.2, amount="")
        self._standard("GN", "公共能耗费", "固定", 1, rate="", amount=15)
        self._standard("SF", "代收水费", "固定", 1, rate="", amount=28.5)
        self._standard("TC", "车位管理费", "车位", 1, rate="", amount=80)

    def _standard(
        self, code: str, name: str, method: str, cycle: int, *, rate: object, amount: object
    ) -> None:
        since = self.charged_from.isoformat()
        self.rows["收费标准"].append(
            (code.upper(), name, method, rate, "", amount, cycle, "预付", since, "")
        )

    def _states(self, count: int) -> list[str]:
        quota = _Quota(OCCUPANCY)
        states = [str(quota.deal()) for _ in range(count)]
        self.random.shuffle(states)
        return states

    def _flats(self, count: int, states: list[str]) -> None:
        tiers, cycles = _Quota(TIERS), _Quota(self.cycles)
        building, stair, left = 1, 1, count
        while left:
            floors, per_floor = self.random.choice(STAIRS)
            size = min(left, floors * per_floor)
            code = f"{tiers.deal(size)}-{cycles.deal(size)}".upper()
            handed_over = date(2012, 1, 1) + timedelta(days=self.random.randrange(4000))
            for n in range(size):
                floor, door = n // per_floor + 1, n % per_floor + 1
                room = f"{floor}{door:02d}"
                area = self._lognormal(98, low=35, high=350)
                self._house(
                    (building, stair, floor, room), area, "住宅", states.pop(), handed_over, code
                )
            left -= size
            building, stair = (building + 1, 1) if stair == 2 else (building, 2)

    def _shop(self, number: int, states: list[str]) -> None:
        area = self._lognormal(75, low=15, high=350)
        place = ("S", 0, 1, f"{number:03d}")
        self._house(place, area, "商铺", states.pop(), date(2015, 6, 1), "SHOP")

    def _house(
        self,
        place: tuple[object, ...],
        area: float,
        use: str,
        state: str,
        handed_over: date,
        code: str,
    ) -> None:
        fees = [code]
        fees += ["GN"] if self.random.random() < ENERGY_SHARE else []
        fees += ["SF"] if self.random.random() < WATER_SHARE else []
        owners = [DEVELOPER] if state in ("未售", "未交付") else self._owners(use)
        tenant = self._person() if state == "出租" else ""
        pays = "租户" if tenant and self.random.random() < TENANT_PAYS_SHARE else ""
        delivered = "" if state in ("未售", "未交付") else handed_over.isoformat()
        self.rows["房屋"].append(
            (
                self.community, *place, area, use, state, delivered, "#".join(owners), tenant,
                pays, "#".join(fees), self.charged_from.isoformat(),
            )
        )  # fmt: skip

    def _owners(self, use: str) -> list[str]:
        if use == "商铺" and self.random.random() < COMPANY_SHOP_SHARE:
            return [self._company()]
        if self.last_owner and self.random.random() < SECOND_HOME_SHARE:
            return [self.last_owner]
        self.last_owner = self._person()
        joint = [self._person()] if self.random.random() < JOINT_SHARE else []
        return [self.last_owner, *joint]

    def _person(self) -> str:
        self.people += 1
        name = self.random.choice(_SURNAMES) + "".join(
            self.random.choices(_GIVEN, k=self.random.choice((1, 2, 2)))
        )
        phone = self._phone() if self.random.random() < PHONE_SHARE else ""
        key = f"{self.people:05d}"
        self.rows["人员"].append((key, name, "个人", phone, "", ""))
        return key

    def _company(self) -> str:
        if not self.company:
            self.company = "Q1"
            self.rows["人员"].append(("Q1", "合成商贸有限公司", "单位", self._phone(), "", ""))
        return self.company

    def _phone(self) -> str:
        self.phones += 1
        return f"139{self.phones:08d}"

    def _lognormal(self, median: float, *, low: float, high: float) -> float:
        area = self.random.lognormvariate(math.log(median), 0.30)
        return round(min(max(area, low), high), 2)

    def _parking(self, households: int) -> None:
        houses = [row for row in self.rows["房屋"] if row[6] == "住宅" and row[9] != DEVELOPER]
        taken = min(round(households * PARKING_SHARE), len(houses))
        users = self.random.sample(houses, taken)
        for n in range(round(households * SPACES_PER_HOUSE)):
            kind = "地下" if n % 4 else "地上"
            code = f"{'B' if n % 4 else 'G'}{n + 1:05d}"
            if n >= taken:
                self.rows["车位"].append((code, "一号停车场", kind, "", "", "", "", ""))
                continue
            house = users[n]
            owner = str(house[9]).split("#")[0]
            tenure = "出租" if self.random.random() < 0.6 else "出售"
            self.rows["车位"].append(
                (
                    code,
                    "一号停车场",
                    kind,
                    13.25,
                    f"{house[1]}-{house[2]}-{house[4]}",
                    owner,
                    tenure,
                    "TC",
                )
            )
