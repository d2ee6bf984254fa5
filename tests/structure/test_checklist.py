"""The checklist believes only tests that call the product, and refuses a crooked document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import checklist
from tests.checklist import NUMBERS, read_rows, status_of, update
from tests.checklist_marks import read_tests

_AS_IT_STANDS = checklist.DOCUMENT.read_text(encoding="utf-8")
# The page with every built number put back to planned, whatever is built today.
DOCUMENT = update(_AS_IT_STANDS, read_rows(_AS_IT_STANDS)[0], {})
CALLS_PRODUCT = "import pytest\nfrom backend import money\n"


def tree(root: Path, **files: str) -> Path:
    """Write tests/<name>.py for every keyword (`__` in a name is a folder); return the root."""
    for name, text in files.items():
        path = root / "tests" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def document(root: Path, text: str = DOCUMENT) -> None:
    (root / "docs").mkdir()
    (root / "docs" / "requirements.md").write_text(text, encoding="utf-8")


def claims(root: Path) -> dict[str, list[str]]:
    return read_tests(root, NUMBERS).tests


def row(number: str) -> str:
    """The document's two lines of one number."""
    found = re.search(rf"(?m)^- \*\*{number}\*\* .*\n  Form: .*\n", DOCUMENT)
    assert found
    return found.group()


# --- the real document and the real tests ---------------------------------------------------


def test_document_carries_every_number_once():
    rows, errors = read_rows(DOCUMENT)
    assert errors == []
    assert rows.keys() == NUMBERS


def test_document_carries_the_fifteen_steps_in_order():
    steps = re.findall(r"(?m)^\| (\d+) \| .* \| .* \| .* \|$", DOCUMENT)
    assert steps == [str(n) for n in range(1, 16)]


def test_markers_of_the_suite_name_known_numbers():
    assert read_tests(checklist.ROOT, NUMBERS).errors == []


def test_a_row_that_says_what_is_missing_is_claimed_by_no_test():
    """One marker makes a number built: the row must have lost its **Missing** before."""
    unfinished = set(re.findall(r"(?m)^- \*\*(\w+)\*\* .*\n  Form: .*\*\*Missing:\*\*", DOCUMENT))
    assert {"S28", "C56"} <= unfinished
    assert unfinished & read_tests(checklist.ROOT, NUMBERS).tests.keys() == set()


# --- who may claim --------------------------------------------------------------------------


def test_marker_counts_on_function_class_and_module(tmp_path):
    tree(
        tmp_path,
        test_a=CALLS_PRODUCT
        + 'pytestmark = [pytest.mark.slow, pytest.mark.covers("S1")]\n'
        + '@pytest.mark.covers("S2", "C3")\ndef test_one(): pass\n'
        + '@pytest.mark.covers("S4")\nclass TestTwo:\n'
        + '    pytestmark = pytest.mark.covers("S5")\n    def test_in(self): pass\n',
    )
    one, two = "tests/test_a.py::test_one", "tests/test_a.py::TestTwo::test_in"
    assert claims(tmp_path) == {
        "S1": [one, two],
        "S2": [one],
        "C3": [one],
        "S4": [two],
        "S5": [two],
    }


def test_marker_counts_inside_a_parameter(tmp_path):
    tree(
        tmp_path,
        test_a=CALLS_PRODUCT
        + '@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.covers("S7"))])\n'
        + "def test_one(n): pass\n",
    )
    assert claims(tmp_path) == {"S7": ["tests/test_a.py::test_one"]}


@pytest.mark.parametrize(
    "source",
    [
        'import pytest\n@pytest.mark.covers("S1")\ndef test_one(): pass\n',
        'import pytest\n@pytest.mark.covers("S1")\ndef test_one(sandbox): pass\n',
        CALLS_PRODUCT + '@pytest.mark.skip\n@pytest.mark.covers("S1")\ndef test_one(): pass\n',
        CALLS_PRODUCT + '@pytest.mark.xfail()\n@pytest.mark.covers("S1")\ndef test_one(): pass\n',
    ],
    ids=["no product", "sandbox only", "skipped", "expected to fail"],
)
def test_claim_without_the_product_or_without_a_run_does_not_count(tmp_path, source):
    coverage = read_tests(tree(tmp_path, test_a=source), NUMBERS)
    assert coverage.tests == {}
    assert len(coverage.uncounted) == 1 and coverage.uncounted[0].startswith("S1: tests/test_a.py")


def test_claim_outside_a_test_does_not_count(tmp_path):
    marked = '@pytest.mark.covers("S1")\ndef {}(): pass\n'
    tree(
        tmp_path,
        helpers=CALLS_PRODUCT + marked.format("test_one"),
        test_a=CALLS_PRODUCT + marked.format("helper"),
    )
    assert claims(tmp_path) == {}


@pytest.mark.parametrize("fixture", ["app", "client", "live", "deep"])
def test_fixture_that_reaches_the_product_is_enough(tmp_path, fixture):
    tree(
        tmp_path,
        conftest="import pytest\n"
        "@pytest.fixture\ndef live():\n    from tests.support import product\n    yield\n"
        "@pytest.fixture()\ndef deep(live): ...\n"
        "@pytest.fixture\ndef sandbox(): ...\n",
        support__product="from backend.app import create_app\n",
        test_a=f'import pytest\n@pytest.mark.covers("S1")\ndef test_one({fixture}): pass\n',
    )
    assert claims(tmp_path) == {"S1": ["tests/test_a.py::test_one"]}


