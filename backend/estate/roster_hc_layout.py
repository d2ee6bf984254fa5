"""The words of HC小区管理系统's import workbooks: sheets, columns, codes, and what we leave out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from backend.estate.roster_header import Column
from backend.estate.roster_model import HouseUse, Occupancy, ParkingKind, ParkingTenure

BUILDINGS, OWNERS, FEES = "楼栋单元", "业主信息", "费用设置"
HOUSES, PARKING = "房屋信息", "车位信息"
HC_SHEETS = (BUILDINGS, OWNERS, FEES, HOUSES, PARKING)
ASSETS = "资产信息"
NO_END = date(2037, 1, 1)

OWNER_TYPES: Mapping[str, Literal["owner", "tenant", "other"]] = {
    "1001": "owner", "1002": "other", "1003": "tenant", "1004": "other",
    "业主": "owner", "家庭成员": "other", "房屋租客": "tenant", "租客": "tenant",
    "临时人员": "other",
}  # fmt: skip
HOUSE_TYPES: Mapping[str, HouseUse] = {
    "110": "residential", "119": "residential", "120": "office",
    "住宅": "residential", "宿舍": "residential", "办公室": "office", "商铺": "shop",
}  # fmt: skip
HOUSE_STATES: Mapping[str, Occupancy] = {
    "2001": "self", "2002": "unsold", "2003": "unknown", "2004": "vacant", "2005": "unknown",
    "2006": "rent", "2007": "unknown", "2008": "vacant", "2009": "unknown",
    "已入住": "self", "未销售": "unsold", "已交房": "unknown", "未入住": "vacant",
    "已装修": "unknown",
    "已出租": "rent", "已出售": "unknown", "空闲": "vacant", "装修中": "unknown",
}  # fmt: skip
LIFTS: Mapping[str, bool] = {"有": True, "是": True, "无": False, "否": False, "没有": False}
PARKING_KINDS: Mapping[str, ParkingKind] = {
    "地上停车位": "surface", "地下停车位": "underground", "地上": "surface", "地下": "underground",
}  # fmt: skip
TENURES: Mapping[str, ParkingTenure] = {"H": "rent", "S": "sold", "出租": "rent", "出售": "sold"}

BUILDING_COLUMNS = (
    Column("楼栋号", ("楼栋编号",), required=True),
    Column("单元编号", required=True),
    Column("总层数"),
    Column("是否有电梯"),
)
OWNER_COLUMNS = (
    Column("业主名称", required=True, secret="name"),
    Column("手机号", required=True, secret="phone"),
    Column("身份证号", secret="id"),
    Column("业主类型"),
    Column("业主编号", required=True),
)
FEE_COLUMNS = (
    Column("费用编号", required=True),
    Column("收费项目", required=True),
    Column("费用标识"),
    Column("付费类型"),
    Column("缴费周期", number=True),
    Column("计费起始时间"),
    Column("计费结束时间"),
    Column("计算公式", required=True),
    Column("计费单价", number=True),
    Column("固定费用", number=True),
)
HOUSE_COLUMNS = (
    Column("房屋编号", required=True),
    Column("楼栋编号", required=True),
    Column("单元编号", required=True),
    Column("房屋楼层"),
    Column("建筑面积", required=True, number=True),
    Column("业主编号", required=True),
    Column("房屋费用"),
    Column("费用开始时间"),
    Column("房屋类型"),
)
PARKING_COLUMNS = (
    Column("停车场编号"),
    Column("车位编码", ("车位编号",), required=True),
    Column("停车场类型"),
    Column("面积", number=True),
    Column("业主编号"),
    Column("出租还是出售"),
    Column("开始时间"),
    Column("结束时间"),
)
ASSET_COLUMNS = (
    Column("楼号", required=True),
    Column("单元", required=True),
    Column("房间", required=True),
    Column("楼层"),
    Column("总层数"),
    Column("是否有电梯"),
    Column("房屋类型"),
    Column("建筑面积", required=True, number=True),
    Column("房屋状态"),
    Column("业主名称", required=True, secret="name"),
    Column("手机号", secret="phone"),
    Column("身份证号", secret="id"),
    Column("业主类型"),
)

NOT_LIABLE = "家庭成员和临时人员不是缴费义务人，不保存其联系方式(C21、C22)"
TENANT_UNCLEAR = "租客对应的业主没有房屋或有多套房屋，无法判断所租房屋"

_NOT_NEEDED = "缴费不需要的个人信息，不收集(C22)"
LEFT_OUT: Mapping[str, str] = {
    "编号": "行号，无含义",
    "性别": _NOT_NEEDED,
    "年龄": _NOT_NEEDED,
    "车牌号": _NOT_NEEDED,
    "车品牌": _NOT_NEEDED,
    "车类型": _NOT_NEEDED,
    "颜色": _NOT_NEEDED,
    "费用类型": "HC 目前只有“物业费”一种，以收费项目名称为准",
    "出账类型": "出账日由本系统的账期设置决定",
    "房屋户型": "计费不使用",
    "室内面积": "采暖费尚未按室内面积计费，物业费按建筑面积",
    "租金": "租金不属于物业费",
}
