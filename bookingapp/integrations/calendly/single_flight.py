"""Concurrent callers that ask Calendly the same share one request: the threads of a process, then all processes."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from bookingapp.integrations.calendly.errors import CalendlyUnavailable
from bookingapp.integrations.concurrency import Bulkhead, BulkheadFull
from bookingapp.integrations.redis_link import RedisAway, RedisLink

T = TypeVar("T")

# Every caller may wait this long for a request that is under way; longer needs a place in the bulkhead (seconds).
SHORT_WAIT: Final = 1.5
_POLL_SECONDS: Final = 0.03
_RELEASE: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
)


@dataclass
class _Flight(Generic[T]):
    result: Future[T] = field(default_factory=Future)
    began: float = field(default_factory=time.monotonic)


class SingleFlight(Generic[T]):
    """Lets one thread per key do the work while the others wait for its result, good or bad."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight[T]] = {}

    def run(self, key: str, work: Callable[[], T], *, patience: float, places: Bulkhead | None = None) -> T:
        """The result of ``work`` or of the flight that is already under way for ``key``.

        An exception of the flight is raised in every caller. Raises CalendlyUnavailable when the flight lasts longer
        than ``patience`` seconds, or longer than SHORT_WAIT where none of ``places`` is free.
        """
        with self._lock:
            under_way = self._flights.get(key)
            if under_way is None:
                flight = self._flights[key] = _Flight()
        if under_way is not None:
            return self._wait_for_flight(under_way, patience, places)
        try:
            result = work()
        except BaseException as error:
            # An interrupt of this one thread must not interrupt the others.
            interrupted = CalendlyUnavailable("the reader was interrupted")
            flight.result.set_exception(error if isinstance(error, Exception) else interrupted)
            raise
        else:
            flight.result.set_result(result)
            return result
        finally:
            with self._lock:
                del self._flights[key]

    def _wait_for_flight(self, flight: _Flight[T], patience: float, places: Bulkhead | None) -> T:
        end = time.monotonic() + max(patience, 0.0)
        without_place = end if places is None else min(end, flight.began + SHORT_WAIT)
        try:
            try:
                return flight.result.result(timeout=max(without_place - time.monotonic(), 0.0))
            except TimeoutError:
                if places is None:
                    raise
            with places.place(patience=0.0):
                return flight.result.result(timeout=max(end - time.monotonic(), 0.0))
        except BulkheadFull:
            raise CalendlyUnavailable("too many readers are waiting for an answer already") from None
        except TimeoutError:
            raise CalendlyUnavailable("the same question was asked before and has no answer yet") from None


class SharedFlight:
    """A short Redis lock for each key, so that one process asks while the others poll for its answer.

    The lock expires after the asker's own time, so a process that dies does not block the others for long. Without a
    ``link``, or while Redis is away, every process does its own work.
    """

    def __init__(self, link: RedisLink | None) -> None:
        self._link = link

    def run(
        self,
        key: str,
        work: Callable[[], T],
        *,
        find: Callable[[], T | None],
        seconds_left: Callable[[], float],
    ) -> T:
        """The result of ``work``, or what ``find`` gives while another process has the lock.

        Raises CalendlyUnavailable when the caller has no ``seconds_left``.
        """
        link = self._link
        if link is None:
            return work()
        name, mark = link.key("turn", key), secrets.token_hex(8)
        while True:
            life = max(round(seconds_left() * 1000), 100)
            try:
                if link.do(lambda redis: redis.set(name, mark, nx=True, px=life)):  # noqa: B023 - called at once
                    break
            except RedisAway:
                return work()
            if seconds_left() <= _POLL_SECONDS:
                raise CalendlyUnavailable("another process asked the same and has no answer yet")
            time.sleep(_POLL_SECONDS)
            found = find()
            if found is not None:
                return found
        try:
            found = find()
            return work() if found is None else found
        finally:
            link.attempt(lambda redis: redis.eval(_RELEASE, 1, name, mark))
