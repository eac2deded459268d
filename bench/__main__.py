"""``python -m bench [NAME …]``: starts everything, measures, prints the table, ends everything."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import bookings, calendly, directory, hanging, listing, memory, public, webhooks, work
from bench.stack import Stack, postgresql_database
from bench.table import Row, render

Measure = Callable[[Stack], Iterator[Row]]

ON_SQLITE: dict[str, Measure] = {
    "public": public.measure,
    "directory": directory.measure,
    "calendly": calendly.measure,
    "webhooks": webhooks.measure,
    "hanging": hanging.measure,
    "work": work.measure,
    "listing": listing.measure,
    "memory": memory.measure,
}
ON_POSTGRESQL: dict[str, Measure] = {
    "public": public.measure,
    "directory": directory.measure,
    "webhooks": webhooks.measure,
    "work": work.measure,
    "listing": listing.measure,
    "bookings": bookings.measure,
}


def main(names: list[str]) -> int:
    """All measures, or those named, on each database that they are for. Returns 1 where one of them is unknown."""
    known = ON_SQLITE | ON_POSTGRESQL
    unknown = set(names) - set(known)
    if unknown:
        print(f"no such measure: {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 1
    began = time.monotonic()
    rows: list[Row] = []
    with postgresql_database() as address:
        for url, measures in ((None, ON_SQLITE), (address, ON_POSTGRESQL)):
            chosen = [measure for name, measure in measures.items() if not names or name in names]
            if not chosen or (measures is ON_POSTGRESQL and url is None):
                continue
            rows += _measure(url, chosen)
    if address is None:
        print("no PostgreSQL answers at TEST_DATABASE_URL: its rows are left out", file=sys.stderr)
    print(render(rows))
    print(
        f"\n{time.monotonic() - began:.0f} s on {os.cpu_count()} processors; how to read it: bench/README.md"
    )
    return 0


def _measure(database_url: str | None, measures: list[Measure]) -> list[Row]:
    rows = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bookingapp-bench-"))
        running = stack.enter_context(Stack(Path(folder), database_url))
        for measure in measures:
            for row in measure(running):
                print(f"measured: {row.what}", file=sys.stderr, flush=True)
                rows.append(row)
    return rows


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
