"""The outbox and the mail server together: crashes, refusals and outages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.checkout import tasks
from bookingapp.checkout.tasks import run_next
from bookingapp.core import claims, services
from bookingapp.core.claims import LEASE, Batch
from bookingapp.core.db import transaction
from bookingapp.core.jobs import Collaborators
from bookingapp.core.queue import Job, WorkState
from bookingapp.core.settings import Settings
from bookingapp.notifications import transport as transports
from bookingapp.outcomes import Failure
from tests.conftest import make_settings
from tests.factories import NOW, make_builder
from tests.mailbox import work
from tests.notifications.conftest import BUILDER, scheduled
from tests.notifications.smtp import MailServer
from tests.service.jobs import the_job


class Killed(BaseException):
    """The process is killed here: nothing catches it."""


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server of our own."""
    with MailServer() as one:
        yield one


@pytest.fixture
def settings(tmp_path: Path, database_url: str, server: MailServer) -> Settings:
    """Settings with that server."""
    return make_settings(
        tmp_path,
        database_url=database_url,
        mail_url=f"smtp://127.0.0.1:{server.port}",
        mail_from="hello@hours.example",
        public_url="https://hours.example",
    )


@pytest.fixture
def due(session: Session) -> Job:
    """One mail to a client, ready to be sent, and nothing else."""
    scheduled(session, make_builder(session, email=BUILDER), price_minor=0)
    with transaction(session):
        session.execute(sa.delete(Job).where(Job.key.not_like("mail:confirmed-client:%")))
    return the_job(session)


def run_killed(session: Session, monkeypatch: pytest.MonkeyPatch, target: object, name: str) -> None:
    """Run the job in a process that is killed in that function."""

    def die(*_args: object, **_kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(target, name, die)
        with pytest.raises(Killed):
            run_next(session, services.get(Collaborators), Batch(Job), clock=lambda: NOW)
    session.rollback()


@pytest.mark.any_database
def test_a_crash_after_the_mail_left_sends_it_again_as_the_same(
    session: Session, server: MailServer, due: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: the row had not ended, so the mail is sent again, under the Message-ID of the first."""
    run_killed(session, monkeypatch, tasks, "finish")
    assert (len(server.received), the_job(session).state) == (1, WorkState.PROCESSING)

    work(session, now=NOW + LEASE / 2)
    assert len(server.received) == 1, "it is still the first one's"
    work(session, now=NOW + 2 * LEASE)
    assert the_job(session).state is WorkState.DONE
    first, second = (message_from_bytes(raw, policy=default) for raw in server.received)
    assert first["Message-ID"] == second["Message-ID"]
    assert str(first["Message-ID"]).endswith("@hours.example>")
    assert first["From"] == "Builder Hours <hello@hours.example>"

    work(session, now=NOW + timedelta(days=1))
    assert len(server.received) == 2, "and never again"


def test_a_crash_before_the_mail_left_sends_it_once(
    session: Session, server: MailServer, due: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_killed(session, monkeypatch, transports.SmtpRelay, "send")
    work(session, now=NOW + 2 * LEASE)
    assert len(server.received) == 1


def test_a_refused_mail_is_kept_and_not_tried_again(session: Session, server: MailServer, due: Job) -> None:
    """With the reason, and without the address."""
    server.answers["RCPT"] = "550 no such mailbox"
    for minutes in range(5):
        work(session, now=NOW + timedelta(minutes=minutes))
    job = the_job(session)
    assert (job.state, job.outcome) == (WorkState.DEAD, Failure.NOT_ACCEPTED)
    assert job.outcome_facts == {"error": "MailRefused", "try": 1}
    assert server.connections == 1


def test_a_delayed_mail_is_tried_again(session: Session, server: MailServer, due: Job) -> None:
    server.answers["RCPT"] = "451 come again"
    work(session, now=NOW)
    assert (the_job(session).state, the_job(session).attempts) == (WorkState.FAILED, 1)
    server.answers.clear()
    work(session, now=NOW + claims.BACKOFF[0] * 2)
    assert (the_job(session).state, len(server.received)) == (WorkState.DONE, 1)


def test_mail_outlives_a_long_outage(
    session: Session, server: MailServer, due: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It uses up no try."""
    monkeypatch.setattr(transports, "REST_SECONDS", 0.0)
    server.answers["CONNECT"] = "421 not today"
    hour = timedelta(hours=1)
    for hours in range(30):
        work(session, now=NOW + hours * hour)
    assert the_job(session).state is WorkState.RECEIVED
    assert server.connections == 30
    server.answers.clear()
    work(session, now=NOW + 30 * hour)
    assert (the_job(session).state, len(server.received)) == (WorkState.DONE, 1)
