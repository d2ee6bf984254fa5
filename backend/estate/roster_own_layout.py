"""The words of our roster template: sheets, columns with their other spellings, and values.

Reader and template writer share this page, so that what the template offers is what is read.
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.estate.roster_header import Column
from backend.estate.roster_model import (
    FeeMethod,
    HouseUse,
    Occupancy,
    ParkingKind,
    ParkingTenure,
    PartyKind,
    Timing,
)

HOUSES, PARTIES, STANDARDS, PARKING = "房屋", "人员", "收费标准", "车位"
SHEETS = (HOUSES, PARTIES, STANDARDS, PARKING)

USES: Mapping[str, HouseUse] = {
    "住宅": "residential", "商铺": "shop", "商业": "shop", "车位": "parking",
    "办公": "office", "办公室": "office", "写字楼": "office",
}  # fmt: skip
OCCUPANCIES: Mapping[str, Occupancy] = {
    "自住": "self", "出租": "rent", "空置": "vacant", "未售": "unsold", "未交付": "undelivered",
    "未知": "unknown", "已入住": "self", "未销售": "unsold", "未交房": "undelivered",
}  # fmt: skip
KINDS: Mapping[str, PartyKind] = {
    "个人": "person", "单位": "organisation", "企业": "organisation", "公司": "organisation",
    "开发商": "developer",
}  # fmt: skip
METHODS: Mapping[str, FeeMethod] = {
    "面积": "area", "面积×单价": "area", "面积单价": "area", "固定": "fixed", "固定金额": "fixed",
    "车位": "parking",
}  # fmt: skip
PARKING_KINDS: Mapping[str, ParkingKind] = {"地上": "surface", "地下": "underground"}
TENURES: Mapping[str, ParkingTenure] = {"出租": "rent", "出售": "sold"}
TIMINGS: Mapping[str, Timing] = {"预付": "prepaid", "后付": "postpaid"}

PARTY_COLUMNS = (
    Column("业主编号", ("人员编号", "编号"), required=True),
    Column("姓名", ("业主姓名", "名称", "业主名称"), required=True, secret="name"),
    Column("类型", ("人员类型", "业主类型")),
    Column("手机", ("手机号", "电话", "联系电话"), secret="phone"),
    Column("备用手机", ("备用电话", "手机2"), secret="phone"),
    Column("证件号", ("身份证号", "证件号码"), secret="id"),
)
FLAT_PARTY_COLUMNS = (
    Column("姓名", ("业主姓名", "业主名称"), secret="name"),
    Column("类型", ("业主类型", "人员类型")),
    *PARTY_COLUMNS[3:],
)
HOUSE_COLUMNS = (
    Column("小区", ("小区名称", "项目")),
    Column("楼栋", ("楼栋号", "楼号", "栋号", "楼栋编号"), required=True),
    Column("单元", ("单元号", "单元编号")),
    Column("楼层", ("所在楼层", "房屋楼层")),
    Column("房号", ("房间号", "房间", "室号", "房屋编号"), required=True),
    Column("面积", ("建筑面积", "计费面积"), required=True, number=True),
    Column("用途", ("房屋用途",)),
    Column("使用状态", ("状态", "入住状态")),
    Column("交付日期", ("交房日期", "收房日期")),
    Column("业主编号", ("产权人编号",)),
    Column("权属起始日", ("产权起始日",)),
    Column("租户编号", ("租客编号",)),
    Column(
        "租期起始日",
    ),
    Column(
        "缴费责任人",
    ),
    Column("收费项目", ("收费编号",)),
    Column("计费开始日期", ("计费起始日",)),
)
STANDARD_COLUMNS = (
    Column("收费编号", required=True),
    Column("收费项目", ("收费名称",), required=True),
    Column("计费方式", required=True),
    Column("单价", number=True),
    Column("附加费", number=True),
    Column("固定金额", number=True),
    Column("缴费周期", number=True),
    Column(
        "付费方式",
    ),
    Column(
        "生效日期",
    ),
    Column(
        "失效日期",
    ),
)
PARKING_COLUMNS = (
    Column("车位编号", ("车位号",), required=True),
    Column(
        "停车场",
    ),
    Column(
        "车位类型",
    ),
    Column("面积", number=True),
    Column("房屋", ("房屋编号",)),
    Column(
        "业主编号",
    ),
    Column(
        "使用方式",
    ),
    Column(
        "收费项目",
    ),
    Column(
        "开始日期",
    ),
    Column(
        "结束日期",
    ),
)
