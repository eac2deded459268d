"""Idle workers are woken by work, have heartbeats, and run what is periodic; old bodies are deleted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp import worker
from bookingapp.core import claims, heartbeat, queue, wake
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, end_read, transaction
from bookingapp.core.heartbeat import Workers
from bookingapp.core.jobs import JobType
from bookingapp.core.queue import Job, WorkState
from bookingapp.webhooks import routing
from bookingapp.webhooks.handlers import Outcome, Step
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent, Provider
from tests.factories import NOW, inbox_row, number
from tests.service.jobs import enqueue
from tests.waiting import eventually

DAILY = JobType("tests.daily", lambda: None, label="a test", every=timedelta(days=1))
SECOND = timedelta(seconds=1)


@contextmanager
def listening(app: Flask) -> Iterator[wake.Bell]:
    """A bell that rings for what others commit."""
    bell, stopping = wake.Bell(), threading.Event()
    with app.app_context():
        engine = db.engine
    thread = threading.Thread(target=wake.listen_for_work, args=(engine, bell, stopping))
    thread.start()
    try:
        # It rings once when it begins to listen.
        bell.wait(0, 10)
        yield bell
    finally:
        stopping.set()
        thread.join(timeout=10)
        assert not thread.is_alive()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_timer_does_not_ring_on_postgresql(app: Flask, session: Session) -> None:
    with listening(app) as bell:
        before = bell.rings()
        enqueue(session, run_at=NOW + timedelta(hours=1))
        enqueue(session)
        bell.wait(before, 10)
        assert bell.rings() == before + 1


def test_a_ring_before_the_wait_is_not_missed() -> None:
    """The wait is for a ring since the number that was read before it."""
    bell = wake.Bell()
    before = bell.rings()
    bell.ring()
    finished = threading.Event()

    def wait() -> None:
        bell.wait(before, 60)
        finished.set()

    threading.Thread(target=wait, daemon=True).start()
    assert finished.wait(10)


@pytest.mark.any_database
def test_work_that_is_due_rings(app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after the database was away, when the listener listens again."""
    monkeypatch.setattr(wake, "TROUBLE_SECONDS", 0.01)
    name = db.engine.dialect.name
    listener, falls = wake._LISTENERS[name], list[int]()

    def falling(engine: sa.Engine, bell: wake.Bell, stopping: threading.Event) -> None:
        if len(falls) < 2:
            falls.append(1)
            raise sa.exc.OperationalError("LISTEN", {}, Exception("gone"))
        listener(engine, bell, stopping)

    monkeypatch.setitem(wake._LISTENERS, name, falling)
    with listening(app) as bell:
        assert len(falls) == 2
        for _ in range(3):
            before = bell.rings()
            enqueue(session)
            bell.wait(before, 10)
            assert bell.rings() > before


