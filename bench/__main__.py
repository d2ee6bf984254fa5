"""`make bench [ONLY=P1,P3]`: measure, print the table, write bench/results/latest.json."""

from __future__ import annotations

import argparse
import sys

from bench.harness import fdatasync_ms, machine, save, table
from bench.place import place, settings

BENCHES = ("P1", "P3")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="comma-separated ids, e.g. P1,P3")
    wanted = [name for name in parser.parse_args().only.split(",") if name] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
        return 2
    figures = []
    with place() as here:
        print(machine())
        print(settings(here))
        print(f"one fdatasync: {fdatasync_ms():.2f} ms (median)")
        if "P3" in wanted:
            from bench.p3_bills import measure as measure_bills

            figures += measure_bills(here)
        if "P1" in wanted:
            from bench.p1_callbacks import measure as measure_callbacks

            figures += measure_callbacks(here)
    save(figures)
    print(machine())
    print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
