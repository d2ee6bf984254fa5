"""The checklist: which S and C numbers of docs/requirements.md are built, and which tests say so.

The document lists every number with its form; the tests name the numbers that they hold with
`@pytest.mark.covers("S24", "C15")`. Neither is believed alone: a number is `built` only by a
test that calls the product, whatever status word the document carries, and a marker may name
only numbers that the document knows. Tests are read as syntax trees, never imported, so the
command answers in a second and on a broken tree.

    python -m tests.checklist            print the list; exit 1 on a bad row or marker
    python -m tests.checklist --update   write `built`/`planned` back into the document
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.checklist_marks import Coverage, read_tests

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "requirements.md"
COUNTS = {"S": 72, "C": 77, "T": 6}
WORDS = ("built", "planned", "refused", "by", "not software")
NUMBERS = frozenset(f"{kind}{n}" for kind, top in COUNTS.items() for n in range(1, top + 1))

_ROW_START = re.compile(r"^- \*\*[A-Z]\d")
_ROW = re.compile(r"^- \*\*([SCT]\d+)\*\* `([^`]+)` — (\S.*)$")
_FORM = re.compile(r"^  Form: \S")
_NAMED = re.compile(r"\b[SCT]\d+\b")


@dataclass(frozen=True)
class Row:
    """One number of the document: its status word, what follows the word, and its line."""

    number: str
    word: str
    detail: str
    line: int

    @property
    def targets(self) -> list[str]:
        """The numbers a `by:` row, or a `refused:` row after "instead", points to."""
        return _NAMED.findall(self.detail.rpartition("; instead ")[2])


# --- the document ---------------------------------------------------------------------------


def read_rows(text: str) -> tuple[dict[str, Row], list[str]]:
    """Return the rows by number, and one sentence per malformed, doubled or missing row."""
    rows: dict[str, Row] = {}
    errors: list[str] = []
    lines = text.splitlines()
    for at, line in enumerate(lines, start=1):
        if not _ROW_START.match(line):
            continue
        row = _parse_row(line, lines[at] if at < len(lines) else "", at)
        if isinstance(row, str):
            errors.append(row)
        elif row.number in rows:
            errors.append(f"line {at}: {row.number} stands twice")
        else:
            rows[row.number] = row
    errors += [f"{number} is missing" for number in sorted(NUMBERS - rows.keys(), key=_order)]
    errors += [error for row in rows.values() for error in _bad_targets(row)]
    return rows, errors


def _parse_row(line: str, following: str, at: int) -> Row | str:
    match = _ROW.match(line)
    if not match:
        return f"line {at}: not of the form '- **S1** `status` — sentence': {line[:50]}"
    number, status, _ = match.groups()
    word, _, detail = status.partition(":")
    detail = detail.strip()
    if number not in NUMBERS:
        return f"line {at}: unknown number {number}"
    if not _FORM.match(following):
        return f"line {at}: {number} is not followed by its '  Form: …' line"
    takes_detail = {"built": False, "planned": False}.get(word, True)
    if word in WORDS and takes_detail == bool(detail):
        return Row(number, word, detail, at)
    return f"line {at}: {number}: unknown status `{status}`"


def _bad_targets(row: Row) -> Iterator[str]:
    if row.word not in ("by", "refused"):
        return
    where = f"line {row.line}: {row.number}"
    if row.word == "refused" and "; instead " not in row.detail:
        yield f"{where}: a refusal names its lawful alternative: '; instead C22'"
    if not row.targets:
        yield f"{where}: {row.word} names no number"
    for target in row.targets:
        if target not in NUMBERS or target == row.number:
            yield f"{where}: {row.word} names {target}"


# --- the answer -----------------------------------------------------------------------------


def status_of(
    number: str,
    rows: Mapping[str, Row],
    tests: Mapping[str, list[str]],
    seen: frozenset[str] = frozenset(),
) -> str:
    """Return built, refused, by, not software or planned for one number.

    A refusal stays one when tests hold it; any other number with a test is built. `by` holds
    only while every number it points to is built or refused (a circle holds nothing).
    """
    row = rows.get(number)
    if row is None:
        return "planned"
    if row.word == "refused":
        return "refused"
    if tests.get(number):
        return "built"
    if row.word == "not software":
        return "not software"
    if row.word == "by" and number not in seen:
        below = {status_of(t, rows, tests, seen | {number}) for t in row.targets}
        return "by" if below <= {"built", "refused", "by"} else "planned"
    return "planned"


def report(rows: Mapping[str, Row], coverage: Coverage) -> list[str]:
    """Return one line per S and C number and the closing line with the counts."""
    lines, counted = [], dict.fromkeys(("built", "refused", "by", "not software", "planned"), 0)
    covered = {"S": 0, "C": 0}
    for number in sorted((n for n in rows if n[0] in covered), key=_order):
        status = status_of(number, rows, coverage.tests)
        counted[status] += 1
        covered[number[0]] += status != "planned"
        lines.append(_line(rows[number], status, coverage.tests.get(number, [])))
    lines.append(
        f"covered: S {covered['S']}/{COUNTS['S']} C {covered['C']}/{COUNTS['C']} "
        f"built={counted['built']} refused={counted['refused']} by={counted['by']} "
        f"notsoftware={counted['not software']}"
    )
    return lines


def _line(row: Row, status: str, tests: list[str]) -> str:
    if status == "built":
        return f"{row.number:<4}built  {' '.join(tests)}"
    if status == "planned":
        waits = f"  (waits for {row.detail})" if row.word == "by" else ""
        return f"{row.number:<4}planned{waits}"
    held = f"  (held by {' '.join(tests)})" if tests else ""
    return f"{row.number:<4}{status}: {row.detail}{held}"


def update(text: str, rows: Mapping[str, Row], tests: Mapping[str, list[str]]) -> str:
    """Return the document with `built`/`planned` set to what the tests say; nothing else moves."""
    lines = text.splitlines(keepends=True)
    for row in rows.values():
        if row.word in ("built", "planned"):
            word = status_of(row.number, rows, tests)
            lines[row.line - 1] = lines[row.line - 1].replace(f"`{row.word}`", f"`{word}`", 1)
    return "".join(lines)


def _order(number: str) -> tuple[str, int]:
    return ("SCT".index(number[0]), int(number[1:]))


def main(arguments: list[str], *, root: Path = ROOT) -> int:
    """Print the checklist; return 1 when a row is malformed or a marker names no known number."""
    document = root / "docs" / "requirements.md"
    text = document.read_text(encoding="utf-8")
    rows, errors = read_rows(text)
    coverage = read_tests(root, NUMBERS)
    for error in errors:
        print(f"error: docs/requirements.md {error}", file=sys.stderr)
    for error in coverage.errors:
        print(f"error: {error}", file=sys.stderr)
    for note in coverage.uncounted:
        print(f"not counted: {note}", file=sys.stderr)
    if "--update" in arguments and not errors:
        document.write_text(update(text, rows, coverage.tests), encoding="utf-8")
    print("\n".join(report(rows, coverage)))
    return 1 if errors or coverage.errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
