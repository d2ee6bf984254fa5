"""What an import did, row by row: for people a table, for programs one JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from backend.estate.roster_diff import CREATED, LEFT_OUT, REFUSED, UNCHANGED, UPDATED, Results
from backend.estate.roster_model import Issue, NotImported, RosterFile

RESULTS = (CREATED, UPDATED, UNCHANGED, REFUSED, LEFT_OUT)


@dataclass(slots=True)
class RosterReport:
    """The answer to one import. `rows`: (sheet, row) → created, updated, unchanged, refused or
    left_out (nothing to store). `imported`: False = the refused rows kept the whole file out."""

    filename: str
    sha256: str
    kind: str
    community: str
    rows: dict[tuple[str, int], str]
    issues: list[Issue]
    not_imported: list[NotImported]
    imported: bool = field(default=False)

    @property
    def refused(self) -> list[Issue]:
        """Return why rows were refused."""
        return [issue for issue in self.issues if issue.severity == "refused"]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows had which result."""
        found = Counter(self.rows.values())
        return {result: found[result] for result in RESULTS}

    def sheets(self) -> dict[str, dict[str, int]]:
        """Return the counts of each sheet, in file order."""
        found: dict[str, Counter[str]] = {}
        for (sheet, _), result in self.rows.items():
            found.setdefault(sheet, Counter())[result] += 1
        return {sheet: {r: counts[r] for r in RESULTS} for sheet, counts in found.items()}

    def as_json(self, *, rows: bool = True) -> dict[str, Any]:
        """Return the report; with `rows` every row on its own, else runs such as "2-9,11"."""
        body: dict[str, Any] = {
            "file": self.filename,
            "sha256": self.sha256,
            "layout": self.kind,
            "community": self.community,
            "imported": self.imported,
            "counts": self.counts,
            "sheets": self.sheets(),
            "issues": [asdict(issue) for issue in self.issues],
            "not_imported": [asdict(column) for column in self.not_imported],
        }
        if rows:
            body["rows"] = [
                {"sheet": sheet, "row": row, "result": result}
                for (sheet, row), result in sorted(self.rows.items())
            ]
        else:
            body["rows"] = self._runs()
        return body

    def _runs(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, list[int]]] = {}
        for (sheet, row), result in sorted(self.rows.items()):
            found.setdefault(sheet, {}).setdefault(result, []).append(row)
        return {
            sheet: {result: _run_text(rows) for result, rows in by_result.items()}
            for sheet, by_result in found.items()
        }


def _run_text(rows: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for row in rows:
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    return ",".join(f"{a}-{b}" if a < b else str(a) for a, b in runs)


def report_of(file: RosterFile, results: Results, *, community: str) -> RosterReport:
    """Return the report of a comparison, before anything is written."""
    return RosterReport(
        filename=file.filename,
        sha256=file.sha256,
        kind=file.kind,
        community=community,
        rows=dict(results.rows),
        issues=list(results.issues),
        not_imported=list(file.not_imported),
    )
