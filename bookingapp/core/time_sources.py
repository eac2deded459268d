"""Which time it is, by three clocks: this machine's, Calendly's and Stripe's.

A machine's clock may be hours wrong for a moment: before NTP has set it, after its virtual machine was paused. What is
done by such a clock cannot be undone: a hold ends, money goes back, rows are deleted. Each answer of a provider says
which time it is there (``Date``: RFC 9110, section 6.6.1). From then on that time is counted forward by the seconds
that pass here, which setting the clock does not change. Workers and ``flask serve`` send requests for this alone: when
they start, and while the clocks disagree.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import structlog

log = structlog.get_logger(__name__)

TOLERANCE: Final = timedelta(seconds=30)
"""An answer has whole seconds and may have been under way for long: less than this says nothing."""
REPLACE_AFTER: Final = timedelta(hours=1)
"""The answer that came the fastest counts: its clock reads the latest. After so long, a newer one does in any case, so
that a single untrue one does not count for ever."""
ASK_EVERY_SECONDS: Final = 10.0

# The first counts on while the machine sleeps, and not every system has it.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _elapsed() -> float:
    return time.clock_gettime(_CLOCK)


class _Reading(NamedTuple):
    """What a provider's clock read: seconds since 1970, less those that had ``elapsed`` here by then."""

    began: float
    elapsed: float


class TimeSources:
    """The clocks. Of three the middle one is right, of two the earlier one: nothing is done too soon.

    ``own`` is this machine's time in seconds since 1970; ``elapsed`` are seconds since any moment, which no setting of
    the clock changes. Safe for threads.
    """

    def __init__(
        self,
        *,
        own: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = _elapsed,
    ) -> None:
        self._own, self._elapsed = own, elapsed
        self._read: dict[str, _Reading] = {}
        self._was_wrong = False

    def note(self, provider: str, at: datetime) -> None:
        """Note which time ``provider`` says it is (aware), in an answer that has just come."""
        elapsed, before = self._elapsed(), self._read.get(provider)
        new = _Reading(at.timestamp() - elapsed, elapsed)
        if before is not None and elapsed - before.elapsed <= REPLACE_AFTER.total_seconds():
            new = max(before, new, key=lambda one: one.began)
        self._read[provider] = new

    def is_known(self) -> bool:
        """Whether any provider's clock has been read yet."""
        return bool(self._read)

    def now(self) -> datetime:
        """The time, aware and in UTC: this machine's, unless it is wrong by more than ``TOLERANCE``."""
        own = self._own()
        return datetime.fromtimestamp(own - self._error(own), UTC)

    def error(self) -> timedelta:
        """By how much this machine's clock is ahead of the time; nothing while that is within ``TOLERANCE``. A clock
        that becomes wrong, or right again, is logged.
        """
        error = self._error(self._own())
        if bool(error) != self._was_wrong:
            self._was_wrong = bool(error)
            if error:
                log.error("clock_wrong", ahead_seconds=round(error), providers=sorted(map(str, self._read)))
            else:
                log.info("clock_right")
        return timedelta(seconds=error)

    def keep_right(
        self, ask: Callable[[], object], stopping: threading.Event, known: threading.Event | None = None
    ) -> None:
        """``ask`` the providers for the time until one of them has said it, which sets ``known``, and again while our
        clock is not theirs: after a virtual machine was paused, what they said before is late. Returns when
        ``stopping`` is set.
        """
        while not stopping.is_set():
            if self.error() or not self.is_known():
                ask()
            if known is not None and self.is_known():
                known.set()
            stopping.wait(ASK_EVERY_SECONDS)

    def _error(self, own: float) -> float:
        if not self._read:
            return 0.0
        elapsed = self._elapsed()
        clocks = sorted([own, *(one.began + elapsed for one in self._read.copy().values())])
        error = own - clocks[(len(clocks) - 1) // 2]
        return error if abs(error) > TOLERANCE.total_seconds() else 0.0
