"""The background worker: applies the inbox, runs the jobs of the outbox, and sleeps while nothing is due.

On SIGTERM and SIGINT it finishes the rows that its threads are working on, then stops. It may be killed at any
moment: another worker claims its rows when their lease ends.
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
from bookingapp.core.clock import TIME_SOURCES, utcnow
from bookingapp.core.database_failures import find_cause
from bookingapp.core.db import DATABASE_DOWN, close_session, db
from bookingapp.core.jobs import Collaborators, periodic_jobs
from bookingapp.core.queue import Job
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.session_types.warming import refresh_popular_cards
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.tasks import apply_next
from bookingapp.wiring import ask_time

log = structlog.get_logger(__name__)

THREADS = 2
# How often the tables are polled when no notification arrives; other databases cannot notify.
POLL_SECONDS: Final = {"sqlite": 5.0, "postgresql": 5.0}
POLL_SECONDS_ELSEWHERE = 0.2
# How many threads work on quick rows at once; unlimited by default. SQLite has one writer, so a second thread waits.
CROWD: Final = {"sqlite": 1}
TROUBLE_SECONDS = 2.0
WARM_SECONDS = 15.0
# How long the jobs of a worker that starts wait for a provider that says the time.
TIME_PATIENCE_SECONDS = 30.0
# A thread that has made no progress for so many leases is stuck, and its worker no longer counts as alive.
STUCK_LEASES = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Queue:
    """One of the two queues: the rows that this process has claimed, and the function that works on the next one."""

    batch: Batch[Any]
    run_next: Callable[[Session], bool]


def make_queues(
    lease: timedelta = LEASE, *, ring: Callable[[], object] = lambda: None
) -> tuple[Queue, Queue]:
    """Inbox and outbox with their collaborators; needs an application context. ``ring`` is called when there is work
    for another thread.
    """
    context, collaborators = services.get(Context), services.get(Collaborators)
    events, jobs = Batch(InboxEvent, lease, ring=ring), Batch(Job, lease, ring=ring)
    return (
        Queue(events, lambda session: apply_next(session, context, events, clock=utcnow)),
        Queue(jobs, lambda session: run_next(session, collaborators, jobs, clock=utcnow)),
    )


def run_due(app: Flask) -> int:
    """Work on every row that is due by now, once. Returns how many there were."""
    done = 0
    with app.app_context():
        for queue in make_queues():
            while queue.run_next(db.session()):
                done += 1
    return done


class Worker:
    """The threads of one worker process.

    Inbox and outbox have ``threads`` each, so that jobs that wait for a provider do not delay deliveries. ``lease`` is
    how long a row stays claimed by a worker that died.
    """

    def __init__(self, app: Flask, threads: int = THREADS, lease: timedelta = LEASE) -> None:
        self._app = app
        self._lease = lease
        self._bell = wake.Bell()
        self._stopping = threading.Event()
        self._time_is_known = threading.Event()
        self._name = heartbeat.new_name()
        with app.app_context():
            self._engine = db.engine
            self._ask_time = partial(ask_time, services.get(Settings))
            self._queues = make_queues(lease, ring=self._bell.ring)
        self._poll_seconds = POLL_SECONDS.get(self._engine.dialect.name, POLL_SECONDS_ELSEWHERE)
        self._crowd = CROWD.get(self._engine.dialect.name, threads)
        self._progress: dict[str, float] = {}
        """By thread: when it last began with a row or found none."""
        self._loops = [
            threading.Thread(
                target=self._loop,
                args=(queue,),
                name=f"{queue.batch.model.__tablename__}-{number}",
                daemon=True,
            )
            for queue in self._queues
            for number in range(threads)
        ]

    def run(self, stop: threading.Event | None = None) -> None:
        """Work until SIGTERM or SIGINT, or until ``stop`` is set; then let every thread finish its row."""
        if stop is None:
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, self._stop)
        else:
            self._stopping = stop
        helpers = [
            threading.Thread(
                target=TIME_SOURCES.keep_right,
                args=(self._ask_time, self._stopping, self._time_is_known),
                daemon=True,
            ),
            threading.Thread(
                target=wake.listen_for_work, args=(self._engine, self._bell, self._stopping), daemon=True
            ),
            threading.Thread(target=self._keep_warm, daemon=True),
        ]
        log.info("worker_started", threads=len(self._loops))
        for thread in (*self._loops, *helpers):
            thread.start()
        is_scheduled = False
        while not self._stopping.is_set():
            is_scheduled = is_scheduled or self._enqueue_periodic_jobs()
            self._beat()
            self._stopping.wait(heartbeat.EVERY.total_seconds() if is_scheduled else TROUBLE_SECONDS)
        self._bell.ring()
        self._time_is_known.set()
        for thread in (*self._loops, *helpers):
            # A thread that waits for a provider ends with the client's time-out.
            thread.join()
        for queue in self._queues:
            self._with_session(partial(queue.batch.give_back, now=utcnow()))
        self._with_session(lambda session: heartbeat.delete_beat(session, self._name))
        log.info("worker_stopped")

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    def _enqueue_periodic_jobs(self) -> bool:
        """Enqueue each periodic job that is missing. Returns whether that worked."""

        def enqueue_all(session: Session) -> bool:
            for job in periodic_jobs():
                job.ensure_enqueued(session, now=utcnow())
            return True

        return self._with_session(enqueue_all) or False

    def _beat(self) -> None:
        """Record that this worker is alive, unless one of its threads is stuck or has ended."""
        late = time.monotonic() - STUCK_LEASES * max(self._lease, LEASE).total_seconds()
        stuck = [name for name, at in self._progress.items() if at < late]
        if stuck or not all(thread.is_alive() for thread in self._loops):
            log.error("worker_stuck", threads=stuck)
            return
        self._with_session(lambda session: heartbeat.record_beat(session, self._name, now=utcnow()))

    def _loop(self, queue: Queue) -> None:
        """What one thread does until the worker stops."""
        if queue.batch.model is Job:
            # A job may end a hold, and a machine that has just started may have neither the time nor a network yet.
            self._time_is_known.wait(TIME_PATIENCE_SECONDS)
        while not self._stopping.is_set():
            # Read before the table, so that a commit after that still ends the wait.
            rings = self._bell.rings()
            pause = self._with_session(lambda session: self._drain(queue, session))
            if pause is None:
                self._stopping.wait(TROUBLE_SECONDS)
            elif pause:
                self._bell.wait(rings, pause)

    def _drain(self, queue: Queue, session: Session) -> float:
        """Work on claimed and due rows. Returns the seconds until the next row is due, 0 for more work at once."""
        while not self._stopping.is_set():
            self._progress[threading.current_thread().name] = time.monotonic()
            if queue.batch.is_crowded(utcnow(), most=self._crowd):
                self._stopping.wait(QUICK.total_seconds())
            elif not queue.run_next(session):
                return self._seconds_until(queue.batch.due)
            elif not queue.batch:
                break
        return 0.0

    def _seconds_until(self, due: datetime | None) -> float:
        left = self._poll_seconds if due is None else (due - utcnow()).total_seconds()
        return min(max(left, 0.0), self._poll_seconds)

    def _keep_warm(self) -> None:
        """Refresh the session-type cards that people have opened lately. Nothing depends on it, so it may fail."""
        with self._app.app_context():
            calendly = services.get(Collaborators).get(CalendlyClient)
        while not self._stopping.wait(WARM_SECONDS):
            self._with_session(lambda session: refresh_popular_cards(session, calendly))

    def _with_session(self, do: Callable[[Session], T]) -> T | None:
        """What ``do`` returns with a session of its own. None where the database is away or ``do`` has a bug, neither
        of which may end the worker.
        """
        with self._app.app_context():
            try:
                return do(db.session())
            except DATABASE_DOWN as error:
                log.warning("database_unavailable", kind=find_cause(error), error=type(error).__name__)
                return None
            except Exception:
                log.exception("worker_step_failed")
                return None
            finally:
                close_session()
