"""Rows of work: claimed by one worker, counted before they are tried, ended with their effects, retried."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.core import claims, queue
from bookingapp.core.claims import Claim, LeaseLost
from bookingapp.core.db import assert_no_transaction, transaction
from bookingapp.core.queue import Job, Restart, WorkState
from bookingapp.integrations.calendly import CalendlyRejected, CalendlyUnavailable
from bookingapp.outcomes import Failure
from tests.factories import NOW
from tests.service.jobs import at_once, enqueue, fail, finish, the_job, work

pytestmark = pytest.mark.any_database

MINUTE = timedelta(minutes=1)


def claimed(session: Session, *, now: datetime = NOW) -> Claim:
    """The claim of the only row."""
    [(_, held)] = claims.claim(session, Job, now=now)
    return held


def test_a_key_is_enqueued_once(session: Session) -> None:
    """Also after it was done."""
    assert enqueue(session, "a")
    assert not enqueue(session, "a")
    assert work(session, finish(session))
    assert not enqueue(session, "a")
    assert the_job(session).state is WorkState.DONE


def test_nothing_is_due_before_its_time(session: Session) -> None:
    enqueue(session, run_at=NOW + MINUTE)
    assert not work(session, finish(session))
    assert work(session, finish(session), now=NOW + MINUTE)
    assert not work(session, finish(session), now=NOW + MINUTE)


def test_the_longest_due_comes_first(session: Session) -> None:
    for minutes, key in ((3, "c"), (1, "a"), (2, "b")):
        enqueue(session, key, run_at=NOW + minutes * MINUTE)
    seen: list[str] = []

    def do(job: Job, held: Claim) -> None:
        seen.append(job.key)
        finish(session)(job, held)

    while work(session, do, now=NOW + 10 * MINUTE):
        pass
    assert seen == ["a", "b", "c"]


def test_the_attempt_is_counted_before_it_is_made(session: Session) -> None:
    enqueue(session)

    def do(job: Job, held: Claim) -> None:
        assert (job.attempts, held.attempt) == (1, 1)
        assert_no_transaction()
        finish(session)(job, held)

    assert work(session, do)
    assert the_job(session).finished_at == NOW


def test_a_killed_worker_loses_nothing(session: Session, new_session: Callable[[], Session]) -> None:
    """Its row is claimed again when the lease has ended, and not before."""
    enqueue(session)
    assert claims.claim(new_session(), Job, now=NOW)
    assert not work(session, finish(session), now=NOW + claims.LEASE - timedelta(seconds=1))
    assert work(session, finish(session), now=NOW + claims.LEASE)
    job = the_job(session)
    assert (job.state, job.attempts) == (WorkState.DONE, 2)


def test_a_late_worker_commits_nothing(session: Session, new_session: Callable[[], Session]) -> None:
    """Another has claimed the row after its lease: its end is refused, and its effects with it."""
    enqueue(session)
    late = new_session()
    held = claimed(late)
    second = claimed(session, now=NOW + 2 * claims.LEASE)
    assert second.attempt == held.attempt + 1

    def come_late() -> None:
        with transaction(late):
            late.add(account("late@example.com"))
            claims.finish(late, Job, held, state=WorkState.DONE, now=NOW)

    with pytest.raises(LeaseLost):
        come_late()
    with pytest.raises(LeaseLost), transaction(late):
        claims.requeue(late, Job, held, run_at=NOW)
    assert the_job(session).state is WorkState.PROCESSING
    assert session.scalar(sa.select(sa.func.count()).select_from(Account)) == 0


def test_what_is_done_stays_done(session: Session) -> None:
    enqueue(session)
    held = claimed(session)
    with transaction(session):
        claims.finish(session, Job, held, state=WorkState.DONE, now=NOW)
    with pytest.raises(LeaseLost), transaction(session):
        claims.finish(session, Job, held, state=WorkState.DEAD, now=NOW)


def test_effects_and_end_are_one_commit(session: Session) -> None:
    enqueue(session)

    def do(_job: Job, held: Claim) -> None:
        with transaction(session):
            session.add(account("effect@example.com"))
            claims.finish(session, Job, held, state=WorkState.DONE, now=NOW)
            raise ZeroDivisionError

    assert work(session, do)
    job = the_job(session)
    assert job.state is WorkState.FAILED
    assert (job.outcome, job.outcome_facts) == (Failure.UNEXPECTED, {"error": "ZeroDivisionError", "try": 1})
    assert session.scalar(sa.select(sa.func.count()).select_from(Account)) == 0


def test_a_replay_does_not_let_a_late_worker_in(session: Session, new_session: Callable[[], Session]) -> None:
    """The row has all its tries again, but the count that fences off late workers goes on."""
    enqueue(session)
    late = new_session()
    held = claimed(late)
    with transaction(session):
        assert not queue.restart(session, Job, held.id, now=NOW, outcome=Restart.REPLAYED)
    second = claimed(session, now=NOW + 2 * claims.LEASE)
    with transaction(session):
        claims.finish(session, Job, second, state=WorkState.DEAD, now=NOW)
    with transaction(session):
        assert queue.restart(session, Job, held.id, now=NOW, outcome=Restart.REPLAYED)
    third = claimed(session)
    assert (third.attempt, third.attempt - third.waits) == (3, 1)
    with pytest.raises(LeaseLost), transaction(late):
        claims.finish(late, Job, held, state=WorkState.DONE, now=NOW)


def account(email: str) -> Account:
    """An effect that a test can find."""
    return Account(email=email, name="x", password_hash="x", is_operator=False, created_at=NOW)


@pytest.mark.parametrize(
    ("error", "schedule", "at_least", "outcome"),
    [
        (CalendlyUnavailable("down"), claims.PATIENT, timedelta(days=2), Failure.UNAVAILABLE),
        (ZeroDivisionError(), claims.BACKOFF, timedelta(hours=1), Failure.UNEXPECTED),
    ],
)
def test_a_failure_is_tried_again_later_and_ever_later(
    session: Session, error: Exception, schedule: tuple[timedelta, ...], at_least: timedelta, outcome: Failure
) -> None:
    """As often as the schedule says, for days where a provider is only away; then the row is dead. Its reason quotes
    no message, which may carry what a person typed.
    """
    enqueue(session)
    now, waits = NOW, list[float]()
    for _ in schedule:
        assert work(session, fail(error), now=now)
        job = the_job(session)
        assert (job.state, job.outcome) == (WorkState.FAILED, outcome)
        assert job.outcome_facts == {"error": type(error).__name__, "try": len(waits) + 1}
        waits.append((job.run_at - now) / timedelta(seconds=1))
        now = job.run_at
    assert all(later > earlier for earlier, later in pairwise(waits[: len(claims.BACKOFF)]))
    for wait, planned in zip(waits, schedule, strict=True):
        assert abs(wait / planned.total_seconds() - 1) <= claims.JITTER + 0.001
    assert now - NOW > at_least
    assert work(session, fail(error), now=now)
    job = the_job(session)
    assert (job.state, job.attempts) == (WorkState.DEAD, len(schedule) + 1)
    assert (job.outcome, job.outcome_facts["try"]) == (outcome, job.attempts)
    assert not work(session, finish(session), now=now + timedelta(days=30))


def test_what_was_refused_is_dead_at_once(session: Session) -> None:
    enqueue(session)
    assert work(session, fail(CalendlyRejected("400")))
    assert the_job(session).state is WorkState.DEAD


def test_a_row_that_ends_its_worker_each_time_is_dead_at_last(session: Session) -> None:
    """It is claimed again at the end of each lease, and no try records its failure."""
    enqueue(session)
    now = NOW
    for _ in range(claims.LAST_TRY):
        claimed(session, now=now)
        now += claims.LEASE
    tried = list[Job]()
    assert work(session, lambda job, _held: tried.append(job), now=now)
    job = the_job(session)
    assert (job.state, job.outcome, tried) == (WorkState.DEAD, Failure.LEASE_EXPIRED, [])


def test_a_providers_retry_after_is_kept(session: Session) -> None:
    enqueue(session)
    work(session, fail(CalendlyUnavailable("down", retry_after=500)))
    assert the_job(session).run_at == NOW + timedelta(seconds=500)


@pytest.mark.parametrize("most", [1, 7])
def test_two_workers_never_hold_the_same_row(app: Flask, session: Session, most: int) -> None:
    for _ in range(40):
        enqueue(session)

    def worker(own: Session) -> list[int]:
        claimed, empty = list[int](), 0
        while empty < 3:
            found = claims.claim(own, Job, now=NOW, most=most)
            claimed += [row.id for row, _ in found]
            empty += not found
        return claimed

    ids = [one for found in at_once(app, 4, worker) for one in found]
    assert len(ids) == 40
    assert len(set(ids)) == 40
