"""A circuit breaker for one process: a provider that keeps failing is not called for a while, then tried once.

One that all processes share is in ``redis_breaker``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

T = TypeVar("T")

BreakerState = Literal["closed", "open", "half_open"]
# A failure that kept its caller waiting for this many seconds counts for more than a quick one: at the default
# threshold two calls that hang open the circuit, or five that are refused at once.
SLOW_SECONDS: Final = 2.0
SLOW_FAILURE_WEIGHT: Final = 3
Counted = type[BaseException] | tuple[type[BaseException], ...]


class CircuitOpen(Exception):
    """The call was not made: the provider has just failed too often. ``retry_after`` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the circuit is open")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Ticket:
    """The permission to make one call. What a call of an earlier ``era`` reports is ignored: it comes too late.

    ``probe`` is the mark of the one call that a half-open breaker admits, empty for all others.
    """

    era: int
    probe: str = ""
    is_shared: bool = False


class CircuitBreaker:
    """Closed, open, half-open, for one provider in one process. Safe for threads.

    After ``failure_threshold`` failures in a row (a slow one counts as SLOW_FAILURE_WEIGHT) it opens and refuses
    calls for ``reset_after`` seconds. Then it admits exactly one probe: if the provider answers it closes, if the
    probe fails it opens again. The lock is never held during a call.
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        reset_after: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failure_threshold = failure_threshold
        self._reset_after = reset_after
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False
        # Each opening and closing begins a new era.
        self._era = 0

    @property
    def state(self) -> BreakerState:
        """The state as the next caller would find it."""
        with self._lock:
            if self._open_until is None:
                return "closed"
            return "open" if self._clock() < self._open_until else "half_open"

    def call(self, fn: Callable[[], T], *, counts: Counted = Exception) -> T:
        """Call ``fn`` and return its result, or raise CircuitOpen without calling it.

        Only exceptions of ``counts`` are failures. Any other Exception means that the provider did answer (a
        refusal is an answer), so it counts as a success. What is no Exception, such as an interrupt, counts as
        neither.
        """
        ticket = self._admit()
        started = self._clock()
        weight: int | None = None
        try:
            result = fn()
            weight = 0
            return result
        except counts:
            weight = SLOW_FAILURE_WEIGHT if self._clock() - started >= SLOW_SECONDS else 1
            raise
        except Exception:
            weight = 0
            raise
        finally:
            self._report(ticket, weight)

    def _admit(self) -> Ticket:
        """The permission for one call. Raises CircuitOpen."""
        with self._lock:
            if self._open_until is None:
                return Ticket(self._era)
            wait = self._open_until - self._clock()
            if wait > 0:
                raise CircuitOpen(retry_after=wait)
            if self._probing:
                # Another caller's probe is under way; its answer is a second or two away.
                raise CircuitOpen(retry_after=1.0)
            self._probing = True
            return Ticket(self._era, probe="probe")

    def _report(self, ticket: Ticket, weight: int | None) -> None:
        """How the call went: 0 for an answer, the weight of a failure, None where that is not known."""
        with self._lock:
            if ticket.probe:
                self._probing = False
            if ticket.era != self._era or weight is None:
                return
            if weight == 0:
                self._failures = 0
                if ticket.probe:
                    self._open_until = None
                    self._era += 1
                return
            self._failures += weight
            if ticket.probe or self._failures >= self._failure_threshold:
                self._failures = 0
                self._open_until = self._clock() + self._reset_after
                self._era += 1
