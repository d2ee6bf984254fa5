"""`make test` in two parts: nothing falls between them, and one failure fails the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import _is_left_out
from tests.suite import worst

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "statuses, whole",
    [([0, 0], 0), ([1, 0], 1), ([0, 1], 1), ([0, 5], 0), ([5, 0], 0), ([5, 5], 5), ([5], 5),
     ([1, 5], 1), ([2], 2), ([0, -9], -9)],
)  # fmt: skip
def test_one_failure_fails_the_whole_and_an_empty_part_does_not(statuses, whole):
    assert worst(statuses) == whole


class Options:
    """What pytest was asked for."""

    def __init__(self, *, quick: bool = False, part: str | None = None) -> None:
        self.given = {"--quick": quick, "--part": part}

    def getoption(self, name: str) -> object:
        return self.given[name]


@pytest.mark.parametrize(
    "marks", [set(), {"slow"}, {"chaos", "slow"}, {"slow", "alone"}, {"chaos", "slow", "alone"}]
)
def test_every_test_is_in_exactly_one_of_the_parts(marks):
    left_out = [_is_left_out(Options(part=part), marks) for part in ("together", "alone")]
    assert sorted(left_out) == [False, True]
    assert not _is_left_out(Options(), marks)


def test_quick_leaves_out_what_is_slow_or_chaos():
    assert [_is_left_out(Options(quick=True), {m}) for m in ("slow", "chaos", "browser")] == [
        True, True, False,
    ]  # fmt: skip


def test_what_runs_alone_is_slow_too():
    """--quick runs the first part only: nothing may hide in the second."""
    for path in PROJECT.glob("tests/**/test_*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("pytest.mark." + "alone") <= text.count("pytest.mark.slow"), path
