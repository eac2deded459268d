"""The outbox and the mail server together: crashes, refusals, outages, and deliveries that repeat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.checkout import tasks
from bookingapp.checkout.tasks import run_next
from bookingapp.core import claims, services
from bookingapp.core.claims import LEASE, Batch
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.jobs import Collaborators
from bookingapp.core.queue import Job, WorkState
from bookingapp.core.settings import Settings
from bookingapp.notifications import transport as transports
from bookingapp.outcomes import Failure
from bookingapp.webhooks.models import InboxEvent
from bookingapp.worker import run_due
from tests import fakes
from tests.conftest import SIGNING_KEY, make_settings
from tests.factories import (
    NOW,
    facts,
    invitee_delivery,
    make_booking,
    make_builder,
    reread,
    schedule,
    signature,
)
from tests.mailbox import Mailbox, work
from tests.notifications.conftest import BUILDER, CLIENT
from tests.notifications.smtp import MailServer
from tests.pages import PageClient


class Killed(BaseException):
    """The process ends here: nothing catches it, nothing is tidied up."""


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server of our own."""
    with MailServer() as one:
        yield one


@pytest.fixture
def settings(
    tmp_path: object, database_url: str, server: MailServer, request: pytest.FixtureRequest
) -> Settings:
    """Settings with that server."""
    folder = request.getfixturevalue("tmp_path")
    return make_settings(
        folder,
        database_url=database_url,
        mail_url=f"smtp://127.0.0.1:{server.port}",
        mail_from="hello@hours.example",
        public_url="https://hours.example",
    )


@pytest.fixture
def owed(session: Session) -> Job:
    """One mail to a client, ready to be sent, and nothing else."""
    ada = make_builder(session, email=BUILDER)
    schedule(session, make_booking(session, builder=ada, price_minor=0))
    with transaction(session):
        session.execute(sa.delete(Job).where(Job.key.not_like("mail:confirmed-client:%")))
    return the_job(session)


def the_job(session: Session) -> Job:
    """The row as the database has it."""
    session.expunge_all()
    session.rollback()
    job = session.scalars(sa.select(Job)).one()
    session.expunge_all()
    session.rollback()
    return job


@pytest.mark.any_database
def test_a_crash_after_the_mail_left_sends_it_again_as_the_same(
    session: Session, server: MailServer, owed: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: the row had not ended, so the mail goes out again, under the Message-ID of the first."""

    def die(*_args: object, **_kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "finish", die)
        with pytest.raises(Killed):
            run_next(session, services.get(Collaborators), Batch(Job), clock=lambda: NOW)
    session.rollback()
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
    session: Session, server: MailServer, owed: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next worker finds the row."""

    def die(*_args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(transports.SmtpRelay, "send", die)
        with pytest.raises(Killed):
            run_next(session, services.get(Collaborators), Batch(Job), clock=lambda: NOW)
    session.rollback()
    work(session, now=NOW + 2 * LEASE)
    assert len(server.received) == 1


def test_a_refused_mail_is_kept_and_not_tried_again(session: Session, server: MailServer, owed: Job) -> None:
    """With the reason, and without the address."""
    server.answers["RCPT"] = "550 no such mailbox"
    for minutes in range(5):
        work(session, now=NOW + timedelta(minutes=minutes))
    job = the_job(session)
    assert (job.state, job.outcome, job.outcome_facts) == (
        WorkState.DEAD,
        Failure.NOT_ACCEPTED,
        {"error": "MailRefused", "try": 1},
    )
    assert server.connections == 1


def test_a_delayed_mail_is_tried_again(session: Session, server: MailServer, owed: Job) -> None:
    """By the schedule of every job."""
    server.answers["RCPT"] = "451 come again"
    work(session, now=NOW)
    assert (the_job(session).state, the_job(session).attempts) == (WorkState.FAILED, 1)
    server.answers.clear()
    work(session, now=NOW + claims.BACKOFF[0] * 2)
    assert (the_job(session).state, len(server.received)) == (WorkState.DONE, 1)


def test_mail_outlives_a_long_outage(
    session: Session, server: MailServer, owed: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with the server does not use up the tries of the mail."""
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


@pytest.mark.any_database
def test_deliveries_that_repeat_cause_one_mail_each(
    app: Flask, client: PageClient, calendly_wire: fakes.Calendly, server: MailServer
) -> None:
    """Over HTTP: the webhook three times, the browser's report twice, and a worker after each."""
    with app.app_context():
        session = db.session()
        ada: Builder = make_builder(session, email=BUILDER)
        booking = make_booking(session, builder=ada, price_minor=0, now=utcnow())
        start = utcnow() + timedelta(days=7)
        slot = facts(booking, since=utcnow(), starts_at=start, ends_at=start + timedelta(hours=1))
        tracking = services.get(TrackingSigner).sign(booking.tracking_id)
    times = {"start_time": start.isoformat(), "end_time": (start + timedelta(hours=1)).isoformat()}
    calendly_wire.add_invitee(
        slot.event_uri,
        slot.invitee_uri,
        event_type=slot.event_type_uri,
        utm_content=tracking,
        event=times,
        created_at=slot.since.isoformat(),
    )
    for at in (utcnow(), utcnow(), utcnow() + timedelta(seconds=1)):
        body = invitee_delivery("invitee.created", slot, utm_content=tracking, at=at)
        headers = {
            "Calendly-Webhook-Signature": signature(body, SIGNING_KEY),
            "Content-Type": "application/json",
        }
        assert client.post("/webhooks/calendly", data=body, headers=headers).status_code == 200
        run_due(app)
        report = {"event_uri": slot.event_uri, "invitee_uri": slot.invitee_uri}
        assert client.submit(f"/bookings/{booking.ref}/scheduled", report).status_code == 303
        run_due(app)
    with app.app_context():
        assert reread(db.session(), booking).status.value == "confirmed"
        assert db.session().scalar(sa.select(sa.func.count()).select_from(InboxEvent)) == 3
        kept = db.session().scalars(sa.select(Job.state).where(Job.name == SEND_MAIL_JOB)).all()
        assert kept == [WorkState.DONE] * 2
    readers = sorted(str(message_from_bytes(raw, policy=default)["To"]) for raw in server.received)
    assert [reader.rsplit("<", 1)[-1].rstrip(">") for reader in readers] == [BUILDER, CLIENT]
    assert all(isinstance(message_from_bytes(raw, policy=default), EmailMessage) for raw in server.received)


def test_without_a_server_mail_goes_to_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In the instance folder of a development machine."""
    folder = tmp_path_factory.mktemp("instance")
    assert make_settings(folder).mail_target == f"file:{folder / 'outbox'}"
    assert Mailbox(folder / "outbox").all() == []
