"""``flask outbox``: lists the jobs, and retries dead ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session

from bookingapp.core import claims, queue
from bookingapp.core.claims import Batch
from bookingapp.core.clock import utcnow
from bookingapp.core.db import end_read, transaction
from bookingapp.core.queue import Job, Restart, WorkState
from bookingapp.integrations.calendly import CalendlyRejected

pytestmark = pytest.mark.any_database

HOUR = timedelta(hours=1)


@pytest.fixture
def rows(session: Session) -> dict[str, int]:
    """A dead job, an open one and one that is done; by name, their ids."""
    now = utcnow()
    for name in ("dead", "done", "open"):
        with transaction(session):
            run_at = now + HOUR if name == "open" else now
            queue.enqueue(session, f"test.{name}", key=name, args={"booking_id": 7}, run_at=run_at, now=now)

        def do(job: Job, held: claims.Claim) -> None:
            if job.name == "test.dead":
                raise CalendlyRejected("no")
            with transaction(session):
                claims.finish(session, Job, held, state=WorkState.DONE, now=utcnow())

        assert claims.work_next(session, Batch(Job), do, clock=utcnow) is (name != "open")
    found = {job.key: job.id for job in session.query(Job)}
    end_read(session)
    return found


def run(runner: FlaskCliRunner, *arguments: str) -> tuple[int, str]:
    """The exit status of ``flask outbox …``, and its output."""
    done = runner.invoke(args=["outbox", *arguments])
    return done.exit_code, done.output


def test_jobs_are_listed_with_their_outcomes(runner: FlaskCliRunner, rows: dict[str, int]) -> None:
    status, said = run(runner, "list")
    assert status == 0
    assert [line.split()[2] for line in said.splitlines()[1:]] == ["test.open", "test.done", "test.dead"]
    status, said = run(runner, "list", "--state", "dead")
    assert len(said.splitlines()) == 2
    assert '{"booking_id":7}' in said
    assert "refused (CalendlyRejected at try 1)" in said
    assert run(runner, "list", "--name", "test.nothing") == (0, "no matching jobs\n")


def test_dead_jobs_are_retried(runner: FlaskCliRunner, rows: dict[str, int], session: Session) -> None:
    """One, or all; never one that is open or done."""
    status, said = run(runner, "retry", str(rows["dead"]))
    assert (status, said.split(" will")[0]) == (0, "1 dead job")
    again = session.get_one(Job, rows["dead"])
    assert (again.state, again.outcome) == (WorkState.RECEIVED, Restart.RETRIED)
    assert again.attempts == again.waits
    end_read(session)
    for name in ("dead", "open", "done"):
        status, said = run(runner, "retry", str(rows[name]))
        assert status == 1
        assert f"there is no dead job {rows[name]}" in said
    assert run(runner, "retry", "--state", "dead")[1].startswith("0 dead jobs will be retried")
    assert run(runner, "retry")[0] == 2
