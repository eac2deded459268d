"""Quick rows are claimed in batches; none of them is delayed, lost or done twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.core import claims
from bookingapp.core.claims import LEASE, MOST, QUICK, Batch, Claim
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.outcomes import Failure
from tests.factories import NOW
from tests.service.jobs import enqueue, jobs

pytestmark = pytest.mark.any_database

SLOW = QUICK + timedelta(seconds=1)


class Clock:
    """Moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def enqueue_many(session: Session, count: int) -> None:
    """So many jobs, due one after the other."""
    for number in range(count):
        enqueue(session, f"{number:02}", run_at=NOW - timedelta(minutes=count - number))


@dataclass
class Worker:
    """A worker with its batch; ``done`` are the keys of the rows that it has ended."""

    session: Session
    clock: Clock
    hand: Batch[Job] = field(default_factory=lambda: Batch(Job))
    done: list[str] = field(default_factory=list)

    def do(self, job: Job, held: Claim, *, takes: timedelta = timedelta(0)) -> None:
        """End the row, which ``takes`` a while."""
        self.done.append(job.key)
        self.clock.now += takes
        with transaction(self.session):
            claims.finish(self.session, Job, held, state=WorkState.DONE, now=self.clock())

    def step(self, takes: timedelta = timedelta(0)) -> bool:
        """Work on the next row, if there is one."""
        return claims.work_next(self.session, self.hand, partial(self.do, takes=takes), clock=self.clock)


@pytest.fixture
def filled(session: Session, clock: Clock) -> Worker:
    """A worker with three rows in hand, after four were done."""
    enqueue_many(session, 7)
    worker = Worker(session, clock)
    assert all(worker.step() for _ in range(4))
    assert len(worker.hand) == 3
    return worker


def test_quick_rows_are_claimed_in_ever_larger_batches(session: Session, clock: Clock) -> None:
    """In their order, each once, and never more than so many."""
    count = 3 * MOST
    enqueue_many(session, count)
    worker, sizes, before = Worker(session, clock), list[int](), 0
    while worker.step():
        if before == 0:
            sizes.append(len(worker.hand) + 1)
        before = len(worker.hand)
    assert sizes == [1, 2, 4, 8, 16, MOST, MOST, 1]
    assert worker.done == [f"{number:02}" for number in range(count)]
    assert {(job.state, job.attempts, job.waits) for job in jobs(session)} == {(WorkState.DONE, 1, 0)}


def test_slow_rows_are_claimed_one_by_one(session: Session, clock: Clock) -> None:
    """Nothing is held that another process could do meanwhile; quick ones are claimed in batches again afterwards."""
    enqueue_many(session, 12)
    worker, in_hand = Worker(session, clock), list[int]()
    quick = timedelta(0)
    for takes in (SLOW, SLOW, SLOW, quick, quick, SLOW, SLOW):
        worker.step(takes)
        in_hand.append(len(worker.hand))
    assert in_hand == [0, 0, 0, 0, 1, 0, 0]
    assert worker.done == sorted(worker.done)


def test_what_a_killed_process_had_in_hand_is_done_by_another(
    session: Session, new_session: Callable[[], Session], clock: Clock, filled: Worker
) -> None:
    """After its lease, and not before."""
    other = Worker(new_session(), clock)
    clock.now = NOW + LEASE - timedelta(seconds=1)
    assert not other.step()
    clock.now = NOW + LEASE
    while other.step():
        pass
    assert filled.done + other.done == [f"{number:02}" for number in range(7)]
    assert [job.attempts for job in jobs(session)] == [1, 1, 1, 1, 2, 2, 2]


def test_a_worker_that_ends_releases_what_it_has_in_hand(
    session: Session, new_session: Callable[[], Session], clock: Clock
) -> None:
    """At once, and as if it had never been claimed: no try is used up, no outcome is lost."""
    enqueue_many(session, 7)
    with transaction(session):
        session.execute(sa.update(Job).where(Job.key == "05").values(outcome=Failure.UNAVAILABLE, attempts=4))
    worker, other = Worker(session, clock), Worker(new_session(), clock)
    assert all(worker.step() for _ in range(4))
    worker.hand.give_back(session, now=clock())
    assert not worker.hand
    kept = [(job.state, job.run_at, job.outcome, job.attempts - job.waits) for job in jobs(session)[4:]]
    untried = (WorkState.RECEIVED, NOW, None, 0)
    assert kept == [untried, (WorkState.RECEIVED, NOW, Failure.UNAVAILABLE, 4), untried]
    while other.step():
        pass
    assert worker.done + other.done == [f"{number:02}" for number in range(7)]


def test_what_has_waited_in_hand_for_long_is_claimed_anew(
    session: Session, clock: Clock, filled: Worker
) -> None:
    """Its lease might end in mid-work."""
    clock.now += LEASE / 3
    filled.step()
    assert (filled.done[-1], len(filled.hand)) == ("04", 2)
    held = [job for job in jobs(session) if job.state is WorkState.PROCESSING]
    assert {(job.run_at, job.attempts, job.waits) for job in held} == {(clock() + LEASE, 2, 1)}


def test_what_others_have_claimed_is_not_released(
    session: Session, new_session: Callable[[], Session], clock: Clock, filled: Worker
) -> None:
    """After a lease the rows may belong to another worker."""
    clock.now += LEASE
    assert len(claims.claim(new_session(), Job, now=clock(), most=2)) == 2
    filled.hand.give_back(session, now=clock())
    after = [(job.state, job.attempts, job.waits) for job in jobs(session)[4:]]
    assert after == [(WorkState.PROCESSING, 2, 0), (WorkState.PROCESSING, 2, 0), (WorkState.RECEIVED, 1, 1)]


def test_a_row_that_hangs_holds_up_no_other(app: Flask, session: Session, clock: Clock) -> None:
    """The threads of a process share a batch, and are woken when there is something to share."""
    enqueue_many(session, 7)
    rings = list[int]()
    worker = Worker(session, clock, Batch(Job, ring=lambda: rings.append(1)))
    assert all(worker.step() for _ in range(3))
    rings.clear()
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        def stuck(job: Job, held: Claim) -> None:
            hangs.set()
            goes_on.wait(30)
            Worker(own, clock, done=worker.done).do(job, held)

        with app.app_context(), Session(db.engine, expire_on_commit=False) as own:
            claims.work_next(own, worker.hand, stuck, clock=clock)

    thread = threading.Thread(target=hang)
    thread.start()
    assert hangs.wait(30)
    assert rings == [1]
    while worker.step():
        pass
    assert worker.done == ["00", "01", "02", "04", "05", "06"]
    goes_on.set()
    thread.join(30)
    assert worker.done[-1] == "03"


def test_a_second_thread_waits_while_the_first_is_quick(session: Session, clock: Clock) -> None:
    """And joins in when the first is held up."""
    enqueue_many(session, 1)
    hand, crowded = Batch(Job), list[bool]()

    def observe(_job: Job, held: Claim) -> None:
        for more in (timedelta(0), QUICK, timedelta(milliseconds=1)):
            clock.now += more
            crowded.append(hand.is_crowded(clock(), most=1))
        assert not hand.is_crowded(NOW, most=2)
        with transaction(session):
            claims.finish(session, Job, held, state=WorkState.DONE, now=clock())

    assert not hand.is_crowded(clock(), most=1)
    claims.work_next(session, hand, observe, clock=clock)
    assert crowded == [True, True, False]
    assert not hand.is_crowded(clock(), most=1)
