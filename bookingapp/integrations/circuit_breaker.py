"""Between us and a provider in trouble: a circuit breaker, and how long to wait before a retry."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeVar

T = TypeVar("T")

BreakerState = Literal["closed", "open", "half_open"]
# A failure that kept its caller waiting for so many seconds is dearer than a quick one, and counts for more:
# at the default threshold two calls that hang open the circuit, or five that are refused at once.
SLOW_SECONDS: Final = 2.0
SLOW_FAILURE_WEIGHT: Final = 3
Counted = type[BaseException] | tuple[type[BaseException], ...]


class CircuitOpen(Exception):
    """The call was not made: the provider has just failed too often. ``retry_after`` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the circuit is open")
        self.retry_after = retry_after


class Breaker(Protocol):
    """What a client needs of a circuit breaker, so that one with shared state can take this one's place."""

    @property
    def state(self) -> BreakerState:
        """The state as the next caller would find it."""
        ...

    def call(self, fn: Callable[[], T], *, counts: Counted = ...) -> T:
        """Call ``fn``, or raise CircuitOpen; its exceptions of ``counts`` are failures."""
        ...


class CircuitBreaker:
    """Closed, open, half-open, for one provider in one process. Safe for threads.

    After ``failure_threshold`` failures in a row (a slow one counts as SLOW_FAILURE_WEIGHT of them) it opens
    and refuses calls for ``reset_after`` seconds. Then
    it lets exactly one probe through: if the provider answers it closes, if the probe fails it opens again.
    The lock is held only to look at and change the state, never during the call.
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
        # Each opening and closing starts a new era. What a call of an earlier era reports comes too late.
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

        Only exceptions of ``counts`` are failures. Any other Exception means that the provider did answer
        (a refusal is an answer), so it counts as a success. What is no Exception, such as an interrupt,
        tells nothing either way.
        """
        era, is_probe = self._enter()
        started = self._clock()
        healthy: bool | None = None
        try:
            result = fn()
            healthy = True
            return result
        except counts:
            healthy = False
            raise
        except Exception:
            healthy = True
            raise
        finally:
            slow = self._clock() - started >= SLOW_SECONDS
            self._leave(era, is_probe=is_probe, healthy=healthy, weight=SLOW_FAILURE_WEIGHT if slow else 1)

    def _enter(self) -> tuple[int, bool]:
        with self._lock:
            if self._open_until is None:
                return self._era, False
            wait = self._open_until - self._clock()
            if wait > 0:
                raise CircuitOpen(retry_after=wait)
            if self._probing:
                # Somebody else's probe is out; its answer is a second or two away.
                raise CircuitOpen(retry_after=1.0)
            self._probing = True
            return self._era, True

    def _leave(self, era: int, *, is_probe: bool, healthy: bool | None, weight: int) -> None:
        with self._lock:
            if is_probe:
                self._probing = False
            if era != self._era or healthy is None:
                return
            if healthy:
                self._failures = 0
                if is_probe:
                    self._open_until = None
                    self._era += 1
                return
            self._failures += weight
            if is_probe or self._failures >= self._failure_threshold:
                self._failures = 0
                self._open_until = self._clock() + self._reset_after
                self._era += 1


# Beyond this exponent every sensible cap is reached; it also keeps the power from overflowing a float.
_LARGEST_EXPONENT = 62


def backoff(
    attempt: int,
    *,
    base: float,
    cap: float,
    jitter: float = 0.2,
    rng: random.Random | None = None,
) -> float:
    """Seconds to wait after the ``attempt``-th failed try (counted from 1): doubling, jittered, capped.

    ``base`` is the wait after the first failure and ``cap`` the longest wait, both in seconds. ``jitter`` is
    the share by which the wait is spread to both sides (0.2: 80 % to 120 %), so that many waiters do not all
    come back at once; the result never exceeds ``cap``.
    """
    exponent = min(max(attempt - 1, 0), _LARGEST_EXPONENT)
    wait = min(cap, base * 2.0**exponent)
    draw = random.uniform if rng is None else rng.uniform
    return min(cap, wait * draw(1 - jitter, 1 + jitter))
