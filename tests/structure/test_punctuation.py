"""Chinese texts use Chinese punctuation: a half-width comma between two characters is a slip."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.product import PROJECT

ENDINGS = (".py", ".toml", ".ts", ".vue", ".js", ".wxml", ".html")
ROOMS = ("backend", "admin", "miniprogram-stub", "launcher", "sandbox")
MADE = {"node_modules", "dist", "__pycache__", "tests"}  # built, or texts of tests
# Statements of the platforms: their headers and notes are written as the platforms write them.
STATEMENTS = {"sandbox/alipay_bill.py", "sandbox/wechatpay_bill.py"}
SLIP = re.compile(r"[\u4e00-\u9fff”」》）][,:;!?](?=[\u4e00-\u9fff“「《（])")


def _files(room: str) -> list[Path]:
    return [
        path
        for path in sorted((PROJECT / room).rglob("*"))
        if path.suffix in ENDINGS
        and not MADE & set(path.parts)
        and path.relative_to(PROJECT).as_posix() not in STATEMENTS
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_no_half_width_mark_stands_between_chinese_characters(room: str) -> None:
    slips = [
        f"{path.relative_to(PROJECT)}:{number}: {line.strip()}"
        for path in _files(room)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if SLIP.search(line)
    ]
    assert slips == []


def test_the_pattern_finds_a_slip() -> None:
    assert SLIP.search("请核对,再试") and not SLIP.search("请核对，再试")
