"""Work that waits for a person: it is kept however long that takes, and done at once when they are ready."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from bookingapp.awaited import Awaited
from bookingapp.core.claims import BACKOFF, PARKED, PATIENT, Batch, Claim, finish, work_next
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job, WorkState, enqueue, wake_parked
from tests.factories import NOW


class NotYet(Exception):
    """What the work needs is not there."""

    retryable = False
    awaits = Awaited.CONNECTION


class Trouble(Exception):
    """Something that may pass."""

    retryable = True


def owe(session: Session, key: str = "one") -> None:
    with transaction(session):
        enqueue(session, "some.job", key=key, args={}, run_at=NOW, now=NOW)


def row(session: Session, key: str = "one") -> Job:
    session.expunge_all()
    session.rollback()
    found = session.query(Job).filter_by(key=key).one()
    session.expunge_all()
    session.rollback()
    return found


def fails(session: Session, error: Exception, now: datetime) -> bool:
    """Let the work on the next row come to ``error`` at ``now``. Returns whether there was one."""

    def do(_row: Job, _held: Claim) -> None:
        raise error

    return work_next(session, Batch(Job), do, clock=lambda: now)


@pytest.mark.any_database
def test_what_waits_is_never_given_up(session: Session) -> None:
    """Far more often than there are tries, and each look comes after a pause."""
    owe(session)
    now = NOW
    for number in range(1, 3 * len(BACKOFF)):
        assert fails(session, NotYet(), now)
        found = row(session)
        assert (found.state, found.waits, found.outcome) == (WorkState.RECEIVED, number, Awaited.CONNECTION)
        assert found.run_at == now + PARKED
        assert not fails(session, NotYet(), now)
        now += PARKED


@pytest.mark.any_database
def test_waiting_uses_up_no_try(session: Session) -> None:
    """After a long wait, a passing trouble gets as many tries as ever."""
    owe(session)
    now = NOW
    for _ in range(2 * len(BACKOFF)):
        assert fails(session, NotYet(), now)
        now += PARKED
    for pause in PATIENT:
        assert fails(session, Trouble(), now)
        assert row(session).state is WorkState.FAILED
        now += pause * 1.5
    assert fails(session, Trouble(), now)
    assert row(session).state is WorkState.DEAD


@pytest.mark.any_database
def test_who_is_ready_wakes_what_waits_for_them(session: Session) -> None:
    """And nothing else."""
    owe(session)
    owe(session, "other")
    fails(session, NotYet(), NOW)
    fails(session, Trouble(), NOW)
    soon = NOW + timedelta(seconds=1)
    with transaction(session):
        assert wake_parked(session, Job, awaited=Awaited.MAIL_SERVER, now=soon) == 0
        assert wake_parked(session, Job, awaited=Awaited.CONNECTION, now=soon) == 1
    done = []

    def do(found: Job, held: Claim) -> None:
        done.append(found.key)
        with transaction(session):
            finish(session, Job, held, state=WorkState.DONE, now=soon)

    assert work_next(session, Batch(Job), do, clock=lambda: soon)
    assert done == ["one"]
    assert not work_next(session, Batch(Job), do, clock=lambda: soon)
    assert row(session, "other").run_at > soon
