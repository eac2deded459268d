"""Waits for an event, with a bound that only a machine that hangs reaches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 60.0

LOCK_AWAITED = (
    b"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
"""Whether somebody waits for a lock in the database of a connection to PostgreSQL."""

T = TypeVar("T")


def eventually(
    look: Callable[[], T | None],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    good: Callable[[T], bool] = bool,
) -> T:
    """What ``look`` returns, soon after it is ``good``. Fails with ``what`` was awaited when ``seconds`` are over.

    The longer it has taken, the longer are the pauses: a look may be a page of a server that has to work.
    """
    began = time.monotonic()
    while (seen := look()) is None or not good(seen):
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"waited {seconds:.0f} seconds for {what}; last seen: {seen!r}")
        time.sleep(min(max(waited / 8, PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))
    return seen
