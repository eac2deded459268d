"""How many threads may wait for a provider, and work that is done behind its caller's back."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

log = logging.getLogger(__name__)

# Threads that have had nothing to do for so long end; the next piece of work starts new ones.
_IDLE_SECONDS: Final = 10.0


class BulkheadFull(Exception):
    """No place became free in time."""


class Bulkhead:
    """So many threads may wait at once, so that a provider that hangs cannot take every thread there is."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def place(self, patience: float) -> Iterator[None]:
        """Hold a place for the block, waiting up to ``patience`` seconds for one. Raises Full."""
        if not self._places.acquire(timeout=max(patience, 0.0)):
            raise BulkheadFull
        try:
            yield
        finally:
            self._places.release()


class BackgroundWork:
    """Does work in a few threads of its own, each key at most once at a time; what finds no room is left out.

    The threads are daemons: what they do may be lost at any moment, so only do here what somebody will ask
    for again. ``around`` is entered around each piece of work.
    """

    def __init__(
        self,
        *,
        threads: int = 2,
        room: int = 32,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._most_threads = threads
        self._room = room
        self._around = around
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, Callable[[], object]] = OrderedDict()
        self._running: set[str] = set()
        self._threads = 0
        self._idle = 0

    def offer(self, key: str, work: Callable[[], object]) -> bool:
        """Have ``work`` done soon. False where ``key`` is under way already, or there is no room."""
        with self._changed:
            if key in self._running or key in self._waiting or len(self._waiting) >= self._room:
                return False
            self._waiting[key] = work
            if self._idle < len(self._waiting) and self._threads < self._most_threads:
                self._threads += 1
                threading.Thread(target=self._loop, name="behind", daemon=True).start()
            else:
                self._changed.notify_all()
        return True

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is under way. False where that took longer than ``seconds``."""
        end = time.monotonic() + seconds
        with self._changed:
            while self._waiting or self._running:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _loop(self) -> None:
        while (task := self._next()) is not None:
            key, work = task
            try:
                with self._around():
                    work()
            except Exception as error:
                # Nobody waits for it. The class alone: its text may carry what a provider said.
                log.warning("work behind a page failed: %s", type(error).__name__)
            finally:
                with self._changed:
                    self._running.discard(key)
                    self._changed.notify_all()

    def _next(self) -> tuple[str, Callable[[], object]] | None:
        with self._changed:
            end = time.monotonic() + _IDLE_SECONDS
            self._idle += 1
            try:
                while not self._waiting:
                    left = end - time.monotonic()
                    if left <= 0:
                        self._threads -= 1
                        return None
                    self._changed.wait(left)
                key, work = self._waiting.popitem(last=False)
                self._running.add(key)
                return key, work
            finally:
                self._idle -= 1
