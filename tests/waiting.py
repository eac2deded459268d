"""Waits for an event, with a bound that only a machine that hangs reaches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 60.0

T = TypeVar("T")


def eventually(
    look: Callable[[], T | None],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    good: Callable[[T], bool] = bool,
) -> T:
    """What ``look`` returns, as soon as it is ``good``. Fails with ``what`` was awaited when ``seconds`` are over."""
    deadline = time.monotonic() + seconds
    while (seen := look()) is None or not good(seen):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} seconds for {what}; last seen: {seen!r}")
        time.sleep(PAUSE_SECONDS)
    return seen
