"""Measuring side by side: product and floor take turns in one run, median and spread of both.

A figure is never asserted; it is printed with the floor that stood beside it and kept in
`bench/results/latest.json` as a list of
`{id, value, unit, floor, ratio, goal, met, spread, at}`. These machines are noisy and their disks
throttle, so the median time of one fdatasync is printed next to every commit-bound figure.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("results") / "latest.json"


@dataclass(frozen=True)
class Figure:
    """One measured number. ratio = value ÷ floor; goal is what the ratio (or value) should meet."""

    id: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    goal: str
    met: bool
    spread: str
    at: str


def figure(
    *,
    id: str,
    unit: str,
    values: list[float],
    floors: list[float] | None,
    goal: str,
    met: Callable[[float], bool],
) -> Figure:
    """Return the figure of repeated measurements; `met` judges the ratio (value if no floor)."""
    value = statistics.median(values)
    floor = statistics.median(floors) if floors else None
    ratio = value / floor if floor else None
    spread = f"{min(values):.3g}–{max(values):.3g}"
    if floors:
        spread += f" (floor {min(floors):.3g}–{max(floors):.3g})"
    return Figure(
        id=id,
        value=round(value, 3),
        unit=unit,
        floor=None if floor is None else round(floor, 3),
        ratio=None if ratio is None else round(ratio, 3),
        goal=goal,
        met=met(value if ratio is None else ratio),
        spread=spread,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def fdatasync_ms(samples: int = 50) -> float:
    """Return the median time of one small fdatasync here, in milliseconds."""
    times = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(samples):
            file.write(b"x" * 512)
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def machine() -> str:
    """Return what the figures were measured on and how busy it is, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, load {load}"


def alternately(
    product: Callable[[int], float], floor: Callable[[int], float], rounds: int = 3
) -> tuple[list[float], list[float]]:
    """Run product and floor in turns; each gets the round number and returns its measurement."""
    values, floors = [], []
    for number in range(rounds):
        floors.append(floor(number))
        values.append(product(number))
    return values, floors


def save(figures: list[Figure]) -> None:
    """Write the latest results; figures not measured in this run keep their last value."""
    RESULTS.parent.mkdir(exist_ok=True)
    kept = {}
    if RESULTS.exists():
        kept = {row["id"]: row for row in json.loads(RESULTS.read_text())}
    kept |= {f.id: asdict(f) for f in figures}
    RESULTS.write_text(json.dumps(list(kept.values()), ensure_ascii=False, indent=1) + "\n")


def table(figures: list[Figure]) -> str:
    """Return the figures as a table for the terminal."""
    lines = [
        f"{'id':14} {'value':>12} {'unit':9} {'floor':>12} {'ratio':>7} {'goal':22} met  spread"
    ]
    for f in figures:
        floor = "" if f.floor is None else f"{f.floor:,.1f}"
        ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
        lines.append(
            f"{f.id:14} {f.value:>12,.1f} {f.unit:9} {floor:>12} {ratio:>7} {f.goal:22} "
            f"{'yes' if f.met else 'NO':4} {f.spread}"
        )
    return "\n".join(lines)
