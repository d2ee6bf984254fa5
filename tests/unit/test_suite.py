"""`make test` in two parts: nothing falls between them, and one failure fails the whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.suite import main, worst

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "statuses, whole",
    [([0, 0], 0), ([1, 0], 1), ([0, 1], 1), ([0, 5], 0), ([5, 0], 0), ([5, 5], 5), ([5], 5),
     ([1, 5], 1), ([2], 2), ([0, -9], -9)],
)  # fmt: skip
def test_one_failure_fails_the_whole_and_an_empty_part_does_not(statuses, whole):
    assert worst(statuses) == whole


def collected(*arguments: str) -> set[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments, "tests/chaos"]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return {line for line in ran.stdout.splitlines() if "::" in line}


@pytest.mark.slow
def test_every_test_is_in_one_of_the_parts():
    together, alone = collected("--part", "together"), collected("--part", "alone")
    assert together and alone and not together & alone
    assert together | alone == collected()


@pytest.mark.slow
def test_a_selection_that_leaves_one_part_empty_passes():
    assert main(["-q", "-p", "no:cacheprovider", str(Path(__file__)), "-k", "one_failure"]) == 0
