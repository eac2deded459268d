"""The background worker: applies the inbox, does what the outbox owes, and sleeps when nothing is due.

It drains on SIGTERM and SIGINT (the rows in hand are finished, then it stops) and may be killed at any moment:
what it held is taken up again when its lease ends.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import FrameType
from typing import Any, Final, TypeVar

import structlog
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.checkout.tasks import run_next
from bookingapp.core import heartbeat, services, wake
from bookingapp.core.claims import LEASE, QUICK, Batch
from bookingapp.core.clock import utcnow
from bookingapp.core.db import DATABASE_DOWN, close_session, db
from bookingapp.core.jobs import Collaborators, periodic_jobs
from bookingapp.core.queue import Job
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.session_types.warming import refresh_popular_cards
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.tasks import apply_next

log = structlog.get_logger(__name__)

THREADS = 2
# Even when nothing rings, the tables are looked at this often; the database may know no way of ringing at all.
LOOK_SECONDS: Final = {"sqlite": 5.0, "postgresql": 5.0}
LOOK_SECONDS_ELSEWHERE = 0.2
# So many threads work on quick rows at once, where that is fewer than there are. SQLite has one writer: a second one
# only waits for it.
CROWD: Final = {"sqlite": 1}
TROUBLE_SECONDS = 2.0
WARM_SECONDS = 15.0
# A thread that has not come round for so many leases is stuck, and the worker is no longer counted as alive.
STUCK_LEASES = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """A kind of work: what of it is in this process's hand, and how its next row is done."""

    hand: Batch[Any]
    step: Callable[[Session], bool]


def kinds(lease: timedelta = LEASE, *, ring: Callable[[], object] = lambda: None) -> tuple[Kind, Kind]:
    """Inbox and outbox, each with its collaborators; needs an application context. ``ring`` is called when another
    thread has something to do.
    """
    context, collaborators = services.get(Context), services.get(Collaborators)
    events, owed = Batch(InboxEvent, lease, ring=ring), Batch(Job, lease, ring=ring)
    return (
        Kind(events, lambda session: apply_next(session, context, events, clock=utcnow)),
        Kind(owed, lambda session: run_next(session, collaborators, owed, clock=utcnow)),
    )


def run_due(app: Flask) -> int:
    """Do everything that is due by now, once, and return how many rows that was."""
    done = 0
    with app.app_context():
        for kind in kinds():
            while kind.step(db.session()):
                done += 1
    return done


def run(
    app: Flask, *, threads: int = THREADS, lease: timedelta = LEASE, stop: threading.Event | None = None
) -> None:
    """Work until told to stop. Inbox and outbox have ``threads`` each, so that a provider that hangs while we
    owe it something does not keep the other's news waiting. ``lease`` is how long a row stays with a worker that died.
    """
    Worker(app, threads, lease).run(stop)


class Worker:
    """The threads of one process, and its sign of life."""

    def __init__(self, app: Flask, threads: int, lease: timedelta = LEASE) -> None:
        self._app = app
        self._lease = lease
        self._bell = wake.Bell()
        self._stopping = threading.Event()
        self._name = heartbeat.new_name()
        with app.app_context():
            self._engine = db.engine
            self._kinds = kinds(lease, ring=self._bell.ring)
        self._look_seconds = LOOK_SECONDS.get(self._engine.dialect.name, LOOK_SECONDS_ELSEWHERE)
        self._crowd = CROWD.get(self._engine.dialect.name, threads)
        self._came_round: dict[str, float] = {}
        self._loops = [
            threading.Thread(
                target=self._loop, args=(kind,), name=f"{kind.hand.model.__tablename__}-{number}", daemon=True
            )
            for kind in self._kinds
            for number in range(threads)
        ]

    def run(self, stop: threading.Event | None = None) -> None:
        """Work until SIGTERM or SIGINT, or until ``stop``; then let every thread finish the row that it is at."""
        if stop is None:
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, self._stop)
        else:
            self._stopping = stop
        helpers = [
            threading.Thread(
                target=wake.listen_for_work, args=(self._engine, self._bell, self._stopping), daemon=True
            ),
            threading.Thread(target=self._keep_warm, daemon=True),
        ]
        log.info("worker_started", threads=len(self._loops))
        for thread in (*self._loops, *helpers):
            thread.start()
        begun = False
        while not self._stopping.is_set():
            begun = begun or self._begin()
            self._beat()
            self._stopping.wait(heartbeat.EVERY.total_seconds() if begun else TROUBLE_SECONDS)
        self._bell.ring()
        for thread in (*self._loops, *helpers):
            # A thread that hangs on a provider comes back within the client's patience.
            thread.join()
        for kind in self._kinds:
            self._surviving(partial(kind.hand.give_back, now=utcnow()))
        self._surviving(lambda session: heartbeat.delete_beat(session, self._name))
        log.info("worker_stopped")

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    def _begin(self) -> bool:
        """See to it that everything that comes back by itself has a next time. Returns whether that worked."""

        def begin(session: Session) -> bool:
            for kind in periodic_jobs():
                kind.ensure_enqueued(session, now=utcnow())
            return True

        return self._surviving(begin) or False

    def _beat(self) -> None:
        late = time.monotonic() - STUCK_LEASES * max(self._lease, LEASE).total_seconds()
        stuck = [name for name, at in self._came_round.items() if at < late]
        if stuck or not all(thread.is_alive() for thread in self._loops):
            log.error("worker_stuck", threads=stuck)
            return
        self._surviving(lambda session: heartbeat.record_beat(session, self._name, now=utcnow()))

    def _loop(self, kind: Kind) -> None:
        while not self._stopping.is_set():
            # Read before the tables: what is committed after it rings once more.
            rings = self._bell.rings()
            pause = self._surviving(lambda session: self._work(kind, session))
            if pause is None:
                self._stopping.wait(TROUBLE_SECONDS)
            elif pause:
                self._bell.wait(rings, pause)

    def _work(self, kind: Kind, session: Session) -> float:
        """Do what is in hand, or due. Returns how many seconds it is until the next look, which may be none."""
        while not self._stopping.is_set():
            self._came_round[threading.current_thread().name] = time.monotonic()
            if kind.hand.is_crowded(utcnow(), most=self._crowd):
                self._stopping.wait(QUICK.total_seconds())
            elif not kind.step(session):
                return self._pause(kind.hand.due, utcnow())
            elif not kind.hand:
                break
        return 0.0

    def _pause(self, due: datetime | None, now: datetime) -> float:
        left = self._look_seconds if due is None else (due - now).total_seconds()
        return min(max(left, 0.0), self._look_seconds)

    def _keep_warm(self) -> None:
        """Keep the cards warm that people look at. Nothing depends on it, so it may fail in any way."""
        with self._app.app_context():
            calendly = services.get(Collaborators).get(CalendlyClient)
        while not self._stopping.wait(WARM_SECONDS):
            self._surviving(lambda session: refresh_popular_cards(session, calendly))

    def _surviving(self, do: Callable[[Session], T]) -> T | None:
        """What ``do`` returns with a session of its own. None where the database is away or a bug has bitten: neither
        may end the worker.
        """
        with self._app.app_context():
            try:
                return do(db.session())
            except DATABASE_DOWN as error:
                log.warning("database_unavailable", error=type(error).__name__)
                return None
            except Exception:
                log.exception("worker_step_failed")
                return None
            finally:
                close_session()
