"""Rows that are work: claimed by one, counted before they are tried, ended with their effects."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.core import claims, queue
from bookingapp.core.claims import Batch, Claim, Failure, LeaseLost
from bookingapp.core.db import (
    TransactionOpen,
    UnsavedChanges,
    assert_no_transaction,
    db,
    end_read,
    insert_if_new,
    transaction,
)
from bookingapp.core.queue import Job, Restart, WorkState
from bookingapp.integrations.calendly import CalendlyRejected, CalendlyUnavailable
from tests.factories import NOW, number

pytestmark = pytest.mark.any_database

MINUTE = timedelta(minutes=1)


def owe(session: Session, *, key: str | None = None, run_at: datetime = NOW) -> bool:
    """One more job. Commits."""
    with transaction(session):
        return queue.enqueue(
            session, "test", key=key or f"key-{number()}", args={"n": 1}, run_at=run_at, now=NOW
        )


def the_job(session: Session) -> Job:
    """The only job, as the database has it."""
    session.expunge_all()
    session.rollback()
    job = session.scalars(sa.select(Job)).one()
    end_read(session)
    return job


def work(session: Session, do: Callable[[Job, Claim], None], *, now: datetime = NOW) -> bool:
    """Let ``do`` work on the next job at ``now``."""
    return claims.work_next(session, Batch(Job), do, clock=lambda: now)


def claimed(session: Session, *, now: datetime = NOW) -> Claim:
    """The right to work on the only row."""
    [(_, held)] = claims.claim(session, Job, now=now)
    return held


def finish(session: Session) -> Callable[[Job, Claim], None]:
    """Does nothing and says so."""

    def do(_job: Job, held: Claim) -> None:
        with transaction(session):
            claims.finish(session, Job, held, state=WorkState.DONE, now=NOW)

    return do


def fail(error: Exception) -> Callable[[Job, Claim], None]:
    """Raises."""

    def do(_job: Job, _held: Claim) -> None:
        raise error

    return do


def test_owed_twice_is_owed_once(session: Session) -> None:
    """By its key; also after it was done."""
    assert owe(session, key="a")
    assert not owe(session, key="a")
    assert work(session, finish(session))
    assert not owe(session, key="a")
    assert the_job(session).state is WorkState.DONE


def test_nothing_is_due_before_its_time(session: Session) -> None:
    """And then it is."""
    owe(session, run_at=NOW + MINUTE)
    assert not work(session, finish(session))
    assert work(session, finish(session), now=NOW + MINUTE)
    assert not work(session, finish(session), now=NOW + MINUTE)


def test_the_longest_due_comes_first(session: Session) -> None:
    """Whatever the order in which they were owed."""
    for minutes, key in ((3, "c"), (1, "a"), (2, "b")):
        owe(session, key=key, run_at=NOW + minutes * MINUTE)
    seen: list[str] = []

    def do(job: Job, held: Claim) -> None:
        seen.append(job.key)
        finish(session)(job, held)

    while work(session, do, now=NOW + 10 * MINUTE):
        pass
    assert seen == ["a", "b", "c"]


def test_the_attempt_is_counted_before_it_is_made(session: Session) -> None:
    """And the work is done with no transaction open."""
    owe(session)

    def do(job: Job, held: Claim) -> None:
        assert (job.attempts, held.attempt) == (1, 1)
        assert_no_transaction()
        finish(session)(job, held)

    assert work(session, do)
    assert the_job(session).finished_at == NOW


def test_a_killed_worker_loses_nothing(session: Session, new_session: Callable[[], Session]) -> None:
    """Its row is taken up again when the lease has run out, and not before."""
    owe(session)
    assert claims.claim(new_session(), Job, now=NOW)
    assert not work(session, finish(session), now=NOW + claims.LEASE - timedelta(seconds=1))
    assert work(session, finish(session), now=NOW + claims.LEASE)
    job = the_job(session)
    assert (job.state, job.attempts) == (WorkState.DONE, 2)


def test_who_comes_back_late_commits_nothing(session: Session, new_session: Callable[[], Session]) -> None:
    """After its lease another has taken the row: its end is refused, and its effects with it."""
    owe(session)
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
    """Nobody ends a row twice."""
    owe(session)
    held = claimed(session)
    with transaction(session):
        claims.finish(session, Job, held, state=WorkState.DONE, now=NOW)
    with pytest.raises(LeaseLost), transaction(session):
        claims.finish(session, Job, held, state=WorkState.DEAD, now=NOW)


def test_effects_and_end_are_one_commit(session: Session) -> None:
    """Where the effects fail, the row is not ended."""
    owe(session)

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
    """All tries are before the row again, and yet the count that fences off who comes late has gone on."""
    owe(session)
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
    """An effect to look for."""
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
    """As often as the schedule says, which is for days where somebody is only away; then the row is kept as dead,
    with its reason.
    """
    owe(session)
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


def test_a_failure_that_will_not_go_away_is_dead_at_once(session: Session) -> None:
    """There is no sense in asking again for what was refused."""
    owe(session)
    assert work(session, fail(CalendlyRejected("400")))
    assert the_job(session).state is WorkState.DEAD


def test_a_row_that_ends_its_worker_each_time_is_dead_at_last(session: Session) -> None:
    """It is claimed again at the end of each lease, and no try lives to say that it failed."""
    owe(session)
    now = NOW
    for _ in range(claims.LAST_TRY):
        claimed(session, now=now)
        now += claims.LEASE
    tried = list[Job]()
    assert work(session, lambda job, _held: tried.append(job), now=now)
    job = the_job(session)
    assert (job.state, job.outcome, tried) == (WorkState.DEAD, Failure.LEASE_EXPIRED, [])


def test_the_providers_wish_to_wait_is_kept(session: Session) -> None:
    """Where it is longer than ours."""
    owe(session)
    work(session, fail(CalendlyUnavailable("down", retry_after=500)))
    assert the_job(session).run_at == NOW + timedelta(seconds=500)


def test_the_reason_quotes_nobody(session: Session) -> None:
    """A message may carry what a person typed."""
    owe(session)
    work(session, fail(ValueError("grace@example.org")))
    assert the_job(session).outcome_facts == {"error": "ValueError", "try": 1}


@pytest.mark.parametrize("most", [1, 7])
def test_two_workers_never_hold_the_same_row(app: Flask, session: Session, most: int) -> None:
    """Four threads, forty rows, each row taken once."""
    for _ in range(40):
        owe(session)
    taken: list[int] = []
    failures: list[BaseException] = []
    barrier = threading.Barrier(4)

    def worker() -> None:
        try:
            with app.app_context(), Session(db.engine) as own:
                barrier.wait()
                empty = 0
                while empty < 3:
                    found = claims.claim(own, Job, now=NOW, most=most)
                    taken.extend(row.id for row, _ in found)
                    empty += not found
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    assert len(taken) == 40
    assert len(set(taken)) == 40


def test_two_inserts_of_one_key_end_with_one_row(app: Flask, session: Session) -> None:
    """No error on either side; exactly one of them made it."""
    made: list[int | None] = []
    failures: list[BaseException] = []
    barrier = threading.Barrier(6)

    def insert() -> None:
        try:
            with app.app_context(), Session(db.engine) as own:
                barrier.wait()
                with transaction(own):
                    values = {
                        "name": "test",
                        "key": "same",
                        "args": {},
                        "run_at": NOW,
                        "created_at": NOW,
                        "state": WorkState.RECEIVED,
                        "attempts": 0,
                    }
                    made.append(insert_if_new(own, Job, values, ["key"]))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=insert) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    assert sorted(one is not None for one in made) == [False] * 5 + [True]
    assert the_job(session).key == "same"


def test_no_provider_is_called_inside_a_transaction(session: Session) -> None:
    """The check is loud while one is open, reading included."""
    assert_no_transaction()
    with transaction(session):
        session.scalar(sa.select(sa.func.count()).select_from(Job))
        with pytest.raises(TransactionOpen):
            assert_no_transaction()
    session.scalar(sa.select(sa.func.count()).select_from(Job))
    with pytest.raises(TransactionOpen):
        assert_no_transaction()
    end_read(session)
    assert_no_transaction()


def test_changes_are_not_thrown_away_silently(session: Session) -> None:
    """Neither by a new transaction nor by letting go."""
    session.add(account("forgotten@example.com"))
    with pytest.raises(UnsavedChanges), transaction(session):
        pass
    with pytest.raises(UnsavedChanges):
        end_read(session)


def test_times_come_back_aware_and_in_utc(session: Session) -> None:
    """To the microsecond; a naive one is refused."""
    at = NOW + timedelta(microseconds=123456)
    owe(session, run_at=at.astimezone(tz=None))
    found = the_job(session).run_at
    assert found == at
    assert found.utcoffset() == timedelta(0)
    with pytest.raises(sa.exc.StatementError, match="naive"):
        owe(session, run_at=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused.
    session.rollback()
