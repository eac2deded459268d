"""Kills processes at random moments and starts them again."""

from __future__ import annotations

import random
import threading
import time
from typing import Self

import sqlalchemy as sa

from bookingapp.core.queue import Job, Work, WorkState
from bookingapp.webhooks.models import InboxEvent
from tests.e2e.stack import Stack

# Long enough for a process to begin with something, short enough to strike while it is at it.
QUIET = (0.2, 1.2)
DOWN = (0.0, 0.4)
# How many seconds to wait for a worker to claim a row.
LURK_SECONDS = 1.0


class Killer:
    """SIGKILLs workers and, every third time, a web process, so many ``times`` in all. When and whom follows from the
    seed. At the end of the ``with`` block everything runs again.
    """

    def __init__(self, stack: Stack, seed: int, *, times: int) -> None:
        self._stack, self._rng, self._times = stack, random.Random(seed), times
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)
        self._failure: Exception | None = None
        self.killed: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        assert self._failure is None, self._failure

    def _run(self) -> None:
        try:
            for number in range(self._times):
                self._strike(self._rng.choice(self._stack.webs if number % 3 == 1 else self._stack.workers))
        except Exception as failure:
            self._failure = failure

    def _strike(self, name: str) -> None:
        stack, rng = self._stack, self._rng
        _pass(rng.uniform(*QUIET))
        if name in stack.workers:
            stack.wait_for_worker(name)
            self._lurk()
        stack.kill(name)
        self.killed.append(name)
        _pass(rng.uniform(*DOWN))
        stack.spawn(name)
        if name in stack.webs:
            stack.wait_for(f"{stack.urls[stack.webs.index(name)]}/healthz", name)

    def _lurk(self) -> None:
        """Most kills are to strike in the middle of a row."""
        until = time.monotonic() + LURK_SECONDS
        while time.monotonic() < until and not (self._is_in_hand(InboxEvent) or self._is_in_hand(Job)):
            _pass(0.01)

    def _is_in_hand(self, model: type[Work]) -> bool:
        held = sa.select(model.id).where(model.state == WorkState.PROCESSING).limit(1)
        return bool(self._stack.query(held))


def _pass(seconds: float) -> None:
    """Let a random moment come: when it strikes is what this is about."""
    threading.Event().wait(seconds)
