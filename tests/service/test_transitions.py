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


def history(session: Session, booking: Booking) -> list[HistoryEntry]:
    """The booking's history as the database has it."""
    session.rollback()
    query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == booking.id).order_by(HistoryEntry.id)
    return list(session.scalars(query))


def test_a_new_booking_has_its_first_line(session: Session) -> None:
    """From nothing to pending, by the client."""
    (first,) = history(session, make_booking(session))
    assert (first.from_status, first.to_status, first.event, first.actor) == (
        None,
        Status.PENDING,
        None,
        Actor.CLIENT,
    )
    assert first.at == NOW


def test_a_move_and_its_line_are_one_commit(session: Session) -> None:
    """Who, why, from where, to where, and the delivery that said so."""
    booking = make_booking(session)
    with transaction(session):
        assert bookings.transition(
            session, bookings.lock_booking(session, booking.id), Event.CANCEL, CLIENT, now=NOW
        )
    assert reread(session, booking).status is Status.CANCELED
    line = history(session, booking)[-1]
    assert (line.from_status, line.to_status, line.event) == (Status.PENDING, Status.CANCELED, Event.CANCEL)
    assert (line.actor, line.cause, line.inbox_id, line.at) == (
        Actor.CLIENT,
        CauseCode.CANCELED_ON_PAGE,
        7,
        NOW,
    )


def test_what_is_rolled_back_leaves_no_line(session: Session) -> None:
    """Neither the status nor the history."""
    booking = make_booking(session)

    def fail_after_moving() -> None:
        with transaction(session):
            bookings.transition(
                session, bookings.lock_booking(session, booking.id), Event.CANCEL, CLIENT, now=NOW
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_moving()
    assert reread(session, booking).status is Status.PENDING
    assert len(history(session, booking)) == 1


def test_a_repeat_changes_nothing(session: Session) -> None:
    """And writes no line."""
    booking = make_booking(session)
    for expected in (True, False):
        with transaction(session):
            locked = bookings.lock_booking(session, booking.id)
            assert bookings.transition(session, locked, Event.CANCEL, CLIENT, now=NOW) is expected
    assert len(history(session, booking)) == 2


def test_an_illegal_move_is_refused_in_words(session: Session) -> None:
    """And nothing changes."""
    booking = make_booking(session)
    with pytest.raises(Conflict, match="This booking has changed"), transaction(session):
        bookings.transition(
            session, bookings.lock_booking(session, booking.id), Event.COMPLETE, CLIENT, now=NOW
        )
    assert reread(session, booking).status is Status.PENDING


def test_a_stale_copy_loses(session: Session, new_session: Callable[[], Session]) -> None:
    """Two looked, one moved: the other's write finds another status than it saw, and nothing of it is kept."""
    booking = make_booking(session)
    stale = new_session()
    copy = stale.get_one(Booking, booking.id)
    stale.commit()  # The look is over; the copy stays as it was.
    with transaction(session):
        bookings.transition(
            session, bookings.lock_booking(session, booking.id), Event.EXPIRE, CLIENT, now=NOW
        )
    assert copy.status is Status.PENDING
    with pytest.raises(StaleBooking):
        bookings.transition(stale, copy, Event.CANCEL, CLIENT, now=NOW)
    stale.rollback()
    assert reread(session, booking).status is Status.EXPIRED
    assert [line.to_status for line in history(session, booking)] == [Status.PENDING, Status.EXPIRED]


def test_the_database_knows_the_states(session: Session) -> None:
    """A status that the code does not know cannot be written by any hand."""
    booking = make_booking(session)
    with pytest.raises(sa.exc.IntegrityError), transaction(session):
        session.execute(sa.text("UPDATE bookings SET status = 'lost' WHERE id = :id"), {"id": booking.id})


def test_the_database_keeps_a_slot_whole(session: Session) -> None:
    """There is no active slot without a time and an invitee."""
    booking = make_booking(session)
    with pytest.raises(sa.exc.IntegrityError), transaction(session):
        session.execute(sa.text("UPDATE bookings SET slot = 'active' WHERE id = :id"), {"id": booking.id})


def test_references_are_unguessable(session: Session) -> None:
    """128 bits, safe in an address, and not what Calendly sees."""
    one, other = make_booking(session), make_booking(session)
    assert one.ref != other.ref
    assert len(one.ref) >= 22
    assert one.ref.replace("-", "").replace("_", "").isalnum()
    assert one.ref not in (one.tracking_id, other.tracking_id)
