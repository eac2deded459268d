"""A mail that is given up is not silent: its booking is flagged, and the builder sends it again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings import attention
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.core.claims import LAST_TRY, LEASE
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.core.settings import Settings
from tests.conftest import make_settings
from tests.factories import NOW, PASSWORD, make_builder
from tests.mailbox import work
from tests.notifications.conftest import BUILDER, confirmed
from tests.notifications.smtp import MailServer
from tests.pages import PageClient

SEE_IT = "We could not deliver an e-mail about this booking"


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server of our own, which knows no mailbox."""
    with MailServer(answers={"RCPT": "550 5.1.1 no such mailbox"}) as one:
        yield one


@pytest.fixture
def settings(tmp_path: Path, database_url: str, server: MailServer) -> Settings:
    """Settings with that server."""
    url = f"smtp://127.0.0.1:{server.port}"
    return make_settings(tmp_path, database_url=database_url, mail_url=url, mail_from="hello@hours.example")


@pytest.fixture
def booking(app: Flask) -> Booking:
    """A confirmed booking, whose mails are due."""
    with app.app_context():
        ada = make_builder(db.session(), slug="ada", email=BUILDER)
        return confirmed(db.session(), ada)


def work_at(app: Flask, now: datetime = NOW) -> None:
    """Do everything that is due then."""
    with app.app_context():
        work(db.session(), now=now)


def is_flagged(app: Flask, booking: Booking) -> bool:
    """Whether a person is asked to look."""
    with app.app_context():
        found = db.session().get_one(Booking, booking.id)
        return attention.is_flagged(found, FlagCode.MAIL_NOT_SENT)


def log_in(app: Flask, email: str = BUILDER) -> tuple[PageClient, str]:
    """A builder's browser, and the token of its forms."""
    client = app.test_client()
    assert isinstance(client, PageClient)
    assert client.submit("/login", {"email": email, "password": PASSWORD}).status_code == 303
    return client, str(client.page("/dashboard/profile").select("input[name=csrf_token]")[0]["value"])


@pytest.mark.any_database
def test_the_builder_sees_it_and_sends_it_again(app: Flask, server: MailServer, booking: Booking) -> None:
    """Which mail and to whom; the flag goes once everything is sent, and not before."""
    work_at(app)
    assert is_flagged(app, booking)
    browser, token = log_in(app)
    path = f"/dashboard/bookings/{booking.tracking_id}"
    assert SEE_IT in browser.page("/dashboard").words
    page = browser.page(path)
    assert SEE_IT in page.words
    assert "To Grace Hall: the confirmation, with time, price and refund policy" in page.words
    assert "To you: the new booking" in page.words
    form = str(page.one("form[action$=send-again]")["action"])

    # Still refused: it is flagged as before.
    assert browser.post(form, data={"csrf_token": token}).location == path
    work_at(app, utcnow())
    assert is_flagged(app, booking)
    assert browser.page(path).select("form[action$=send-again]")

    server.answers.clear()
    answer = browser.post(form, data={"csrf_token": token}, follow_redirects=True)
    assert "We are sending it again" in answer.text
    work_at(app, utcnow())
    assert not is_flagged(app, booking)
    assert len(server.received) == 2
    assert SEE_IT not in browser.page("/dashboard").words
    # The booking's timeline tells that it was so.
    assert not browser.page(path).select("form[action$=send-again]")


def test_the_client_is_not_troubled_with_it(app: Flask, client: PageClient, booking: Booking) -> None:
    """Their page says that they are booked."""
    work_at(app)
    page = client.page(f"/bookings/{booking.ref}")
    assert page.one("#booking-headline").text == "You are booked"
    assert "checking a detail" not in page.words
    assert page.one("#booking-status")["data-attention"] == FlagCode.MAIL_NOT_SENT


def test_another_builder_cannot_send_it(app: Flask, booking: Booking) -> None:
    """It does not exist for them."""
    work_at(app)
    with app.app_context():
        make_builder(db.session(), slug="kenji", email="kenji@example.com")
    browser, token = log_in(app, "kenji@example.com")
    path = f"/dashboard/bookings/{booking.tracking_id}/send-again"
    assert browser.post(path, data={"csrf_token": token}).status_code == 404


def test_days_of_a_used_up_quota_end_in_a_flag(app: Flask, server: MailServer, booking: Booking) -> None:
    """Nothing is flagged while it is retried."""
    server.answers["RCPT"] = "550 5.4.5 quota exceeded"
    work_at(app)
    assert not is_flagged(app, booking)
    for tries in range(1, LAST_TRY):
        work_at(app, NOW + tries * timedelta(hours=2))
    assert is_flagged(app, booking)


@pytest.mark.any_database
def test_a_mail_that_ends_its_worker_is_flagged_too(app: Flask, booking: Booking) -> None:
    """Not even its failure could be recorded."""
    mails = sa.update(Job).where(Job.key.startswith("mail:"))
    with app.app_context(), transaction(db.session()) as session:
        session.execute(mails.values(attempts=LAST_TRY, state=WorkState.PROCESSING))
    work_at(app, NOW + 2 * LEASE)
    assert is_flagged(app, booking)


@pytest.mark.any_database
def test_a_mail_that_is_not_true_any_more_is_flagged_no_longer(
    app: Flask, server: MailServer, booking: Booking
) -> None:
    """Sent again after a cancellation, it is dropped, and nothing is left to do."""
    work_at(app)
    browser, token = log_in(app)
    server.answers.clear()
    for what in ("cancel", "send-again"):
        browser.post(f"/dashboard/bookings/{booking.tracking_id}/{what}", data={"csrf_token": token})
    work_at(app, utcnow())
    assert not is_flagged(app, booking)
    subjects = b"".join(server.received)
    assert b"You are booked" not in subjects
