"""One question at a time: among the threads of this process, and among all processes that share a Redis."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from bookingapp.integrations.calendly.errors import CalendlyUnavailable
from bookingapp.integrations.concurrency import Bulkhead, BulkheadFull
from bookingapp.integrations.redis_link import RedisAway, RedisLink

T = TypeVar("T")

# So long anybody may wait for a question that is under way; to wait longer takes a place in the bulkhead.
SHORT_WAIT: Final = 1.5
_LOOK_EVERY: Final = 0.03
_RELEASE: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
)


@dataclass
class _Flight(Generic[T]):
    result: Future[T] = field(default_factory=Future)
    began: float = field(default_factory=time.monotonic)


class SingleFlight(Generic[T]):
    """Lets one caller per key do the work while the others wait for its result, good or bad."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight[T]] = {}

    def run(self, key: str, work: Callable[[], T], *, patience: float, places: Bulkhead | None = None) -> T:
        """The result of ``work`` or of the flight that is already under way for ``key``.

        An exception of the flight is raised in every caller. Raises Unavailable when the flight takes longer
        than ``patience`` seconds, or has taken SHORT_WAIT and there is none of ``places`` to wait on in.
        """
        with self._lock:
            flight = self._flights.get(key)
            mine = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if not mine:
            return self._follow(flight, patience, places)
        try:
            result = work()
        except BaseException as error:
            # An interrupt of the one thread is no business of the others.
            shared = (
                error if isinstance(error, Exception) else CalendlyUnavailable("the reader was interrupted")
            )
            flight.result.set_exception(shared)
            raise
        else:
            flight.result.set_result(result)
            return result
        finally:
            with self._lock:
                del self._flights[key]

    def _follow(self, flight: _Flight[T], patience: float, places: Bulkhead | None) -> T:
        end = time.monotonic() + max(patience, 0.0)
        try:
            if places is None:
                return flight.result.result(timeout=max(patience, 0.0))
            short = min(end, flight.began + SHORT_WAIT)
            try:
                return flight.result.result(timeout=max(short - time.monotonic(), 0.0))
            except TimeoutError:
                with places.place(patience=0.0):
                    return flight.result.result(timeout=max(end - time.monotonic(), 0.0))
        except BulkheadFull:
            raise CalendlyUnavailable("too many readers are waiting for an answer already") from None
        except TimeoutError:
            raise CalendlyUnavailable("the same question was asked before and has no answer yet") from None


class SharedFlight:
    """A short lock for each key, so that one process asks while the others look for its answer.

    The lock ends by itself after the asker's own time, so a process that dies holds nobody up for long.
    Without a ``link``, or while Redis is away, everybody has a turn at once.
    """

    def __init__(self, link: RedisLink | None) -> None:
        self._link = link

    def run(
        self, key: str, work: Callable[[], T], *, look: Callable[[], T | None], seconds: Callable[[], float]
    ) -> T:
        """The result of ``work``, or what ``look`` finds while another process has the turn.

        ``seconds`` says how much time the caller has left. Raises Unavailable when that is over.
        """
        link = self._link
        if link is None:
            return work()
        name, mark = link.key("turn", key), secrets.token_hex(8)
        while True:
            life = max(round(seconds() * 1000), 100)
            try:
                if link.do(lambda redis: redis.set(name, mark, nx=True, px=life)):  # noqa: B023 - called at once
                    break
            except RedisAway:
                return work()
            if seconds() <= _LOOK_EVERY:
                raise CalendlyUnavailable("another process asked the same and has no answer yet")
            time.sleep(_LOOK_EVERY)
            found = look()
            if found is not None:
                return found
        try:
            found = look()
            return work() if found is None else found
        finally:
            with suppress(RedisAway):
                link.do(lambda redis: redis.eval(_RELEASE, 1, name, mark))
