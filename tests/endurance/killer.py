"""Somebody who kills a process at a random moment and starts it again, several times."""

from __future__ import annotations

import random
import threading
from types import TracebackType
from typing import Self

from tests.e2e.stack import Stack

# Long enough for a process to begin with something, short enough to strike while it is at it.
QUIET = (0.2, 1.2)
DOWN = (0.0, 0.4)


class Killer:
    """SIGKILLs one of the workers or the web process, by the seed, until the ``with`` block ends, and at least
    ``least`` times; everything runs again afterwards.
    """

    def __init__(self, stack: Stack, seed: int, *, least: int) -> None:
        self._stack, self._rng, self._least = stack, random.Random(seed), least
        self._next: list[str] = []
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)
        self._failure: Exception | None = None
        self.killed: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._enough.set()
        self._thread.join(timeout=120)
        assert self._failure is None, self._failure

    def _run(self) -> None:
        try:
            while not self._enough.is_set() or len(self.killed) < self._least:
                self._strike()
        except Exception as failure:
            self._failure = failure

    def _strike(self) -> None:
        stack, rng = self._stack, self._rng
        if not self._next:
            # Each of them once, in another order every time.
            everybody = [*stack.workers, *stack.webs]
            self._next = rng.sample(everybody, len(everybody))
        name = self._next.pop()
        _pass(rng.uniform(*QUIET))
        stack.kill(name)
        self.killed.append(name)
        _pass(rng.uniform(*DOWN))
        stack.spawn(name)
        if name in stack.webs:
            stack.wait_for(f"{stack.urls[stack.webs.index(name)]}/healthz", name)


def _pass(seconds: float) -> None:
    """Let a random moment come: when it strikes is what this is about."""
    threading.Event().wait(seconds)
