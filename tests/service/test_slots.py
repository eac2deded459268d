"""What Calendly says of a booking's time, in every order."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.models import Booking, HistoryEntry, Slot
from bookingapp.bookings.service import CANCEL_EVENT_JOB, COMPLETE_JOB, EXPIRE_JOB, FIND_TIME_JOB
from bookingapp.bookings.slot import SlotFacts, record_slot, record_slot_canceled
from bookingapp.bookings.states import Event, Status
from bookingapp.checkout import completion
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from tests.factories import (
    END,
    HOLD,
    NOW,
    PAID,
    PENDING,
    START,
    WEBHOOK,
    event_type_uri,
    facts,
    make_booking,
    reread,
    schedule,
)

pytestmark = pytest.mark.any_database

LATER = NOW + timedelta(minutes=5)


def take(session: Session, booking: Booking, slot: SlotFacts, *, now: datetime = NOW) -> bool:
    """Calendly reports an invitee."""
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        return record_slot(session, locked, slot, WEBHOOK, hold=HOLD, now=now)


def pay(session: Session, booking: Booking) -> bool:
    """Stripe reports the payment."""
    with transaction(session):
        return bookings.record_payment(session, bookings.lock_booking(session, booking.id), PAID, now=NOW)


def lose(session: Session, booking: Booking, invitee_uri: str) -> bool:
    """Calendly reports a cancellation."""
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        return record_slot_canceled(session, locked, invitee_uri, WEBHOOK, now=NOW)


def jobs(session: Session, name: str) -> list[Job]:
    """The jobs of that name."""
    session.rollback()
    return list(session.scalars(sa.select(Job).where(Job.name == name).order_by(Job.id)))


def moves(session: Session, booking: Booking) -> list[str]:
    """Where the booking went, one after the other."""
    session.rollback()
    query = sa.select(HistoryEntry.to_status).where(HistoryEntry.booking_id == booking.id)
    return [status.value for status in session.scalars(query.order_by(HistoryEntry.id))]


def test_a_time_is_taken_once(session: Session) -> None:
    """A later report changes nothing but what may be missing at first."""
    booking = make_booking(session)
    slot = facts(booking)
    assert take(session, booking, slot)
    again = facts(booking, name=slot.invitee_uri.rsplit("/", 1)[1], join_url="https://zoom.example/j/1")
    assert not take(session, booking, again, now=LATER)
    found = reread(session, booking)
    assert (found.status, found.slot) == (Status.SCHEDULED, Slot.ACTIVE)
    assert (found.starts_at, found.ends_at) == (START, END)
    assert found.join_url == "https://zoom.example/j/1"
    assert found.hold_expires_at == NOW + HOLD
    assert moves(session, booking) == ["pending", "scheduled"]


def test_the_hold_and_its_end(session: Session) -> None:
    """First the pending time, then the hold; each has its timer."""
    booking = make_booking(session)
    assert booking.hold_expires_at == NOW + PENDING
    take(session, booking, facts(booking))
    assert [job.run_at for job in jobs(session, EXPIRE_JOB)] == [NOW + PENDING, NOW + HOLD]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["older first", "newer first"])
def test_a_second_invitee_is_canceled(session: Session, order: tuple[int, int]) -> None:
    """Whichever is reported first is the booking's time; Calendly's cancellation of the other is enqueued once."""
    booking = make_booking(session)
    slots = (facts(booking), facts(booking, since=LATER))
    kept, other = (slots[number] for number in order)
    assert take(session, booking, kept)
    for _ in range(2):
        assert not take(session, booking, other, now=LATER)
    assert reread(session, booking).invitee_uri == kept.invitee_uri
    (job,) = jobs(session, CANCEL_EVENT_JOB)
    assert job.args["event_uri"] == other.event_uri


@pytest.mark.parametrize("end", [Event.EXPIRE, Event.CANCEL])
def test_a_time_that_comes_too_late_is_canceled(session: Session, end: Event) -> None:
    booking = make_booking(session)
    with transaction(session):
        bookings.transition(session, bookings.lock_booking(session, booking.id), end, WEBHOOK, now=NOW)
    late = facts(booking)
    assert not take(session, booking, late, now=LATER)
    found = reread(session, booking)
    assert (found.status.is_final, found.slot, found.invitee_uri) == (True, Slot.NONE, None)
    assert [job.args["event_uri"] for job in jobs(session, CANCEL_EVENT_JOB)] == [late.event_uri]


def test_a_time_of_another_event_type_is_flagged(session: Session) -> None:
    booking = make_booking(session)
    assert not take(session, booking, facts(booking, event_type_uri=event_type_uri("OTHER")))
    found = reread(session, booking)
    assert found.status is Status.PENDING
    assert found.attention == FlagCode.WRONG_EVENT_TYPE


def test_a_free_session_is_confirmed_when_it_is_scheduled(session: Session) -> None:
    """No payment is needed; its end has a timer and its hold has none."""
    booking = make_booking(session, price_minor=0)
    take(session, booking, facts(booking))
    found = reread(session, booking)
    assert (found.status, found.hold_expires_at, found.paid_at) == (Status.CONFIRMED, None, None)
    assert moves(session, booking) == ["pending", "scheduled", "confirmed"]
    assert [job.run_at for job in jobs(session, COMPLETE_JOB)] == [END]


def test_scheduled_then_paid(session: Session) -> None:
    """Both facts confirm, each in its own line; a second report of the payment changes nothing."""
    booking = make_booking(session)
    schedule(session, booking)
    assert pay(session, booking)
    assert not pay(session, booking)
    found = reread(session, booking)
    assert (found.status, found.paid_at, found.hold_expires_at) == (Status.CONFIRMED, NOW, None)
    assert moves(session, booking) == ["pending", "scheduled", "paid", "confirmed"]


def test_paid_before_the_time_is_known(session: Session) -> None:
    """Calendly is asked again and again for ten minutes, and its report confirms the booking."""
    booking = make_booking(session)
    pay(session, booking)
    found = reread(session, booking)
    assert (found.status, found.hold_expires_at, found.attention) == (Status.PAID, None, None)
    looks = jobs(session, FIND_TIME_JOB)
    assert looks[0].run_at == NOW
    assert looks[-1].run_at == NOW + timedelta(minutes=10)
    assert [look.args["last"] for look in looks] == [False, False, False, True]
    take(session, booking, facts(booking))
    found = reread(session, booking)
    assert (found.status, found.attention) == (Status.CONFIRMED, None)
    assert moves(session, booking) == ["pending", "paid", "paid", "confirmed"]


def test_a_canceled_time_cancels(session: Session) -> None:
    """Once, and only for the invitee that the booking has."""
    booking = make_booking(session)
    slot = schedule(session, booking)
    other = facts(booking).invitee_uri
    assert not lose(session, booking, other)
    assert reread(session, booking).status is Status.SCHEDULED
    assert lose(session, booking, slot.invitee_uri)
    assert not lose(session, booking, slot.invitee_uri)
    found = reread(session, booking)
    assert (found.status, found.slot) == (Status.CANCELED, Slot.CANCELED)


def test_a_cancellation_that_overtakes_its_creation(session: Session) -> None:
    booking = make_booking(session)
    slot = facts(booking)
    assert not lose(session, booking, slot.invitee_uri)
    assert not take(session, booking, slot)
    found = reread(session, booking)
    assert (found.status, found.slot) == (Status.PENDING, Slot.NONE)


@pytest.mark.parametrize("paid", [False, True])
@pytest.mark.parametrize("order", ["canceled first", "created first", "new before old was known"])
def test_a_reschedule_keeps_the_booking(session: Session, paid: bool, order: str) -> None:
    """In any order of deliveries; a hold starts anew, a confirmation stays, nothing is canceled."""
    booking = make_booking(session)
    old, day = facts(booking), timedelta(days=1)
    new = facts(booking, since=LATER, replaces=old.invitee_uri, starts_at=START + day, ends_at=END + day)
    if order == "new before old was known":
        take(session, booking, new, now=LATER)
        take(session, booking, old, now=LATER)
    else:
        take(session, booking, old)
        take(session, booking, new, now=LATER)
    if paid:
        pay(session, booking)
    found = reread(session, booking)
    assert (found.invitee_uri, found.starts_at) == (new.invitee_uri, new.starts_at)
    assert found.status is (Status.CONFIRMED if paid else Status.SCHEDULED)
    assert found.hold_expires_at == (None if paid else LATER + HOLD)
    assert jobs(session, CANCEL_EVENT_JOB) == []


def test_what_takes_the_place_of_our_time_is_newer_whatever_the_clocks_say(session: Session) -> None:
    """Calendly names the invitee that was replaced; two times of day may be the same."""
    booking = make_booking(session)
    old = schedule(session, booking)
    new = facts(booking, since=old.since, replaces=old.invitee_uri)
    assert take(session, booking, new)
    assert reread(session, booking).invitee_uri == new.invitee_uri
    assert jobs(session, CANCEL_EVENT_JOB) == []


@pytest.mark.parametrize("is_completed", [False, True])
def test_a_paid_booking_moves_with_its_time(session: Session, is_completed: bool) -> None:
    """Confirmed, or completed where Calendly reports the new time after the old one's end; nothing is canceled."""
    booking = make_booking(session)
    old = schedule(session, booking)
    pay(session, booking)
    if is_completed:
        completion._mark_completed(session, booking_id=booking.id, now=END)
        assert reread(session, booking).status is Status.COMPLETED
    new = facts(booking, since=LATER, replaces=old.invitee_uri, ends_at=END + timedelta(days=7))
    assert take(session, booking, new, now=END + timedelta(hours=1) if is_completed else LATER)
    found = reread(session, booking)
    assert (found.status, found.ends_at) == (Status.CONFIRMED, new.ends_at)
    assert found.invitee_uri == new.invitee_uri
    assert [job.run_at for job in jobs(session, COMPLETE_JOB)] == [END, new.ends_at]
    assert jobs(session, CANCEL_EVENT_JOB) == []
    kinds = [str(job.args["mail"]) for job in jobs(session, SEND_MAIL_JOB)]
    assert kinds[-2:] == ["moved-client", "moved-builder"]
    assert not lose(session, booking, old.invitee_uri), "the cancellation that belongs to the reschedule"
    assert reread(session, booking).status is Status.CONFIRMED
