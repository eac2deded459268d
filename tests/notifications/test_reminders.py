"""Reminders a day and an hour before a session: to both, once, and never one that is not true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.models import Booking, Slot
from bookingapp.bookings.reminders import REMIND_JOB, start_stamp
from bookingapp.bookings.slot import record_slot
from bookingapp.bookings.states import Event
from bookingapp.builders.models import Builder
from bookingapp.checkout.booking_mail import remind
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from tests.factories import END, HOLD, NOW, START, WEBHOOK, facts, make_booking, reread, schedule
from tests.mailbox import Mailbox, text, work
from tests.notifications.conftest import BUILDER, CLIENT, confirmed

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
HOME = "http://127.0.0.1:8000"
ALL = ["day", "day-builder", "hour", "hour-builder"]


def pass_to(session: Session, now: datetime) -> None:
    """Run the reminders and mails that are due by then, without what else is."""
    with transaction(session):
        session.execute(sa.delete(Job).where(Job.name.not_in((SEND_MAIL_JOB, REMIND_JOB))))
    work(session, now=now)


def reminders(mailbox: Mailbox) -> list[str]:
    """The kinds of the reminders that were sent."""
    kinds = [str(mail["Message-ID"]).strip("<>").split(".")[0] for mail in mailbox.all()]
    return sorted(kind.removeprefix("reminder-") for kind in kinds if kind.startswith("reminder-"))


def move(session: Session, booking: Booking, start: datetime, *, now: datetime) -> None:
    """Calendly reports another time."""
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        slot = facts(booking, replaces=locked.invitee_uri, since=now, starts_at=start, ends_at=start + HOUR)
        record_slot(session, locked, slot, WEBHOOK, hold=HOLD, now=now)


def test_a_day_and_an_hour_before(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """With place, link, both zones and the way to change it; however often the worker looks."""
    slot: dict[str, Any] = {"join_url": "https://zoom.example/j/1", "place_kind": "zoom_conference"}
    booking = make_booking(session, builder=ada, price_minor=0)
    schedule(session, booking, **slot)
    pass_to(session, START - DAY - MINUTE)
    assert reminders(mailbox) == []
    for _ in range(2):
        pass_to(session, START - DAY)
    assert reminders(mailbox) == ["day", "day-builder"]
    client, builder = mailbox.one(CLIENT, "Tomorrow"), mailbox.one(BUILDER, "Reminder")
    assert client["Subject"] == "Tomorrow at 15:00 CET: 60 Minute Consultation with Ada Okonkwo"
    for said in (text(client), text(builder)):
        assert "Tuesday 1 December 2026, 15:00-16:00 CET (Berlin time)" in said
        assert "Tuesday 1 December 2026, 14:00-15:00 GMT (London time)" in said
        assert "https://zoom.example/j/1" in said and "Zoom" in said
    assert f"{HOME}/bookings/{booking.ref}" in text(client)
    assert "you can reschedule or cancel on your booking's page" in text(client)
    assert f"{HOME}/dashboard/bookings/{booking.tracking_id}" in text(builder)
    for _ in range(2):
        pass_to(session, START - HOUR)
    assert mailbox.one(CLIENT, "Starts at 15:00 CET: ")
    pass_to(session, END)
    assert reminders(mailbox) == ALL


@pytest.mark.parametrize(
    ("before", "number"), [(DAY + MINUTE, 4), (DAY, 2), (HOUR + MINUTE, 2), (HOUR, 0), (MINUTE, 0)]
)
def test_none_for_what_was_booked_later_than_that(
    session: Session, mailbox: Mailbox, ada: Builder, before: timedelta, number: int
) -> None:
    booking = make_booking(session, builder=ada, price_minor=0)
    start = NOW + before
    schedule(session, booking, starts_at=start, ends_at=start + HOUR)
    for now in (NOW, start - DAY, start - HOUR, start):
        pass_to(session, max(now, NOW))
    assert len(reminders(mailbox)) == number


CHANGES: dict[str, dict[str, Any]] = {
    "canceled": {},
    "being rescheduled": {"moving_since": NOW},
    "its time is being released": {"slot": Slot.RELEASING},
}


@pytest.mark.parametrize("what", list(CHANGES))
@pytest.mark.parametrize("when", ["before it is due", "before it is sent"])
def test_none_after_a_change(session: Session, mailbox: Mailbox, ada: Builder, what: str, when: str) -> None:
    booking = confirmed(session, ada)

    def change() -> None:
        with transaction(session):
            locked = bookings.lock_booking(session, booking.id)
            if what == "canceled":
                bookings.transition(session, locked, Event.CANCEL, WEBHOOK, now=START - DAY)
            for name, value in CHANGES[what].items():
                setattr(locked, name, value)
        session.expunge_all()

    if when == "before it is due":
        change()
        pass_to(session, START - DAY)
    else:
        # The timer ran, and its mails wait for a server that does not answer.
        with transaction(session):
            session.execute(sa.delete(Job).where(Job.name != REMIND_JOB))
            session.execute(sa.update(Job).values(run_at=START - DAY))
        remind(
            session,
            booking_id=booking.id,
            start=start_stamp(reread(session, booking)),
            step="day",
            now=START - DAY,
        )
        change()
        pass_to(session, START - DAY)
    pass_to(session, START - HOUR)
    assert reminders(mailbox) == []


def test_a_new_time_has_its_own(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """The old one's are silent, also where the mails were on their way."""
    booking = confirmed(session, ada)
    move(session, booking, START + 2 * DAY, now=START - DAY - HOUR)
    for now in (START - DAY, START - HOUR):
        pass_to(session, now)
    assert reminders(mailbox) == []
    for now in (START + DAY, START + 2 * DAY - HOUR):
        pass_to(session, now)
    assert reminders(mailbox) == ALL


