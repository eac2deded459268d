"""Jobs that wait for a person: however long that takes, they are not dead, and run as soon as they are woken."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from bookingapp.core.claims import BACKOFF, PARKED, PATIENT
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job, WorkState, wake_parked
from bookingapp.outcomes import Awaited
from tests.factories import NOW
from tests.service.jobs import enqueue, fail, finish, jobs, the_job, work

pytestmark = pytest.mark.any_database


class NotYet(Exception):
    """What the work needs is not there."""

    retryable = False
    awaits = Awaited.CONNECTION


class Trouble(Exception):
    """Something that may pass."""

    retryable = True


def test_a_job_that_waits_never_dies_and_uses_up_no_try(session: Session) -> None:
    """Each try comes after a pause, far more often than a failed one; a later failure has all its tries."""
    enqueue(session, "one")
    now = NOW
    for number in range(1, 3 * len(BACKOFF)):
        assert work(session, fail(NotYet()), now=now)
        found = the_job(session)
        assert (found.state, found.waits, found.outcome) == (WorkState.RECEIVED, number, Awaited.CONNECTION)
        assert found.run_at == now + PARKED
        assert not work(session, fail(NotYet()), now=now)
        now += PARKED
    for pause in PATIENT:
        assert work(session, fail(Trouble()), now=now)
        assert the_job(session).state is WorkState.FAILED
        now += pause * 1.5
    assert work(session, fail(Trouble()), now=now)
    assert the_job(session).state is WorkState.DEAD


def test_what_is_awaited_wakes_its_jobs(session: Session) -> None:
    enqueue(session, "one")
    enqueue(session, "other")
    work(session, fail(NotYet()), now=NOW)
    work(session, fail(Trouble()), now=NOW)
    soon = NOW + timedelta(seconds=1)
    with transaction(session):
        assert wake_parked(session, Job, awaited=Awaited.MAIL_SERVER, now=soon) == 0
        assert wake_parked(session, Job, awaited=Awaited.CONNECTION, now=soon) == 1
    assert work(session, finish(session), now=soon)
    assert not work(session, finish(session), now=soon)
    states = {job.key: job.state for job in jobs(session)}
    assert states == {"one": WorkState.DONE, "other": WorkState.FAILED}
