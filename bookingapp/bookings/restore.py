"""A booking whose hold has ended and whose money came after all: it may get its time back. Every function is part of
its caller's transaction and commits nothing.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings.attention import flag, resolve
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import Cause, confirm_if_settled, transition
from bookingapp.bookings.slot import SlotFacts, record_source, set_slot
from bookingapp.bookings.states import Event, Status


def start_restore(booking: Booking, *, now: datetime) -> None:
    """Calendly is going to be asked. A time that comes in from now on is the booking's, whoever tells of it first."""
    booking.restoring_since = now
    resolve(booking, FlagCode.LATE_PAYMENT, now=now)
    flag(booking, FlagCode.LATE_PAYMENT_CHECKED, now=now)


def is_restoring(booking: Booking) -> bool:
    """Whether it is not decided yet."""
    return booking.status is Status.EXPIRED and booking.restoring_since is not None


def restore_booking(
    session: Session, booking: Booking, facts: SlotFacts, cause: Cause, *, now: datetime
) -> None:
    """The time is the booking's again, the old one or one that was just made: paid, and so confirmed."""
    set_slot(booking, facts)
    record_source(booking, told=cause.is_told, now=now)
    # Whatever a person was asked to see to was about the time that had to be given back.
    resolve(booking, now=now)
    transition(session, booking, Event.RESTORED, cause, now=now)
    confirm_if_settled(session, booking, cause, now=now)


def give_up_restore(booking: Booking, *, now: datetime) -> None:
    """The time cannot be had any more: one that comes in later is given back."""
    booking.restoring_since = None
    resolve(booking, FlagCode.LATE_PAYMENT_CHECKED, now=now)
    flag(booking, FlagCode.LATE_PAYMENT, now=now)
