"""Limits on threads: how many may wait for a provider, and work that runs behind a page in threads of its own."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

log = logging.getLogger(__name__)

# Idle threads end after this time; the next piece of work starts new ones.
_IDLE_SECONDS: Final = 10.0


class BulkheadFull(Exception):
    """No place became free in time."""


class Bulkhead:
    """At most ``places`` threads may wait at once, so that a provider that hangs cannot hold every thread."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def place(self, patience: float) -> Iterator[None]:
        """Hold a place for the block, waiting up to ``patience`` seconds for one. Raises BulkheadFull."""
        if not self._places.acquire(timeout=max(patience, 0.0)):
            raise BulkheadFull
        try:
            yield
        finally:
            self._places.release()


class BackgroundWork:
    """Runs work in at most ``threads`` threads, each key at most once at a time; at most ``room`` pieces wait.

    The threads are daemons: what they do may be lost at any moment, so this is only for work that a later request
    submits again. ``around`` is entered around each piece of work.
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

    def submit(self, key: str, work: Callable[[], object]) -> bool:
        """Run ``work`` soon. False where work under ``key`` is waiting or running already, or there is no room."""
        with self._changed:
            if key in self._running or key in self._waiting or len(self._waiting) >= self._room:
                return False
            self._waiting[key] = work
            if self._idle < len(self._waiting) and self._threads < self._most_threads:
                self._threads += 1
                threading.Thread(target=self._work_until_idle, name="background", daemon=True).start()
            else:
                self._changed.notify_all()
        return True

    def wait_for(self, key: str, seconds: float) -> bool:
        """Wait until no work under ``key`` is waiting or running. False where that needs longer than ``seconds``."""
        with self._changed:
            return self._changed.wait_for(
                lambda: key not in self._waiting and key not in self._running, max(seconds, 0.0)
            )

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is waiting or running. False where that needs longer than ``seconds``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._running, seconds)

    def _work_until_idle(self) -> None:
        while (task := self._next_work()) is not None:
            key, work = task
            try:
                with self._around():
                    work()
            except Exception as error:
                # The class alone: its text may carry what a provider said.
                log.warning("background work failed: %s", type(error).__name__)
            finally:
                with self._changed:
                    self._running.discard(key)
                    self._changed.notify_all()

    def _next_work(self) -> tuple[str, Callable[[], object]] | None:
        """The next piece of work; None where none came in time and the thread has to end."""
        with self._changed:
            self._idle += 1
            try:
                if not self._changed.wait_for(lambda: self._waiting, _IDLE_SECONDS):
                    self._threads -= 1
                    return None
                key, work = self._waiting.popitem(last=False)
                self._running.add(key)
                return key, work
            finally:
                self._idle -= 1
