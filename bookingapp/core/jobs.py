"""The registry of jobs: each function that a row of the outbox can name, declared beside it by :func:`job`.

The rows themselves are in :mod:`bookingapp.core.queue`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar, cast, get_type_hints

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.core.db import end_read, transaction
from bookingapp.core.queue import OPEN, Job, enqueue
from bookingapp.outcomes import Done

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Collaborators:
    """What jobs need besides the database, found by class: clients, signers, timers."""

    by_class: Mapping[type, object]

    def get(self, kind: type[T]) -> T:
        """The collaborator of that class. Raises ``KeyError`` where there is none."""
        return cast("T", self.by_class[kind])

    def replacing(self, by_class: Mapping[type, object]) -> Collaborators:
        """These, with others in the place of some."""
        return Collaborators({**self.by_class, **by_class})


@dataclass(frozen=True)
class JobType:
    """Everything about one kind of job.

    ``label`` is a noun for people (lazily translated). ``every`` makes it periodic: a row without arguments for each
    period. ``revive`` retries its dead rows every hour, because a booking depends on them and no person is asked to
    act. ``flag`` is the attention flag that its booking gets while Calendly keeps failing: a person can act instead.
    ``flag_dead`` is the one that its booking gets when a row is dead.
    """

    name: str
    function: Callable[..., object]
    label: str
    every: timedelta | None = None
    revive: bool = False
    flag: str | None = None
    flag_dead: str | None = None

    def run(
        self, session: Session, collaborators: Collaborators, args: Mapping[str, Any], *, now: datetime
    ) -> Done | None:
        """Call the function with what its parameters name: the row's arguments, ``session``, ``now``, and
        collaborators by the class of their annotation. A periodic job enqueues its next period first. Returns what the
        function did instead of its work, if it says so.
        """
        if self.every is not None:
            with transaction(session):
                self.enqueue_next(session, now=now)
        known: dict[str, Any] = {"session": session, "now": now, "args": args, **args}
        given: dict[str, Any] = {}
        for name, kind in self._parameters.items():
            if name in known:
                given[name] = known[name]
            elif kind is not None:
                given[name] = collaborators.get(kind)
        answer = self.function(**given)
        return answer if isinstance(answer, Done) else None

    @cached_property
    def _parameters(self) -> Mapping[str, type | None]:
        """Each parameter with its class, None where it has a default. Read at the first run, when all is imported."""
        hints, parameters = get_type_hints(self.function), inspect.signature(self.function).parameters
        return {name: hints[name] if one.default is one.empty else None for name, one in parameters.items()}

    def ensure_enqueued(self, session: Session, *, now: datetime) -> bool:
        """Enqueue a periodic job unless a row of it is open. Commits. Returns whether one was missing."""
        is_open = session.scalar(sa.select(Job.id).where(Job.name == self.name, sa.text(OPEN)).limit(1))
        end_read(session)
        if is_open is not None:
            return False
        with transaction(session):
            return self._enqueue_period(session, self._period(now), now=now) or self.enqueue_next(
                session, now=now
            )

    def enqueue_next(self, session: Session, *, now: datetime) -> bool:
        """Enqueue the next period's row, in the caller's transaction. Returns whether there was none."""
        return self._enqueue_period(session, self._period(now) + (self.every or timedelta()), now=now)

    def _period(self, now: datetime) -> datetime:
        """When the present period began: periods begin at whole multiples of ``every``."""
        return now - (now - _EPOCH) % (self.every or timedelta(microseconds=1))

    def _enqueue_period(self, session: Session, period: datetime, *, now: datetime) -> bool:
        # The key is the period: however many workers there are, each period runs once.
        key = f"{self.name}:{period:%Y-%m-%dT%H:%M}"
        return enqueue(session, self.name, key=key, args={}, run_at=max(period, now), now=now)


REGISTRY: dict[str, JobType] = {}


def is_overdue(session: Session, name: str, *, by: timedelta, now: datetime) -> bool:
    """Whether the periodic job ``name`` should have ended its last period ``by`` ago. Each row of one is enqueued when
    the period before it begins.
    """
    period = REGISTRY[name].every or timedelta()
    late = sa.select(Job.id).where(Job.name == name, sa.text(OPEN), Job.created_at < now - period - by)
    return session.scalar(late.limit(1)) is not None


def job(
    name: str,
    *,
    label: str,
    every: timedelta | None = None,
    revive: bool = False,
    flag: str | None = None,
    flag_dead: str | None = None,
) -> Callable[[F], F]:
    """Declare the function below as the job ``name``; the fields are those of :class:`JobType`.

    Its parameters say what it needs. Raises ``ValueError`` for a name that is declared twice.
    """

    def declare(function: F) -> F:
        if name in REGISTRY:
            raise ValueError(f"the job {name} is declared twice")
        REGISTRY[name] = JobType(name, function, label, every, revive, flag, flag_dead)
        return function

    return declare


def periodic_jobs() -> list[JobType]:
    """The jobs that are enqueued again for each period."""
    return [kind for kind in REGISTRY.values() if kind.every is not None]
