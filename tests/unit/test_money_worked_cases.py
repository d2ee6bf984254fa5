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


def test_a_line_that_is_no_case_does_not_stop_the_others() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.worked_cases"],
        input="{not json\n[]\n" + json.dumps(CASES[0]),
        capture_output=True, text=True, cwd=DATA.parents[2], check=True,
    )  # fmt: skip
    answers = [json.loads(text) for text in result.stdout.splitlines()]
    assert ["error" in answer for answer in answers] == [True, True, False]
    assert answers[2] == {"id": CASES[0]["id"], "output": {"fen": 85757}}


SPLIT = {
    "from": "2026-01-01",
    "to": "2026-04-01",
    "parties": [{"party": "a", "from": "2026-01-01"}],
}
RISE = {"from": "2026-02-15", "rate": "1.5"}
# January 130.00; February 14/28 of 130 and of 150: 65.00 + 75.00; March 150.00
RISEN = [("2026-01-01", "2026-02-15", 19500), ("2026-02-15", "2026-04-01", 22500)]


@pytest.mark.parametrize(
    "terms",
    [
        {"area": "100", "rate": "1.3", "tariffs": [RISE]},
        {"area": "100", "tariffs": [{"from": "2026-01-01", "rate": "1.3"}, RISE]},
        {"rate": "1.3", "tariffs": [{"from": "2026-01-01", "area": "100"}, RISE]},
        {"tariffs": [{"from": "2025-06-01", "area": "100"}, {"from": "2025-07-01", "rate": "1.3"},
                     RISE]},
    ],
    ids=["base", "rate-by-tariff", "area-by-tariff", "both-by-tariffs-before"],
)  # fmt: skip
def test_a_split_is_priced_by_base_and_tariffs_together(terms: dict[str, Any]) -> None:
    answer = run_case({"id": "s", "kind": "split", "input": {**SPLIT, **terms}})["output"]
    assert [(p["from"], p["to"], p["fen"]) for p in answer["parts"]] == RISEN
    assert answer["total"] == 42000


def test_a_day_without_any_price_is_refused() -> None:
    case = {**SPLIT, "area": "100", "tariffs": [RISE]}
    answer = run_case({"id": "s", "kind": "split", "input": case})["output"]
    assert answer["refused"].split(":")[0] == "no_price"


def test_a_malformed_case_is_an_error_and_not_a_figure() -> None:
    answer = run_case({"id": "z", "kind": "line", "input": {"fixed": "1", "from": "2026-01-01"}})
    assert answer == {"id": "z", "error": "KeyError: 'to'"}
