"""``python -m bench [NAME …]``: starts everything, measures, prints the table, ends everything."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from bench import calendly, hanging, webhooks
from bench.stack import Stack
from bench.table import Row, render

MEASURES = {"calendly": calendly.measure, "webhooks": webhooks.measure, "hanging": hanging.measure}


def main(names: list[str]) -> int:
    """All measures, or those named. Returns 1 where one of them is unknown."""
    unknown = set(names) - set(MEASURES)
    if unknown:
        print(
            f"no such measure: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}", file=sys.stderr
        )
        return 1
    began = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bookingapp-bench-") as folder, Stack(Path(folder)) as stack:
        for name in names or MEASURES:
            for row in MEASURES[name](stack):
                print(f"measured: {row.what}", file=sys.stderr, flush=True)
                rows.append(row)
    print(render(rows))
    print(
        f"\n{time.monotonic() - began:.0f} s on {os.cpu_count()} processors; how to read it: bench/README.md"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
