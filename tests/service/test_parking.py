"""Work that waits for a person: it is kept however long that takes, and done at once when they are ready."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from bookingapp.core.claims import BACKOFF, PARKED, PATIENT, Claim, Hand, finish, work_next
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job, WorkState, enqueue, wake_parked
from tests.factories import NOW


class NotYet(Exception):
    """What the work needs is not there."""

    retryable = False
    awaits = "a person"


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


def fail(error: Exception) -> object:
    def do(_row: Job, _held: Claim) -> None:
        raise error

    return do


@pytest.mark.any_database
def test_what_waits_is_never_given_up(session: Session) -> None:
    """Far more often than there are tries, and each look comes after a pause."""
    owe(session)
    now = NOW
    for number in range(1, 3 * len(BACKOFF)):
        assert work_next(session, Hand(Job), fail(NotYet()), clock=lambda: now)  # type: ignore[arg-type]  # noqa: B023
        found = row(session)
        assert (found.state, found.waits, found.note) == (WorkState.RECEIVED, number, "waits for a person")
        assert found.run_at == now + PARKED
        assert not work_next(session, Hand(Job), fail(NotYet()), clock=lambda: now)  # type: ignore[arg-type]  # noqa: B023
        now += PARKED


@pytest.mark.any_database
def test_waiting_uses_up_no_try(session: Session) -> None:
    """After a long wait, a passing trouble gets as many tries as ever."""
    owe(session)
    now = NOW
    for _ in range(2 * len(BACKOFF)):
        assert work_next(session, Hand(Job), fail(NotYet()), clock=lambda: now)  # type: ignore[arg-type]  # noqa: B023
        now += PARKED
    for pause in PATIENT:
        assert work_next(session, Hand(Job), fail(Trouble()), clock=lambda: now)  # type: ignore[arg-type]  # noqa: B023
        assert row(session).state is WorkState.FAILED
        now += pause * 1.5
    assert work_next(session, Hand(Job), fail(Trouble()), clock=lambda: now)  # type: ignore[arg-type]
    assert row(session).state is WorkState.DEAD


@pytest.mark.any_database
def test_who_is_ready_wakes_what_waits_for_them(session: Session) -> None:
    """And nothing else."""
    owe(session)
    owe(session, "other")
    work_next(session, Hand(Job), fail(NotYet()), clock=lambda: NOW)  # type: ignore[arg-type]
    work_next(session, Hand(Job), fail(Trouble()), clock=lambda: NOW)  # type: ignore[arg-type]
    soon = NOW + timedelta(seconds=1)
    with transaction(session):
        assert wake_parked(session, Job, awaited="somebody else", now=soon) == 0
        assert wake_parked(session, Job, awaited="a person", now=soon) == 1
    done = []

    def do(found: Job, held: Claim) -> None:
        done.append(found.key)
        with transaction(session):
            finish(session, Job, held, state=WorkState.DONE, now=soon)

    assert work_next(session, Hand(Job), do, clock=lambda: soon)
    assert done == ["one"]
    assert not work_next(session, Hand(Job), do, clock=lambda: soon)
    assert row(session, "other").run_at > soon
