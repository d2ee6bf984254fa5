"""Pure rules of the estate: how a phone, a name, an ID number and a house code are written.

One spelling per thing, so that the roster, an owner who binds a house and a search all meet:
full-width characters become plain ones, blanks go, numbers lose their leading zeros in house
codes ("1栋 01单元 0301室" is "1-1-301"). Masks show enough to recognise, not enough to use.
A value that cannot be read raises `ValueError` with a Chinese reason for the person who typed it.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal

PLACEHOLDER_PHONES = frozenset({"18999999999"})
PLACEHOLDER_IDS = frozenset({"110101199001010000"})

_MOBILE = re.compile(r"1[3-9]\d{9}")
_LANDLINE = re.compile(
    r"(0(?:10|2\d|[3-9]\d{2}))-?([2-9]\d{6,7})(?:(?:-|转|#)(\d{1,6}))?|([48]00\d{7})"
)
_COUNTRY_CODE = re.compile(r"(?:\+86|0086|86)-?(?=1\d{2}|0\d{2}|[2-9]\d{8,10}$)")
_PHONE_NOISE = re.compile(r"[\s()\u2010-\u2015.]")
_PERSON_ID = re.compile(r"\d{17}[\dX]|\d{15}")
_ORGANISATION_ID = re.compile(r"[0-9A-Z]{18}|[0-9A-Z]{15}|\d{8}-?[\dX]")
_ORGANISATION_NAME = re.compile(
    r"(?:公司|集团|银行|合作社|事务所|酒店|学校|幼儿园|医院|委员会|管理局|分局|支行|工厂|超市)$"
)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_HAN = "\u3400-\u9fff"
_BLANKS = re.compile(r"\s+")
_BLANK_BESIDE_HAN = re.compile(rf"(?<=[{_HAN}])\s+|\s+(?=[{_HAN}])")
_PART = re.compile(rf"[0-9A-Z{_HAN}]{{1,16}}")
_ROOM = re.compile(rf"[0-9A-Z{_HAN}][0-9A-Z{_HAN}-]{{0,23}}")
_SUFFIX = {
    "building": re.compile(r"(?:号楼|#楼|栋楼|栋|幢|座|楼|#)$"),
    "unit": re.compile(r"(?:单元|门洞|梯)$"),
    "room": re.compile(r"(?:号房|室|房|号)$"),
}
_NUMERALS = {han: str(n) for n, han in enumerate("一二三四五六七八九十", start=1)}
_SPOKEN = re.compile(r"(.+?)(?:号楼|#楼|栋|幢|座|楼)-?(?:(.+?)单元)?-?(.+?)(?:室|号房|号)?")


def plain(text: str) -> str:
    """Return text with full-width forms made plain (NFKC) and outer blanks removed."""
    return text.strip() if text.isascii() else unicodedata.normalize("NFKC", text).strip()


def normalise_name(text: str) -> str:
    """Return a person's or organisation's name: full-width letters and digits made plain, blanks
    beside Chinese characters dropped; Chinese brackets stay, they belong to a legal name."""
    kept = "".join(c if c in "()·" else unicodedata.normalize("NFKC", c) for c in text.strip())
    return _BLANK_BESIDE_HAN.sub("", _BLANKS.sub(" ", kept)).strip()


def normalise_phone(text: str) -> str | None:
    """Return the digits of a mainland mobile or landline ("-" only before an extension).

    None for an empty text and for the placeholders other systems use for "none".
    Raises ValueError (Chinese reason) for anything else.
    """
    bare = _PHONE_NOISE.sub("", plain(text))
    match = _COUNTRY_CODE.match(bare)
    if match and len(bare) > 11:
        bare = bare[match.end() :]
    joined = bare.replace("-", "")
    if not joined or joined in PLACEHOLDER_PHONES:
        return None
    if _MOBILE.fullmatch(joined):
        return joined
    line = _LANDLINE.fullmatch(bare) or _LANDLINE.fullmatch(joined)
    if line is None:
        raise ValueError(_phone_reason(joined))
    area, number, extension, service = line.group(1, 2, 3, 4)
    return service or f"{area}{number}" + (f"-{extension}" if extension else "")


def _phone_reason(digits: str) -> str:
    if not digits.isdigit():
        return "电话含有数字以外的字符"
    if len(digits) in (9, 10) and not digits.startswith("1"):
        return "固定电话缺少区号开头的 0(单元格请设为文本格式)"
    if len(digits) != 11:
        return f"电话应为 11 位手机号或带区号的固定电话，现为 {len(digits)} 位"
    return "不是有效的手机号或固定电话"


def looks_like_organisation(name: str) -> bool:
    """Tell whether a name ends like a company's or institution's."""
    return _ORGANISATION_NAME.search(name) is not None


def is_mobile(phone: str) -> bool:
    """Tell whether a normalised phone is a mobile number (can receive SMS)."""
    return _MOBILE.fullmatch(phone) is not None


def normalise_id(text: str) -> str | None:
    """Return an ID number or credit code in capitals; None for empty and placeholder values.

    Raises ValueError (Chinese reason) when the shape fits no known document.
    """
    bare = plain(text).replace(" ", "").upper()
    if not bare or bare in PLACEHOLDER_IDS:
        return None
    if _PERSON_ID.fullmatch(bare) or _ORGANISATION_ID.fullmatch(bare):
        return bare
    raise ValueError("证件号应为 15 或 18 位身份证号，或统一社会信用代码")


def id_checksum_ok(id_no: str) -> bool:
    """Check the last character of an 18-digit personal ID (GB 11643); other shapes pass."""
    if not re.fullmatch(r"\d{17}[\dX]", id_no):
        return True
    total = sum(int(digit) * weight for digit, weight in zip(id_no, _ID_WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == id_no[-1]


def normalise_key(text: str) -> str:
    """Return an owner number or fee code: plain capitals, no blanks, "007" is "7"."""
    return _without_zeros(_BLANKS.sub("", plain(text)).upper())


def normalise_part(text: str, *, part: str) -> str:
    """Return one part of a house code; `part` is "building", "unit" or "room".

    "3号楼" → "3", "二单元" → "2", "0301室" → "301". Raises ValueError (Chinese reason).
    """
    bare = _BLANKS.sub("", plain(text)).upper()
    bare = _SUFFIX[part].sub("", bare) or bare
    bare = _without_zeros(_NUMERALS.get(bare, bare) if part != "room" else bare)
    if not (_ROOM if part == "room" else _PART).fullmatch(bare):
        raise ValueError("只能由数字、字母和汉字组成，且不能为空或过长")
    return bare


def house_code(*, building: str, unit: str, room: str) -> str:
    """Return "building-unit-room" from three already normalised parts."""
    return f"{building}-{unit}-{room}"


def normalise_house_code(text: str) -> str:
    """Return the code of a house as a person writes it: "1-1-101" or "1栋1单元101室".

    Two parts ("1-101") mean a house without a stair: unit "0". Raises ValueError.
    """
    bare = _BLANKS.sub("", plain(text)).upper().replace("—", "-").replace("–", "-")
    spoken = _SPOKEN.fullmatch(bare)
    parts = [p or "0" for p in spoken.groups()] if spoken else bare.split("-", 2)
    if len(parts) == 2:
        parts.insert(1, "0")
    if len(parts) != 3:
        raise ValueError("房屋编号应写成 楼栋-单元-房号，例如 1-1-101")
    building, unit, room = (
        normalise_part(value, part=part)
        for value, part in zip(parts, ("building", "unit", "room"), strict=True)
    )
    return house_code(building=building, unit=unit, room=room)


def parse_decimal(text: str, *, places: int) -> Decimal:
    """Return an exact number of at most `places` decimals; "1,234.50" and "94.56㎡" are read.

    More decimals are refused, never cut off (A63). Raises ValueError (Chinese reason).
    """
    bare = plain(text)
    if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", bare):
        bare = bare.replace(",", "")
    match = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)\s*(?:m2|平方米|平米|平方|元|元/m2)?", bare)
    if match is None:
        raise ValueError("不是数字")
    number = Decimal(match.group(1))
    if number.normalize().as_tuple().exponent < -places:
        raise ValueError(f"小数超过 {places} 位，请先四舍五入（系统不会自行截断）")
    return number


def parse_date(text: str) -> date:
    """Return a calendar date written 2020-6-1, 2020/06/01, 2020.6.1, 2020年6月1日 or 20200601.

    Years 1980 to 2100. Raises ValueError (Chinese reason).
    """
    bare = _BLANKS.sub("", plain(text))
    match = re.fullmatch(r"(\d{4})([-/.年])(\d{1,2})[-/.月](\d{1,2})日?", bare) or re.fullmatch(
        r"(\d{4})()(\d{2})(\d{2})", bare
    )
    if match is None:
        raise ValueError("日期应写成 2020-06-10")
    try:
        day = date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        raise ValueError("没有这一天") from None
    if not 1980 <= day.year <= 2100:
        raise ValueError("年份应在 1980 到 2100 之间")
    return day


def _without_zeros(code: str) -> str:
    return code.lstrip("0") or "0" if code.isdigit() else code


def mask_phone(phone: str) -> str:
    """Return "138****8000"; a landline keeps its last four digits; short texts show nothing."""
    digits = plain(phone)
    if _MOBILE.fullmatch(digits):
        return f"{digits[:3]}****{digits[-4:]}"
    return f"****{digits[-4:]}" if len(digits) >= 8 else "****"


def mask_name(name: str) -> str:
    """Return "王*明", "王*", "欧**文"; long (organisation) names keep two characters a side."""
    bare = name.strip()
    if len(bare) <= 1:
        return "*" * len(bare)
    if len(bare) == 2:
        return bare[0] + "*"
    side = 1 if len(bare) <= 6 else 2
    return bare[:side] + "*" * min(len(bare) - 2 * side, 4) + bare[-side:]


def mask_id(id_no: str) -> str:
    """Return the first and last character only: "1****************0" keeps its length."""
    bare = id_no.strip()
    return bare[0] + "*" * (len(bare) - 2) + bare[-1] if len(bare) >= 8 else "*" * len(bare)
