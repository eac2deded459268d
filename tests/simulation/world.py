"""Virtual time, and many processes in it, of which one runs at a time.

A process is a greenlet. It runs until it waits: for a provider's answer, or a moment after a commit. Then whatever is
next in virtual time goes on. So processes interleave exactly where real ones can, between their transactions, and a
seed decides how.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from greenlet import getcurrent, greenlet

BEGIN = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


class Crash(BaseException):
    """The process that runs is killed here: nothing of it goes on."""


class SimulationFailed(AssertionError):
    """The simulated world has shown something that must never happen."""


@dataclass
class Trace:
    """What happened, line by line; the same seed gives the same lines. No line carries an id made by chance."""

    lines: list[str] = field(default_factory=list)
    say: Callable[[str], None] | None = None

    def add(self, now: datetime, who: str, what: str) -> None:
        line = f"{now - BEGIN!s:>24}  {who:<16} {what}"
        self.lines.append(line)
        if self.say is not None:
            self.say(line)

    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


@dataclass(order=True)
class _Due:
    at: datetime
    number: int
    what: Callable[[], object] = field(compare=False)


class World:
    def __init__(self, seed: int, say: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.dice = Random(seed)
        self.now = BEGIN
        self.trace = Trace(say=say)
        self._queue: list[_Due] = []
        self._numbers = itertools.count()
        self._main = getcurrent()

    def note(self, who: str, what: str) -> None:
        self.trace.add(self.now, who, what)

    def at(self, when: datetime, what: Callable[[], object]) -> None:
        """Let something happen then: it runs as a process of its own."""
        heapq.heappush(self._queue, _Due(max(when, self.now), next(self._numbers), what))

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        self.at(self.now + timedelta(seconds=seconds), what)

    def wait(self, seconds: float) -> None:
        """Let time pass for the process that runs; others go on in the meantime."""
        current = getcurrent()
        if current is self._main:
            self.now += timedelta(seconds=seconds)
            return
        self.after(seconds, current.switch)
        self._main.switch()

    def next_at(self) -> datetime | None:
        return self._queue[0].at if self._queue else None

    def step(self) -> bool:
        """Let the next thing happen, as far as it goes without waiting. False where nothing is left."""
        if not self._queue:
            return False
        due = heapq.heappop(self._queue)
        self.now = max(self.now, due.at)
        if getattr(due.what, "__self__", None).__class__ is greenlet:
            due.what()
        else:
            greenlet(due.what).switch()
        return True

    def begin(self, when: datetime, what: Callable[[], object]) -> None:
        """Let something happen next, as a process of its own: nothing else is to happen before then."""
        self.now = max(self.now, when)
        greenlet(what).switch()

    def advance(self, minutes: float) -> None:
        until = self.now + timedelta(minutes=minutes)
        while self._queue and self._queue[0].at <= until:
            self.step()
        self.now = max(self.now, until)

    def chance(self, share: float) -> bool:
        return share > 0 and self.dice.random() < share
