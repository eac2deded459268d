"""What mails about who came say, to whom an answer goes, and that none is sent once it is not true any more."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import absence_claims, attendance
from bookingapp.bookings import service as bookings
from bookingapp.bookings.absence_claims import DEADLINE_JOB
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.builders.models import Builder
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from tests.factories import START
from tests.mailbox import Mailbox, text, work
from tests.notifications.conftest import BUILDER, CLIENT, confirmed

SAID = START + timedelta(minutes=10)
DAY = timedelta(days=1)
MARKED = Cause(Actor.BUILDER, CauseCode.NO_SHOW_MARKED)


@pytest.fixture
def booking(session: Session, ada: Builder) -> Booking:
    """Confirmed, and its mails are sent."""
    made = confirmed(session, ada)
    with transaction(session):
        session.execute(sa.delete(Job))
    return made


def locked(session: Session, booking: Booking) -> Booking:
    return bookings.lock_booking(session, booking.id)


def post(session: Session, *, now: datetime = SAID) -> None:
    """Send the mails that are due, and let a builder's day end."""
    with transaction(session):
        session.execute(sa.delete(Job).where(Job.name.not_in((SEND_MAIL_JOB, DEADLINE_JOB))))
    work(session, now=now)


def test_the_builder_is_asked_and_silent(session: Session, mailbox: Mailbox, booking: Booking) -> None:
    with transaction(session):
        absence_claims.claim_absence(session, locked(session, booking), now=SAID)
    post(session)
    question = mailbox.one(BUILDER)
    assert str(question["Subject"]).startswith("Please answer: 60 Minute Consultation")
    assert "Please answer on your dashboard until Wednesday 2 December 2026, 14:10 GMT" in text(question)
    assert "Without an answer, Grace Hall gets everything back" in text(question)
    assert f"/dashboard/bookings/{booking.tracking_id}" in text(question)
    post(session, now=SAID + DAY)
    sorry, told = mailbox.one(CLIENT, "We're sorry"), mailbox.one(BUILDER, "Canceled")
    assert "Ada Okonkwo did not answer when we asked about your session" in text(sorry)
    assert "We are refunding £60.00" in text(sorry)
    assert "we had no answer from you within a day" in text(told)


def test_where_they_disagree_an_answer_goes_to_neither(
    session: Session, mailbox: Mailbox, booking: Booking
) -> None:
    """Each reads what the other says; who answers writes to the support."""
    with transaction(session):
        absence_claims.claim_absence(session, locked(session, booking), now=SAID)
    with transaction(session):
        absence_claims.deny_claim(session, locked(session, booking), by=Actor.BUILDER, now=SAID)
    post(session)
    for address in (CLIENT, BUILDER):
        mail = mailbox.one(address, "We're looking at it")
        assert "A person of our team looks at it" in text(mail)
        assert mail["Reply-To"] is None
    assert mailbox.one(BUILDER), "the question is not true any more"
    with transaction(session):
        absence_claims.dismiss_claim(session, locked(session, booking), now=SAID)
    post(session)
    assert "your session took place, so there is no refund" in text(mailbox.one(CLIENT, "Our decision"))
    assert "the payment stays with you" in text(mailbox.one(BUILDER, "Our decision"))


def test_taken_back_before_anybody_was_asked(session: Session, mailbox: Mailbox, booking: Booking) -> None:
    with transaction(session):
        absence_claims.claim_absence(session, locked(session, booking), now=SAID)
    with transaction(session):
        absence_claims.withdraw_claim(session, locked(session, booking), now=SAID)
    post(session)
    assert "You don't need to do anything" in text(mailbox.one(BUILDER))


@pytest.mark.parametrize("kept", [True, False])
def test_the_client_is_told_of_a_mark(
    session: Session, mailbox: Mailbox, booking: Booking, *, kept: bool
) -> None:
    """What it means, where to answer, and what was decided."""
    with transaction(session):
        attendance.mark_attendance(session, locked(session, booking), MARKED, came=False, now=SAID)
    post(session)
    told = mailbox.one(CLIENT)
    assert "If you were there, please tell us on your booking's page" in text(told)
    assert f"/bookings/{booking.ref}" in text(told)
    with transaction(session):
        attendance.deny_no_show(session, locked(session, booking), now=SAID)
    post(session)
    assert "told us that they were there" in text(mailbox.one(BUILDER))
    with transaction(session):
        if kept:
            attendance.keep_no_show(session, locked(session, booking), now=SAID)
        else:
            attendance.mark_attendance(session, locked(session, booking), MARKED, came=True, now=SAID)
    post(session)
    subject, words = ("Our decision", "the no-show stays") if kept else ("All is well", "the mark is removed")
    assert words in text(mailbox.one(CLIENT, subject))


def test_a_mark_that_was_a_slip_is_not_mailed(session: Session, mailbox: Mailbox, booking: Booking) -> None:
    for came in (False, True):
        with transaction(session):
            attendance.mark_attendance(session, locked(session, booking), MARKED, came=came, now=SAID)
    post(session)
    assert mailbox.all() == []