def test_none_for_a_new_time_within_the_hour(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    booking = confirmed(session, ada)
    now = START - 2 * HOUR
    move(session, booking, now + 30 * MINUTE, now=now)
    for at in (now, now + 10 * MINUTE, START - HOUR, START):
        pass_to(session, at)
    assert reminders(mailbox) == []


def test_a_worker_that_comes_late(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """Says what is still true, once: half an hour before, that it starts soon; afterwards nothing."""
    first, second = confirmed(session, ada), confirmed(session, ada)
    with transaction(session):
        session.execute(
            sa.update(Booking).where(Booking.id == second.id).values(client_email="late@example.org")
        )
        session.execute(sa.update(Job).where(Job.booking_id == second.id).values(run_at=START + MINUTE))
    pass_to(session, START - 30 * MINUTE)
    assert reminders(mailbox) == ["hour", "hour-builder"]
    pass_to(session, START + MINUTE)
    assert len(reminders(mailbox)) == 2
    assert first.id != second.id


@pytest.mark.parametrize(
    ("zone", "start", "hours", "said"),
    [
        # Saturday 23:30 in London: the Sunday of the clock change has 23 hours.
        ("Europe/London", datetime(2027, 3, 28, 23, 30, tzinfo=UTC), 24, "Monday 29 March 2027, 00:30 BST"),
        ("Europe/London", datetime(2027, 3, 28, 12, 30, tzinfo=UTC), 24, "Tomorrow at 13:30 BST"),
        ("Europe/London", datetime(2027, 3, 28, 12, 30, tzinfo=UTC), 3, "Today at 13:30 BST"),
        ("Australia/Sydney", datetime(2027, 3, 28, 0, 30, tzinfo=UTC), 24, "Tomorrow at 11:30 AEDT"),
    ],
)
def test_scenario_51_the_day_is_the_readers(
    session: Session, mailbox: Mailbox, ada: Builder, zone: str, start: datetime, hours: int, said: str
) -> None:
    """By the client's calendar; the two local times are those of the confirmation."""
    booking = make_booking(session, builder=ada, price_minor=0, client_timezone=zone)
    schedule(session, booking, starts_at=start, ends_at=start + HOUR)
    pass_to(session, start - hours * HOUR)
    (mail,) = [one for one in mailbox.to(CLIENT) if "reminder-day" in str(one["Message-ID"])]
    assert str(mail["Subject"]).startswith(said)
    if zone == "Australia/Sydney":
        assert "Sunday 28 March 2027, 11:30-12:30 AEDT (Sydney time)" in text(mail)
        assert "Sunday 28 March 2027, 00:30 GMT-02:30 BST (London time)" in text(mail)
