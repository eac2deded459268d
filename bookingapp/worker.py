"""The background worker: applies the inbox, does what the outbox owes, and sleeps when nothing is due.

It drains on SIGTERM and SIGINT (the row in hand is finished, then it stops) and may be killed at any moment:
what it held is taken up again when its lease ends.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import structlog
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.checkout.tasks import Context as JobContext
from bookingapp.checkout.tasks import run_next
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.session_types.warming import keep_warm
from bookingapp.webhooks import watch
from bookingapp.webhooks.handlers import Context as InboxContext
from bookingapp.webhooks.jobs import jobs as jobs_of_webhooks
from bookingapp.webhooks.tasks import apply_next

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.1
TROUBLE_SECONDS = 2.0
WARM_SECONDS = 15.0

Step = Callable[[Session], bool]


def steps() -> tuple[Step, Step]:
    """The two kinds of work, each with its collaborators; needs an application context."""
    inbox, jobs = services.get(InboxContext), services.get(JobContext)
    others = jobs_of_webhooks(inbox)
    return (
        lambda session: apply_next(session, inbox, clock=utcnow),
        lambda session: run_next(session, jobs, clock=utcnow, others=others),
    )


def run_due(app: Flask) -> int:
    """Do everything that is due by now, once, and return how many rows that was."""
    done = 0
    with app.app_context():
        for step in steps():
            while step(db.session()):
                done += 1
    return done


def run(app: Flask, *, stop: threading.Event | None = None) -> None:
    """Work until told to stop. Inbox and outbox have a thread each, so that a provider that hangs while we
    owe it something does not keep the other's news waiting.
    """
    stopping = stop or threading.Event()
    if stop is None:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stopping.set())
    threads = [threading.Thread(target=_loop, args=(app, number, stopping), daemon=True) for number in (0, 1)]
    threads.append(threading.Thread(target=_warm_loop, args=(app, stopping), daemon=True))
    log.info("worker_started")
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            thread.join(timeout=0.2)
    log.info("worker_stopped")


def _loop(app: Flask, number: int, stopping: threading.Event) -> None:
    with app.app_context():
        step = steps()[number]
        if number == 1:
            step = _watching(step)
        while not stopping.is_set():
            try:
                busy = step(db.session())
            except Exception:
                # The database is away or a bug has bitten: neither may end the worker.
                log.exception("worker_step_failed")
                stopping.wait(TROUBLE_SECONDS)
                busy = False
            finally:
                db.session.remove()
            if not busy:
                stopping.wait(POLL_SECONDS)


def _watching(step: Step) -> Step:
    """The same work, and before it, once: see that the hourly look at Calendly's subscriptions is owed."""
    begun = False

    def work(session: Session) -> bool:
        nonlocal begun
        if not begun:
            watch.begin(session, now=utcnow())
            begun = True
        return step(session)

    return work


def _warm_loop(app: Flask, stopping: threading.Event) -> None:
    """Keep the cards warm that people look at. Nothing depends on it, so it may fail in any way."""
    with app.app_context():
        calendly = services.get(JobContext).calendly
        while not stopping.wait(WARM_SECONDS):
            try:
                keep_warm(db.session(), calendly)
            except Exception:
                log.exception("worker_step_failed")
            finally:
                db.session.remove()
