"""The second half of a reschedule that does not come: Calendly is asked where the time went."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import attention, reschedule
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.reschedule import FOLLOW_MOVE_JOB
from bookingapp.bookings.service import Cause
from bookingapp.builders.models import Builder
from bookingapp.checkout import cancellation
from bookingapp.checkout.calendly_invitees import canceled_by_host, fetch_latest_invitee, slot_facts
from bookingapp.checkout.calendly_slot import Timers, record_invitee
from bookingapp.core.db import end_read, transaction
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import CalendlyClient, Invitee, ScheduledEvent

ASKED = Cause(Actor.CALENDLY, CauseCode.RESCHEDULE_FETCHED)


@job(
    FOLLOW_MOVE_JOB,
    label="a question to Calendly where the time was moved to",
    flag=FlagCode.RESCHEDULED_UNKNOWN,
)
def follow_reschedule(
    session: Session,
    calendly: CalendlyClient,
    *,
    booking_id: int,
    old: str,
    new: str | None,
    timers: Timers,
    now: datetime,
) -> None:
    """Find the invitee that took the place of ``old``, unless a delivery was faster.

    A booking whose new time Calendly does not know stays as it is, and a person looks at it. Raises the client's
    errors, to be tried again.
    """
    booking = session.get(Booking, booking_id)
    tenant = session.get_one(Builder, booking.builder_id).tenant if booking is not None else ""
    end_read(session)
    if booking is None or _is_recorded(booking, old, new):
        return
    found = fetch_latest_invitee(calendly, tenant, old, new)
    with transaction(session):
        locked = bookings.lock_booking(session, booking_id)
        if _is_recorded(locked, old, new):
            return
        if found is None:
            if locked.invitee_uri == old and locked.moving_since is not None:
                attention.flag(locked, FlagCode.RESCHEDULED_UNKNOWN, now=now)
            return
        apply_latest_invitee(session, locked, *found, timers=timers, now=now)


def _is_recorded(booking: Booking, old: str, new: str | None) -> bool:
    """Whether the second half came by itself in the meantime."""
    return booking.invitee_uri not in (old, None) if new is None else booking.invitee_uri == new


def apply_latest_invitee(
    session: Session,
    booking: Booking,
    invitee: Invitee,
    event: ScheduledEvent,
    *,
    timers: Timers,
    now: datetime,
) -> None:
    """Take over what Calendly says of where the booking's time went, in the caller's transaction."""
    is_active = invitee.status == "active"
    if invitee.uri == booking.invitee_uri:
        if is_active:
            reschedule.clear_reschedule(booking, ASKED, now=now)
        elif booking.moving_since is not None:
            attention.flag(booking, FlagCode.RESCHEDULED_UNKNOWN, now=now)
        else:
            _record_canceled(session, booking, invitee, now=now)
        return
    if not is_active and booking.moving_since is None:
        return  # Taken, moved and canceled before we heard of any of it.
    if not is_active:
        # Moved and then canceled: both happened, so both are done, in their order.
        booking.canceled_invitees = [uri for uri in booking.canceled_invitees if uri != invitee.uri]
    record_invitee(session, booking, slot_facts(invitee, event), ASKED, hold=timers.hold, now=now)
    if not is_active and booking.invitee_uri == invitee.uri:
        _record_canceled(session, booking, invitee, now=now)


def _record_canceled(session: Session, booking: Booking, invitee: Invitee, *, now: datetime) -> None:
    by_host, at = canceled_by_host(invitee)
    cancellation.record_calendly_cancellation(
        session, booking, invitee.uri, ASKED, by_host=by_host, at=min(at, now), now=now
    )
