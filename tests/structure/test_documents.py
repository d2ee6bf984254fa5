"""The documents say what the code says: settings, table names, examples, cited traps."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backend.conduct.policy import DEFAULT_POLICY
from backend.conduct.rules import PastContact, next_allowed
from tests import worked_cases

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SHANGHAI = ZoneInfo("Asia/Shanghai")
CODE = ("backend", "admin", "sandbox", "launcher", "tests", "bench", "migrations", "docs")
WRITTEN = (".py", ".sql", ".md", ".toml", ".ts", ".vue")
CITATION = r"facts\.md\)?((?:[ ,]+[A-Z]{1,3}\d+)+)"
NOT_COMPUTED = ("shared", "meter", "prepay", "vat")


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def table(name: str, head: str) -> list[list[str]]:
    """The rows of the table of a document whose header line begins with `head`."""
    lines = text(name).split(f"\n{head}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def settings() -> dict[str, str]:
    return {row[0]: row[1] for row in table("conduct.md", "| key | default |")}


# --- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["| key | default |", "| advice | why not |"])
def test_both_documents_carry_the_same_table(head):
    assert table("conduct.md", head) == table("requirements.md", head)


def test_documented_hours_are_the_hours_in_force():
    for kind, windows in DEFAULT_POLICY.hours.items():
        documented = settings()[f"contact.hours.{kind}"].split(", ")
        assert documented == [f"{start:%H:%M}–{end:%H:%M}" for start, end in windows]
    assert DEFAULT_POLICY.hours["call"][0] == (time(9, 0), time(12, 0))


def test_documented_counts_are_the_counts_in_force():
    counts = settings()["contact.per_day / per_7_days / per_30_days"]
    policy = DEFAULT_POLICY
    assert counts == f"{policy.per_day} / {policy.per_7_days} / {policy.per_30_days}"
    assert settings()["visit.gap_days"] == str(policy.visit_gap_days)


def test_documented_example_of_a_week():
    monday = datetime(2026, 3, 2, 10, 0, tzinfo=SHANGHAI)
    history = [
        PastContact("message", "reminder", monday),
        PastContact("call", "reminder", datetime(2026, 3, 4, 15, 0, tzinfo=SHANGHAI)),
    ]
    free = next_allowed(
        kind="message",
        contact_class="reminder",
        at=datetime(2026, 3, 4, 16, 0, tzinfo=SHANGHAI).astimezone(UTC),
        history=history,
    )
    assert free == monday + timedelta(days=7)


# --- words ----------------------------------------------------------------------------------


def glossary() -> list[list[str]]:
    lines = [line for line in text("glossary.md").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if row[0] != "中文"]


def test_glossary_is_whole_and_names_each_thing_once():
    assert len(glossary()) >= 60
    assert {len(row) for row in glossary()} == {4}
    assert [word for word, n in Counter(row[0] for row in glossary()).items() if n > 1] == []


def test_glossary_names_existing_tables():
    tables = set()
    for path in (ROOT / "backend").rglob("*.py"):
        tables |= set(re.findall(r'__tablename__ = "(\w+)"', path.read_text(encoding="utf-8")))
    assert {row[2] for row in glossary() if row[2]} - tables == set()


# --- money ----------------------------------------------------------------------------------


def examples() -> list[dict]:
    block = text("money.md").split("```json lines\n", 1)[1].split("```", 1)[0]
    return [json.loads(line) for line in block.splitlines()]


def test_every_money_rule_has_its_paragraph():
    assert re.findall(r"(?m)^\*\*(M\d+)", text("money.md"))[:1] == ["M1"]
    assert set(re.findall(r"(?m)^\*\*(M\d+) ", text("money.md"))) == {f"M{n}" for n in range(1, 13)}


@pytest.mark.parametrize("example", examples(), ids=lambda example: example["id"])
def test_worked_example_is_what_the_product_computes(example):
    expected = example["expected"]
    answer = json.loads(next(iter(worked_cases.run([json.dumps(example)]))))
    if example["kind"] in NOT_COMPUTED:
        assert "skip" in answer, "computed by now: take the kind off NOT_COMPUTED"
    else:
        assert answer == {"id": example["id"], "output": expected}


# --- platform traps -------------------------------------------------------------------------


def traps() -> list[str]:
    return re.findall(r"(?m)^- \*\*([A-Z]+\d+)\*\* ", text("facts.md"))


def test_traps_are_numbered_without_gaps():
    by_kind: dict[str, list[int]] = {}
    for trap in traps():
        kind, number = re.fullmatch(r"([A-Z]+)(\d+)", trap).groups()
        by_kind.setdefault(kind, []).append(int(number))
    assert {kind: list(range(1, len(n) + 1)) for kind, n in by_kind.items()} == by_kind


def written_files() -> Iterator[Path]:
    """Sources and documents of the repository, without installed or built trees."""
    for folder in CODE:
        for top, folders, names in os.walk(ROOT / folder):
            folders[:] = [name for name in folders if name not in ("node_modules", "dist")]
            yield from (Path(top, name) for name in names if name.endswith(WRITTEN))


def test_cited_traps_exist():
    cited = set()
    for path in written_files():
        runs = re.findall(CITATION, path.read_text(encoding="utf-8"))
        cited |= {trap for run in runs for trap in re.findall(r"[A-Z]+\d+", run)}
    assert cited - set(traps()) == set()
    assert "SMS3" in cited
