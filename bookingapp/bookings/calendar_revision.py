"""Counts how often a booking changes for calendars: a calendar keeps the entry with the highest number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status


@contextmanager
def revising(booking: Booking, *, now: datetime) -> Iterator[None]:
    """Raise the booking's calendar sequence if the block changes anything that its calendar file shows."""
    before = _shown(booking)
    yield
    if _shown(booking) != before:
        booking.calendar_sequence += 1
        booking.calendar_changed_at = now


def _shown(booking: Booking) -> tuple[Any, ...]:
    is_on = booking.status in (Status.CONFIRMED, Status.COMPLETED)
    when = (booking.starts_at, booking.ends_at, booking.client_timezone)
    where = (booking.place_kind, booking.place, booking.join_url, booking.host_name)
    return (is_on, *when, *where, booking.client_name)
