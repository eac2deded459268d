"""When the reminders of a session are due, and which mails they are. What they say is in
:mod:`bookingapp.notifications.session_mails`, the job that sends them in :mod:`bookingapp.checkout.booking_mail`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy.orm import Session

from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Booking, Slot
from bookingapp.core.queue import enqueue

REMIND_JOB = "bookings.remind"


class Step(enum.StrEnum):
    """The reminders of one session, in their order."""

    DAY = "day"
    HOUR = "hour"


BEFORE: Mapping[Step, timedelta] = MappingProxyType(
    {Step.DAY: timedelta(days=1), Step.HOUR: timedelta(hours=1)}
)
"""How long before the start each is due. A session that is confirmed later than that has none."""

MAILS: Mapping[Step, tuple[Mail, Mail]] = MappingProxyType(
    {
        Step.DAY: (Mail.REMINDER_DAY, Mail.REMINDER_DAY_BUILDER),
        Step.HOUR: (Mail.REMINDER_HOUR, Mail.REMINDER_HOUR_BUILDER),
    }
)


def start_stamp(booking: Booking) -> str:
    """The booking's start as the keys of its reminders name it: one about another start is not true."""
    return str(int(booking.starts_at.timestamp())) if booking.starts_at is not None else ""


def enqueue_reminders(session: Session, booking: Booking, *, now: datetime) -> None:
    """Enqueue the next reminder of a session that takes place, in the caller's transaction; that one enqueues the one
    after it.
    """
    start = booking.starts_at
    for step, before in BEFORE.items():
        if start is not None and start - before > now:
            enqueue_reminder(session, booking, step, run_at=start - before, now=now)
            return


def enqueue_reminder(
    session: Session, booking: Booking, step: Step, *, run_at: datetime, now: datetime
) -> None:
    """Enqueue one reminder of the booking's present start, in the caller's transaction."""
    start = start_stamp(booking)
    enqueue(
        session,
        REMIND_JOB,
        key=f"remind:{booking.id}:{start}:{step}",
        args={"booking_id": booking.id, "start": start, "step": step},
        run_at=run_at,
        now=now,
    )


def is_reminder_true(booking: Booking, start: str, step: Step, *, now: datetime) -> bool:
    """Whether a reminder of the start ``start`` is to be sent: the session is still to come at that very time, and it
    is not so late that the next reminder says the same.
    """
    if booking.starts_at is None or start_stamp(booking) != start:
        return False
    is_on = booking.is_sure and booking.slot is Slot.ACTIVE and booking.moving_since is None
    last = booking.starts_at - BEFORE[Step.HOUR] if step is Step.DAY else booking.starts_at
    return is_on and now < last
