"""Whether the processes grow with what goes through them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.load import Wave, check, run
from bench.stack import Stack, database_name
from bench.table import Row
from bench.webhooks import ask
from bench.work import wait_until_applied

EVENTS = 100_000
# The first fifth fills caches and pools; from there on nothing is to grow.
WARM = 20_000
CONNECTIONS = 16
SLICE_SECONDS = 5.0
MOST = 1.1


def measure(stack: Stack) -> Iterator[Row]:
    """Resident memory of the web server and of the worker at the end, vs. after the first fifth."""
    name = database_name(stack.database_url)
    with stack.workers() as (worker,):
        web = stack.pid("web")
        sent = _send(stack, WARM)
        wait_until_applied(stack)
        warm = _resident(web), _resident(worker)
        sent += _send(stack, EVENTS - sent)
        wait_until_applied(stack)
        for what, before, after in zip(
            ("web process", "worker"), warm, (_resident(web), _resident(worker)), strict=True
        ):
            title = f"{name}: memory of the {what} after {sent} deliveries, vs. after {WARM}"
            yield Row(title, after, "MB", before, limit=MOST)


def _send(stack: Stack, count: int) -> int:
    """Signed deliveries until there are ``count`` of them; how many there were."""
    sent = 0
    while sent < count:
        heard = run(stack.url, [Wave(CONNECTIONS, lambda _: ask("/webhooks/stripe"))], SLICE_SECONDS)
        check(heard, 200)
        sent += len(heard)
    return sent


def _resident(pid: int) -> float:
    """Megabytes of a process and its children."""
    own = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(own.split()[1]) / 1024 + sum(_resident(int(child)) for child in children)
