"""Our own machines: web requests and workers, each with a session of its own, and killed where chance will have it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from bookingapp.core.claims import Batch
from bookingapp.core.db import assert_no_transaction, db
from bookingapp.core.errors import ApplicationError
from bookingapp.core.queue import OPEN, Job, Work, WorkState
from bookingapp.core.time_sources import TimeSources
from bookingapp.integrations.calendly import CalendlyError
from bookingapp.integrations.stripe_gateway import StripeGatewayError
from bookingapp.outcomes import Failure
from bookingapp.webhooks.models import InboxEvent, Provider
from tests.simulation.faults import LAST, Faults
from tests.simulation.world import BEGIN, Crash, SimulationFailed, World

T = TypeVar("T")

RESTART_SECONDS = (1.0, 40.0)


class _Session(FlaskSession):
    """A session whose commits are places where its process may be killed, or lose its turn to another."""

    boundary: Callable[[str], None]

    def commit(self) -> None:
        if not self.in_transaction():
            return
        self.boundary("before")
        super().commit()
        self.boundary("after")


@dataclass(frozen=True)
class Refused:
    """How a request ended that did not get what it asked for: the name of the error, or ``crash``."""

    why: str


class Machines:
    def __init__(self, app: Flask, world: World, faults: Faults) -> None:
        self.app = app
        self.world = world
        self.faults = faults
        self.crashes = 0
        self.time = TimeSources(own=self._own_clock, elapsed=self._elapsed)
        # When they start, processes ask both.
        for provider in Provider:
            self.time.note(provider, BEGIN)

    def _own_clock(self) -> float:
        return (self.world.now + self.faults.ahead(self.world.now)).timestamp()

    def _elapsed(self) -> float:
        return (self.world.now - BEGIN).total_seconds()

    def run(self, do: Callable[[Session], T]) -> T:
        """Do something in a fresh application context with a fresh session, as each request and each step has."""
        with self.app.app_context():
            session = _Session(db, expire_on_commit=False)
            session.boundary = self._boundary
            db.session.registry.set(session)
            return do(session)

    def request(self, who: str, what: str, do: Callable[[Session], T]) -> T | Refused:
        """One request of a browser, in the process that calls. Errors that the pages foresee are answers; any other
        goes through, and fails the simulation.
        """
        self.world.wait(self.world.dice.uniform(0.01, 0.3))
        if self.faults.is_out("web", self.world.now):
            return Refused("web is down")
        try:
            answer = self.run(do)
        except Crash:
            self.world.note(who, f"{what}: the web server was killed")
            return Refused("crash")
        except (ApplicationError, CalendlyError, StripeGatewayError) as error:
            self.world.note(who, f"{what}: {type(error).__name__}")
            return Refused(type(error).__name__)
        self.world.note(who, what)
        return answer

    def may_crash(self) -> None:
        if self.fails(self.faults.crash):
            self.crashes += 1
            raise Crash

    def fails(self, share: float) -> bool:
        """Whether something fails that fails in that share of all cases; after LAST nothing does."""
        return self.world.now < LAST and self.world.chance(share)

    def before_call(self) -> None:
        assert_no_transaction()

    def _boundary(self, where: str) -> None:
        self.may_crash()
        if where == "after" and self.world.chance(0.1):
            self.world.wait(self.world.dice.uniform(0.0, 0.5))


Step = Callable[[Session, Batch[Any]], bool]


@dataclass
class _Worker:
    name: str
    free_at: datetime
    hand: Batch[Any]
    busy: bool = False


@dataclass
class _Queue:
    model: type[Work]
    step: Step
    workers: list[_Worker]
    due: str = field(init=False)

    def __post_init__(self) -> None:
        table = sa.inspect(self.model).local_table
        query = sa.select(sa.func.min(table.c.run_at)).where(sa.text(OPEN))
        self.due = str(query.compile(dialect=sqlite.dialect()))


class Workers:
    """Several worker processes, each with its two loops. None polls: an idle one begins when a row is due."""

    def __init__(self, machines: Machines, *, inbox: Step, outbox: Step, count: int) -> None:
        self._machines = machines
        self._world = machines.world
        now = self._world.now
        self._queues = [
            _Queue(model, step, [_Worker(f"{name}-{n}", now, Batch(model)) for n in range(1, count + 1)])
            for name, model, step in (("inbox", InboxEvent, inbox), ("outbox", Job, outbox))
        ]

    def next_due(self, connection: sqlite3.Connection) -> tuple[datetime, Callable[[], None]] | None:
        """When a worker that is idle has something to do next, and how it begins."""
        found: tuple[datetime, Callable[[], None]] | None = None
        for queue in self._queues:
            (value,) = connection.execute(queue.due).fetchone()
            due = datetime.fromisoformat(value).replace(tzinfo=UTC) if value else None
            idle = [worker for worker in queue.workers if not worker.busy]
            # Claimed rows can be done at once.
            ready = [(worker.free_at, worker) for worker in idle if worker.hand]
            if due is not None:
                # Its clock may be late by as long as an answer was under way.
                late = max(self._world.now - self._machines.time.now(), timedelta())
                ready += [(max(due + late, worker.free_at), worker) for worker in idle]
            if not ready:
                continue
            at, worker = min(ready, key=lambda one: one[0])
            at = max(at, self._world.now)
            if found is None or at < found[0]:
                found = at, self._beginning(queue, worker, due or at)
        return found

    def _beginning(self, queue: _Queue, worker: _Worker, due: datetime) -> Callable[[], None]:
        def work() -> None:
            worker.busy, is_due = True, not worker.hand and self._machines.time.now() >= due
            try:
                busy = self._machines.run(lambda session: queue.step(session, worker.hand))
            except Crash:
                self._world.note(worker.name, f"killed, with {len(worker.hand)} more in hand")
                worker.hand = Batch(queue.model)
                worker.free_at = self._world.now + timedelta(
                    seconds=self._world.dice.uniform(*RESTART_SECONDS)
                )
            else:
                # Rows that it gives back, because they have waited for too long, may be another's by then.
                if not busy and is_due:
                    raise SimulationFailed("a row is due, and a worker does not see it")
            finally:
                worker.busy = False

        return work


def open_rows(connection: Connection, model: type[Work]) -> list[Mapping[str, Any]]:
    table = sa.inspect(model).local_table
    rows = connection.execute(sa.select(table).where(sa.text(OPEN)).order_by(table.c.id))
    return [dict(row) for row in rows.mappings()]


def dead_rows(connection: Connection, model: type[Work]) -> list[Mapping[str, Any]]:
    """The dead rows, except those that a provider has refused for a reason."""
    table = sa.inspect(model).local_table
    rows = connection.execute(sa.select(table).where(table.c.state == WorkState.DEAD).order_by(table.c.id))
    return [
        dict(row)
        for row in rows.mappings()
        if row["outcome"] in (Failure.UNAVAILABLE, Failure.RATE_LIMITED, Failure.UNEXPECTED)
    ]
