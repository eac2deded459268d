"""Restoring an expired booking whose payment arrived late. Each function is part of its caller's transaction.

Asking Calendly for the time is in :mod:`bookingapp.checkout.late_payments`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings.attention import flag, resolve
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.hosts import record_hosts
from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import Cause, confirm_if_settled, transition
from bookingapp.bookings.slot import SlotFacts, record_source, set_slot
from bookingapp.bookings.states import Event, Status


def start_restore(booking: Booking, *, now: datetime) -> None:
    """Mark that Calendly is asked for the time again: a time that is reported from now on is the booking's."""
    booking.restoring_since = now
    resolve(booking, FlagCode.LATE_PAYMENT, now=now)
    flag(booking, FlagCode.LATE_PAYMENT_CHECKED, now=now)


def is_restoring(booking: Booking) -> bool:
    """Whether Calendly is still being asked for the time."""
    return booking.status is Status.EXPIRED and booking.restoring_since is not None


def restore_booking(
    session: Session, booking: Booking, facts: SlotFacts, cause: Cause, *, now: datetime
) -> None:
    """Give the booking its time back and confirm it."""
    set_slot(booking, facts)
    record_source(booking, from_webhook=cause.is_from_webhook, now=now)
    # Every open flag was about the time that had to be released.
    resolve(booking, now=now)
    record_hosts(booking, facts, now=now)
    transition(session, booking, Event.RESTORED, cause, now=now)
    confirm_if_settled(session, booking, cause, now=now)


def give_up_restore(booking: Booking, *, now: datetime) -> None:
    """Record that the time is not available any more: one that is reported later is released."""
    booking.restoring_since = None
    resolve(booking, FlagCode.LATE_PAYMENT_CHECKED, now=now)
    flag(booking, FlagCode.LATE_PAYMENT, now=now)
