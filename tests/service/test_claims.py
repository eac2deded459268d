"""Quick rows are claimed in batches, and none of them waits, is lost or is done twice for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

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
    """A time of day that the test moves."""
    return Clock()


def enqueue_many(session: Session, count: int) -> None:
    """So many jobs, due one after the other."""
    for number in range(count):
        enqueue(session, f"{number:02}", run_at=NOW - timedelta(minutes=count - number))


def do(
    session: Session, done: list[str], clock: Clock, takes: timedelta = timedelta(0)
) -> Callable[[Job, Claim], None]:
    """Collect the row's key and end it, which ``takes`` a while."""

    def work(job: Job, held: Claim) -> None:
        done.append(job.key)
        clock.now += takes
        with transaction(session):
            claims.finish(session, Job, held, state=WorkState.DONE, now=clock())

    return work


def test_quick_rows_are_claimed_in_ever_larger_batches(session: Session, clock: Clock) -> None:
    """In their order, each once, and never more than so many."""
    count = 3 * MOST
    enqueue_many(session, count)
    hand, done, sizes = Batch(Job), list[str](), list[int]()
    before = 0
    while claims.work_next(session, hand, do(session, done, clock), clock=clock):
        if before == 0:
            sizes.append(len(hand) + 1)
        before = len(hand)
    assert sizes == [1, 2, 4, 8, 16, MOST, MOST, 1]
    assert done == [f"{number:02}" for number in range(count)]
    assert {(job.state, job.attempts, job.waits) for job in jobs(session)} == {(WorkState.DONE, 1, 0)}


def test_slow_rows_are_claimed_one_by_one(session: Session, clock: Clock) -> None:
    """Nothing is held that another process could do meanwhile; quick ones are claimed in batches again afterwards."""
    enqueue_many(session, 12)
    hand, done = Batch(Job), list[str]()
    for _ in range(3):
        claims.work_next(session, hand, do(session, done, clock, SLOW), clock=clock)
        assert not hand
    claims.work_next(session, hand, do(session, done, clock), clock=clock)
    assert not hand
    claims.work_next(session, hand, do(session, done, clock), clock=clock)
    assert len(hand) == 1
    claims.work_next(session, hand, do(session, done, clock, SLOW), clock=clock)
    claims.work_next(session, hand, do(session, done, clock, SLOW), clock=clock)
    assert not hand
    assert done == sorted(done)


def filled(session: Session, clock: Clock, done: list[str]) -> Batch[Job]:
    """A batch with three rows in hand, after four were done."""
    hand = Batch(Job)
    for _ in range(4):
        claims.work_next(session, hand, do(session, done, clock), clock=clock)
    assert len(hand) == 3
    return hand


def test_what_a_killed_process_had_in_hand_is_done_by_another(
    session: Session, new_session: Callable[[], Session], clock: Clock
) -> None:
    """When its lease ends, and not before."""
    enqueue_many(session, 7)
    done: list[str] = []
    filled(session, clock, done)
    other, hand = new_session(), Batch(Job)
    clock.now = NOW + LEASE - timedelta(seconds=1)
    assert not claims.work_next(other, hand, do(other, done, clock), clock=clock)
    clock.now = NOW + LEASE
    while claims.work_next(other, hand, do(other, done, clock), clock=clock):
        pass
    assert done == [f"{number:02}" for number in range(7)]
    assert [job.attempts for job in jobs(session)] == [1, 1, 1, 1, 2, 2, 2]


def test_a_worker_that_ends_gives_back_what_it_has_in_hand(
    session: Session, new_session: Callable[[], Session], clock: Clock
) -> None:
    """At once, and as if it had never been claimed: no try is used up, no outcome is lost."""
    enqueue_many(session, 7)
    with transaction(session):
        session.execute(sa.update(Job).where(Job.key == "05").values(outcome=Failure.UNAVAILABLE, attempts=4))
    done: list[str] = []
    hand = filled(session, clock, done)
    hand.give_back(session, now=clock())
    assert not hand
    kept = [(job.state, job.run_at, job.outcome, job.attempts - job.waits) for job in jobs(session)[4:]]
    untried = (WorkState.RECEIVED, NOW, None, 0)
    assert kept == [untried, (WorkState.RECEIVED, NOW, Failure.UNAVAILABLE, 4), untried]
    other, theirs = new_session(), Batch(Job)
    while claims.work_next(other, theirs, do(other, done, clock), clock=clock):
        pass
    assert done == [f"{number:02}" for number in range(7)]


def test_what_has_waited_in_hand_for_long_is_not_begun_with(session: Session, clock: Clock) -> None:
    """Its lease might end in mid-work. It is given back, and claimed anew for a whole lease."""
    enqueue_many(session, 7)
    done: list[str] = []
    hand = filled(session, clock, done)
    clock.now += LEASE / 3
    claims.work_next(session, hand, do(session, done, clock), clock=clock)
    assert (done[-1], len(hand)) == ("04", 2)
    held = [job for job in jobs(session) if job.state is WorkState.PROCESSING]
    assert {(job.run_at, job.attempts, job.waits) for job in held} == {(clock() + LEASE, 2, 1)}


def test_what_others_have_claimed_is_not_given_back(
    session: Session, new_session: Callable[[], Session], clock: Clock
) -> None:
    """After a lease in hand the rows belong to another worker, who may be at work on them."""
    enqueue_many(session, 7)
    hand = filled(session, clock, [])
    clock.now += LEASE
    assert len(claims.claim(new_session(), Job, now=clock(), most=2)) == 2
    hand.give_back(session, now=clock())
    after = [(job.state, job.attempts, job.waits) for job in jobs(session)[4:]]
    assert after == [(WorkState.PROCESSING, 2, 0), (WorkState.PROCESSING, 2, 0), (WorkState.RECEIVED, 1, 1)]


def test_a_row_that_hangs_holds_up_no_other(app: Flask, session: Session, clock: Clock) -> None:
    """The threads of a process share what is in hand, and are rung for when there is something to share."""
    enqueue_many(session, 7)
    rings, done = list[int](), list[str]()
    hand = Batch(Job, ring=lambda: rings.append(1))
    for _ in range(3):
        claims.work_next(session, hand, do(session, done, clock), clock=clock)
    rings.clear()
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        def stuck(job: Job, held: Claim) -> None:
            hangs.set()
            goes_on.wait(30)
            do(own, done, clock)(job, held)

        with app.app_context(), Session(db.engine, expire_on_commit=False) as own:
            claims.work_next(own, hand, stuck, clock=clock)

    thread = threading.Thread(target=hang)
    thread.start()
    assert hangs.wait(30)
    assert rings == [1]
    while claims.work_next(session, hand, do(session, done, clock), clock=clock):
        pass
    assert done == ["00", "01", "02", "04", "05", "06"]
    goes_on.set()
    thread.join(30)
    assert done[-1] == "03"


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
