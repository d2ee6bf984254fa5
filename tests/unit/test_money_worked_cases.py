"""The worked examples, through the command that anybody can feed with cases of his own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.worked_cases import run_case

DATA = Path(__file__).parents[1] / "worked_cases_data" / "examples.jsonl"
CASES = [json.loads(text) for text in DATA.read_text(encoding="utf-8").splitlines()]


@pytest.mark.covers("C53")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_worked_example_gives_its_figures(case: dict[str, Any]) -> None:
    answer = run_case(case)["output"]
    if "refused" in case["expected"]:
        assert answer["refused"].split(":")[0] == case["expected"]["refused"]
    else:
        assert answer == case["expected"]


def test_the_command_answers_every_line_and_skips_what_it_does_not_compute() -> None:
    lines = [*CASES[:2], {"id": "x", "kind": "weather", "rule": "", "input": {}}, {"id": "y"}]
    result = subprocess.run(
        [sys.executable, "-m", "tests.worked_cases"],
        input="\n\n".join(json.dumps(case) for case in lines),
        capture_output=True,
        text=True,
        cwd=DATA.parents[2],
        check=True,
    )
    answers = [json.loads(text) for text in result.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [CASES[0]["id"], CASES[1]["id"], "x", "y"]
    assert answers[0]["output"] == {"fen": 85757}
    assert "skip" in answers[2] and "skip" in answers[3]


def test_a_malformed_case_is_an_error_and_not_a_figure() -> None:
    answer = run_case({"id": "z", "kind": "line", "input": {"fixed": "1", "from": "2026-01-01"}})
    assert answer == {"id": "z", "error": "KeyError: 'to'"}
