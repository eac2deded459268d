"""The one writer of a booking's status."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking, HistoryEntry
from bookingapp.bookings.service import Cause, StaleBooking
from bookingapp.bookings.states import Event, Status
from bookingapp.core.db import transaction
from bookingapp.core.errors import Conflict
from tests.factories import NOW, make_booking, reread

pytestmark = pytest.mark.any_database

CLIENT = Cause(Actor.CLIENT, CauseCode.CANCELED_ON_PAGE, inbox_id=7)


def move(session: Session, booking: Booking, event: Event) -> bool:
    """Let the event happen, by the client."""
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        return bookings.transition(session, locked, event, CLIENT, now=NOW)


def history(session: Session, booking: Booking) -> list[HistoryEntry]:
    """The booking's history as the database has it."""
    session.rollback()
    query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == booking.id).order_by(HistoryEntry.id)
    return list(session.scalars(query))


def test_a_new_booking_has_its_first_line(session: Session) -> None:
    (first,) = history(session, make_booking(session))
    assert (first.from_status, first.to_status) == (None, Status.PENDING)
    assert (first.event, first.actor, first.at) == (None, Actor.CLIENT, NOW)


def test_a_move_and_its_line_are_one_commit(session: Session) -> None:
    """Who, why, from where, to where, and the delivery that said so."""
    booking = make_booking(session)
    assert move(session, booking, Event.CANCEL)
    assert reread(session, booking).status is Status.CANCELED
    line = history(session, booking)[-1]
    assert (line.from_status, line.to_status, line.event) == (Status.PENDING, Status.CANCELED, Event.CANCEL)
    assert (line.actor, line.cause, line.inbox_id) == (Actor.CLIENT, CauseCode.CANCELED_ON_PAGE, 7)
    assert line.at == NOW


def test_what_is_rolled_back_leaves_no_line(session: Session) -> None:
    booking = make_booking(session)

    def fail_after_moving() -> None:
        with transaction(session):
            locked = bookings.lock_booking(session, booking.id)
            bookings.transition(session, locked, Event.CANCEL, CLIENT, now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_moving()
    assert reread(session, booking).status is Status.PENDING
    assert len(history(session, booking)) == 1


def test_a_repeat_changes_nothing(session: Session) -> None:
    booking = make_booking(session)
    assert [move(session, booking, Event.CANCEL) for _ in range(2)] == [True, False]
    assert len(history(session, booking)) == 2


def test_an_illegal_move_is_refused_in_words(session: Session) -> None:
    booking = make_booking(session)
    with pytest.raises(Conflict, match="This booking has changed"):
        move(session, booking, Event.COMPLETE)
    assert reread(session, booking).status is Status.PENDING


def test_a_stale_copy_loses(session: Session, new_session: Callable[[], Session]) -> None:
    """Another writer changed the booking first: nothing of the second write is kept."""
    booking = make_booking(session)
    stale = new_session()
    copy = stale.get_one(Booking, booking.id)
    stale.commit()  # The copy stays as it was read.
    move(session, booking, Event.EXPIRE)
    assert copy.status is Status.PENDING
    with pytest.raises(StaleBooking):
        bookings.transition(stale, copy, Event.CANCEL, CLIENT, now=NOW)
    stale.rollback()
    assert reread(session, booking).status is Status.EXPIRED
    assert [line.to_status for line in history(session, booking)] == [Status.PENDING, Status.EXPIRED]


@pytest.mark.parametrize("wrong", ["status = 'lost'", "slot = 'active'"])
def test_the_database_refuses(session: Session, wrong: str) -> None:
    """A status that the code does not know, and an active slot without a time and an invitee."""
    make_booking(session)
    with pytest.raises(sa.exc.IntegrityError), transaction(session):
        session.execute(sa.text(f"UPDATE bookings SET {wrong}"))


def test_references_are_unguessable(session: Session) -> None:
    """128 bits, safe in an address, and not what Calendly sees."""
    one, other = make_booking(session), make_booking(session)
    assert one.ref != other.ref
    assert len(one.ref) >= 22
    assert one.ref.replace("-", "").replace("_", "").isalnum()
    assert one.ref not in (one.tracking_id, other.tracking_id)