def test_helper_module_that_imports_the_product_is_enough(tmp_path):
    tree(
        tmp_path,
        world="from admin.api import x\n",
        test_a='import pytest\nfrom tests.world import y\n@pytest.mark.covers("C9")\n'
        "async def test_one(): pass\n",
    )
    assert claims(tmp_path) == {"C9": ["tests/test_a.py::test_one"]}


@pytest.mark.parametrize("argument", ['"S73"', '"C0"', '"X1"', '"s1"', "1", "NUMBER", "*ALL"])
def test_marker_with_an_unknown_number_fails_the_command(tmp_path, capsys, argument):
    document(tmp_path)
    tree(
        tmp_path,
        test_a=CALLS_PRODUCT + f"@pytest.mark.covers({argument})\ndef test_one(): pass\n",
    )
    assert checklist.main([], root=tmp_path) == 1
    assert "names no known number" in capsys.readouterr().err


# --- the document's rows --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "S9 is missing"),
        (row("S9") * 2, "S9 stands twice"),
        (row("S9").replace("`planned`", "planned"), "not of the form"),
        (row("S9").replace("`planned`", "`done`"), "unknown status `done`"),
        (row("S9").replace("`planned`", "`built: soon`"), "unknown status"),
        (row("S9").replace("`planned`", "`not software:`"), "unknown status"),
        (row("S9").replace("`planned`", "`by: S9`"), "by names S9"),
        (row("S9").replace("`planned`", "`by: another`"), "by names no number"),
        (row("S9").replace("`planned`", "`by: S99`"), "by names S99"),
        (row("S9").replace("`planned`", "`refused: unlawful`"), "names its lawful alternative"),
        (row("S9").splitlines()[0] + "\n", "not followed by its '  Form: …' line"),
        (row("S9").replace("S9", "S90"), "unknown number S90"),
    ],
)
def test_crooked_row_fails_the_command(tmp_path, capsys, bad, said):
    document(tmp_path, DOCUMENT.replace(row("S9"), bad))
    assert checklist.main([], root=tmp_path) == 1
    assert said in capsys.readouterr().err


def test_number_is_built_by_tests_only_whatever_the_document_says():
    rows, _ = read_rows(DOCUMENT.replace(row("S9"), row("S9").replace("`planned`", "`built`")))
    assert rows["S9"].word == "built"
    assert status_of("S9", rows, {}) == "planned"
    assert status_of("S10", rows, {"S10": ["t"]}) == "built"


def test_by_counts_only_while_its_target_does():
    text = DOCUMENT.replace(row("S9"), row("S9").replace("`planned`", "`by: C54, S21`"))
    rows, errors = read_rows(text)
    assert errors == []
    assert status_of("S9", rows, {}) == "planned"
    assert status_of("S9", rows, {"C54": ["t"]}) == "by"
    assert status_of("S9", rows, {"S9": ["t"]}) == "built"


def test_circle_of_by_holds_nothing():
    text = DOCUMENT.replace(row("S9"), row("S9").replace("`planned`", "`by: C54`"))
    rows, errors = read_rows(text.replace(row("C54"), row("C54").replace("`planned`", "`by: S9`")))
    assert errors == []
    assert {status_of(n, rows, {}) for n in ("S9", "C54")} == {"planned"}


def test_refusal_stays_a_refusal_when_tests_hold_it():
    rows, _ = read_rows(DOCUMENT)
    assert status_of("S21", rows, {"S21": ["t"]}) == "refused"


def test_command_prints_every_number_and_the_counts(tmp_path, capsys):
    text = DOCUMENT.replace(row("S9"), row("S9").replace("`planned`", "`by: C54`"))
    text = text.replace(row("S8"), row("S8").replace("`planned`", "`not software: people`"))
    document(tmp_path, text)
    tree(
        tmp_path,
        test_a=CALLS_PRODUCT + '@pytest.mark.covers("C54", "S24")\ndef test_one(): pass\n',
    )
    assert checklist.main([], root=tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0].rstrip(":") for line in lines[:-1]] == [
        *(f"S{n}" for n in range(1, 73)),
        *(f"C{n}" for n in range(1, 78)),
    ]
    assert "S24 built  tests/test_a.py::test_one" in lines
    assert "S9  by: C54" in lines
    assert "S8  not software: people" in lines
    assert "S10 planned" in lines
    # C57 of `by:` S48 is not built here, so S48 waits; S21 is the one refusal of the document.
    assert "S48 planned  (waits for C57)" in lines
    assert lines[-1] == "covered: S 4/72 C 1/77 built=2 refused=1 by=1 notsoftware=1"


def test_update_moves_only_the_status_words(tmp_path):
    rows, _ = read_rows(DOCUMENT)
    everything_planned = update(DOCUMENT, rows, {})
    rows, _ = read_rows(everything_planned)
    built = update(everything_planned, rows, {"S24": ["t"]})
    assert row("S24").split("—", 1)[1] in built
    assert "- **S24** `built` — " in built
    assert update(built, read_rows(built)[0], {}) == everything_planned
