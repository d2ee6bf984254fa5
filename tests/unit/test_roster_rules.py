"""How phones, names, ID numbers, house codes, amounts and dates are written and masked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from backend.estate import rules


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("13900001234", "13900001234"),
        (" 139 0000 1234 ", "13900001234"),
        ("139-0000-1234", "13900001234"),
        ("+86 139-0000-1234", "13900001234"),
        ("008613900001234", "13900001234"),
        ("13900001234", "13900001234"),
        ("010-66668888", "01066668888"),
        ("(0755)26666888", "075526666888"),
        ("0571-88888888-123", "057188888888-123"),
        ("400-820-8888", "4008208888"),
        ("18999999999", None),
        ("", None),
    ],
)
def test_a_phone_is_stored_as_plain_digits_and_a_placeholder_as_none(
    typed: str, stored: str | None
) -> None:
    assert rules.normalise_phone(typed) == stored


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("1390000123", "电话应为 11 位手机号或带区号的固定电话，现为 10 位"),
        ("139000012345", "电话应为 11 位手机号或带区号的固定电话，现为 12 位"),
        ("23900001234", "不是有效的手机号或固定电话"),
        ("1390000123a", "电话含有数字以外的字符"),
        ("1.39E+10", "电话含有数字以外的字符"),
        ("5716666888", "固定电话缺少区号开头的 0(单元格请设为文本格式)"),
    ],
)
def test_a_phone_of_another_shape_is_refused_with_its_reason(typed: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + reason.replace("(", r"\(").replace(")", r"\)")):
        rules.normalise_phone(typed)


@pytest.mark.covers("C57")
def test_masks_show_enough_to_recognise_and_not_enough_to_use() -> None:
    assert rules.mask_phone("13900008000") == "139****8000"
    assert rules.mask_phone("01066668888") == "****8888"
    assert rules.mask_phone("123") == "****"
    assert rules.mask_name("王小明") == "王*明"
    assert rules.mask_name("王明") == "王*"
    assert rules.mask_name("王") == "*"
    assert rules.mask_name("欧阳修文") == "欧**文"
    assert rules.mask_name("合成物业服务有限公司") == "合成****公司"
    assert rules.mask_id("110101199001010000") == "1****************0"
    assert rules.mask_id("1234") == "****"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("1-1-101", "1-1-101"),
        ("01-01-0101", "1-1-101"),
        ("1-1-101", "1-1-101"),
        ("1栋1单元101室", "1-1-101"),
        ("1号楼二单元0301", "1-2-301"),
        ("A座1203", "A-0-1203"),
        ("1-101", "1-0-101"),
        ("S-0-012", "S-0-12"),
        ("3#楼1单元101-1", "3-1-101-1"),
    ],
)
def test_a_house_code_has_one_spelling(typed: str, code: str) -> None:
    assert rules.normalise_house_code(typed) == code


@pytest.mark.parametrize("typed", ["", "x", "1_1_1", "1-1-", "--"])
def test_a_text_that_is_no_house_code_is_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        rules.normalise_house_code(typed)


def test_names_lose_blanks_and_keep_the_brackets_of_a_legal_name() -> None:
    assert rules.normalise_name(" 王 小 明 ") == "王小明"
    assert rules.normalise_name("John  Smith") == "John Smith"
    assert rules.normalise_name("合成物业(上海)有限公司") == "合成物业(上海)有限公司"


def test_an_id_number_is_checked_by_shape_and_by_check_digit() -> None:
    assert rules.normalise_id("110101199001010000") is None
    assert rules.normalise_id("99999919900101123x") == "99999919900101123X"
    assert rules.id_checksum_ok("99999919900101123X") is False
    with pytest.raises(ValueError):
        rules.normalise_id("12345")


@pytest.mark.parametrize(
    ("typed", "number"),
    [("94.56", "94.56"), ("94.56", "94.56"), ("1,234.5", "1234.5"), ("94.56㎡", "94.56")],
)
def test_a_number_is_read_exactly(typed: str, number: str) -> None:
    assert rules.parse_decimal(typed, places=4) == Decimal(number)


@pytest.mark.parametrize("typed", ["94.56001", "1e5", "12 3", "九十", "1,23", "--1"])
def test_a_number_that_would_have_to_be_guessed_or_cut_is_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        rules.parse_decimal(typed, places=4)


@pytest.mark.parametrize("typed", ["2020-6-10", "2020/06/10", "20200610", "2020年6月10日"])
def test_a_date_is_read_in_its_usual_spellings(typed: str) -> None:
    assert rules.parse_date(typed) == date(2020, 6, 10)


@pytest.mark.parametrize("typed", ["2020-02-30", "1900-01-01", "43992", "2020-06", "6月10日"])
def test_a_text_that_is_no_date_is_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        rules.parse_date(typed)