@pytest.mark.any_database
def test_a_worker_that_ends_releases_its_claims(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finishes its row; the others are due at once, before their lease ends."""
    at_it, go_on, seen = threading.Event(), threading.Event(), list[int]()

    def handler(_context: object, _body: bytes) -> Step:
        seen.append(1)
        if len(seen) == 4:
            at_it.set()
            assert go_on.wait(30)
        return lambda *_: Outcome(DeliveryOutcome.NOTHING_NEW)

    monkeypatch.setattr(claims, "QUICK", timedelta(minutes=1))
    monkeypatch.setattr(routing, "ROUTES", {(Provider.STRIPE, "test.event"): handler})
    with app.app_context(), transaction(db.session()) as session:
        session.add_all(InboxEvent(**inbox_row(f"evt_{number()}", type="test.event")) for _ in range(9))
    stop = threading.Event()
    thread = threading.Thread(target=worker.Worker(app, threads=1).run, args=(stop,))
    thread.start()
    assert at_it.wait(30)
    stop.set()
    go_on.set()
    thread.join(timeout=30)
    assert not thread.is_alive()
    with app.app_context():
        rows = db.session().scalars(sa.select(InboxEvent).order_by(InboxEvent.id)).all()
        assert [row.state for row in rows] == [WorkState.DONE] * 4 + [WorkState.RECEIVED] * 5
        assert max(row.run_at for row in rows[4:]) <= utcnow()
        assert [row.attempts - row.waits for row in rows] == [1] * 4 + [0] * 5
        assert sum(row.waits for row in rows) == 3, "so many were in hand"


@pytest.mark.any_database
def test_an_idle_worker_is_woken(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is applied long before the worker would read the table."""
    monkeypatch.setattr(worker, "POLL_SECONDS", {"sqlite": 600.0, "postgresql": 600.0})
    stop = threading.Event()
    thread = threading.Thread(target=worker.Worker(app, threads=1).run, args=(stop,))
    thread.start()
    try:
        with app.app_context():
            session = db.session()

            def alive() -> int:
                found = heartbeat.count_workers(session, now=utcnow()).alive
                end_read(session)
                return found

            eventually(lambda: alive() == 1, "a heartbeat")
            for _ in range(3):
                with transaction(session):
                    session.add(InboxEvent(**inbox_row(f"evt_{number()}", type="nobody.knows")))
                    wake.notify_workers(session.connection())

                def open_rows() -> int | None:
                    counted = sa.select(sa.func.count()).select_from(InboxEvent).where(sa.text(queue.OPEN))
                    found = session.scalar(counted)
                    end_read(session)
                    return found

                eventually(lambda: open_rows() == 0, "the row's end")
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()
    with app.app_context():
        assert heartbeat.count_workers(db.session(), now=utcnow()) == Workers(0, None)


@pytest.mark.any_database
def test_heartbeats(session: Session) -> None:
    """A worker without a heartbeat for a while is not counted, and its row is deleted after a day."""
    assert heartbeat.count_workers(session, now=NOW) == Workers(0, None)
    heartbeat.record_beat(session, "one", now=NOW)
    heartbeat.record_beat(session, "two", now=NOW + 20 * SECOND)
    heartbeat.record_beat(session, "one", now=NOW + 10 * SECOND)
    assert heartbeat.count_workers(session, now=NOW + 30 * SECOND) == Workers(2, 10.0)
    assert heartbeat.count_workers(session, now=NOW + 50 * SECOND) == Workers(1, 30.0)
    assert heartbeat.count_workers(session, now=NOW + 90 * SECOND) == Workers(0, 70.0)
    end_read(session)
    heartbeat.delete_beat(session, "two")
    assert heartbeat.count_workers(session, now=NOW + 90 * SECOND) == Workers(0, 80.0)
    end_read(session)
    with transaction(session):
        heartbeat.delete_stale_beats(session, now=NOW + timedelta(days=2))
    assert heartbeat.count_workers(session, now=NOW) == Workers(0, None)


def daily(session: Session) -> list[tuple[str, WorkState]]:
    found = session.execute(sa.select(Job.key, Job.state).where(Job.name == DAILY.name).order_by(Job.key))
    rows = [(key, state) for key, state in found]
    end_read(session)
    return rows


@pytest.mark.any_database
def test_each_period_once(session: Session) -> None:
    """However many workers start; the row of a period enqueues the next."""
    today = f"{DAILY.name}:{NOW:%Y-%m-%d}T00:00"
    tomorrow = f"{DAILY.name}:{NOW + timedelta(days=1):%Y-%m-%d}T00:00"
    assert DAILY.ensure_enqueued(session, now=NOW)
    assert not DAILY.ensure_enqueued(session, now=NOW)
    assert daily(session) == [(today, WorkState.RECEIVED)]
    [(_, held)] = claims.claim(session, Job, now=NOW)
    with transaction(session):
        assert DAILY.enqueue_next(session, now=NOW)
        assert not DAILY.enqueue_next(session, now=NOW + timedelta(minutes=1))
        claims.finish(session, Job, held, state=WorkState.DONE, now=NOW)
    assert not DAILY.ensure_enqueued(session, now=NOW + timedelta(hours=1))
    assert daily(session) == [(today, WorkState.DONE), (tomorrow, WorkState.RECEIVED)]
