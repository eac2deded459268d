"""From Calendly to a booking's slot: whose is an invitee, and is it the time that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings import attention, reschedule, slot
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import SlotFacts
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.checkout.calendly_invitees import (
    canonical_event,
    canonical_invitee,
    slot_facts,
)
from bookingapp.core.db import end_request_read, transaction
from bookingapp.core.errors import Conflict, Invalid
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyRejected,
)
from bookingapp.payments import service as payments
from bookingapp.payments.models import PaymentState

CLOSE_CHECKOUT_JOB = "payments.close"
CLOSE_FOR_BOOKING_JOB = "payments.close_for_booking"


@dataclass(frozen=True)
class Timers:
    """How long a booking keeps what it has: ``pending`` without a slot, ``hold`` with an unpaid one."""

    pending: timedelta
    hold: timedelta


def record_invitee(
    session: Session, booking: Booking, facts: SlotFacts, cause: Cause, *, hold: timedelta, now: datetime
) -> bool:
    """Record what Calendly says of an invitee, and that it has taken a payment itself where it has: then nothing is
    charged here, and no hold runs out. In the caller's transaction; returns whether the slot was news.
    """
    before = booking.starts_at if booking.slot is Slot.ACTIVE else None
    news = slot.record_slot(session, booking, facts, cause, hold=hold, now=now)
    if news and before is not None:
        withdraw_checkout(session, booking, now=now)
    is_ours = booking.invitee_uri == facts.invitee_uri
    if is_ours and facts.paid_in_calendly and not booking.paid_in_calendly:
        booking.paid_in_calendly = True
        attention.flag(booking, FlagCode.PAID_IN_CALENDLY, now=now)
        key, args = f"close-for:{booking.id}:paid-in-calendly", {"booking_id": booking.id}
        enqueue(session, CLOSE_FOR_BOOKING_JOB, key=key, args=args, run_at=now, now=now)
    elif news and not facts.event_type_uri:
        attention.flag(booking, FlagCode.UNKNOWN_EVENT_TYPE, now=now)
    if booking.paid_in_calendly:
        booking.hold_expires_at = None
    return news


def record_invitee_rescheduled(
    session: Session, booking: Booking, *, old: str, new: str | None, cause: Cause, now: datetime
) -> bool:
    """The old half of a reschedule, in the caller's transaction. Returns whether it was news."""
    news = reschedule.record_reschedule_started(session, booking, old=old, new=new, cause=cause, now=now)
    if news:
        withdraw_checkout(session, booking, now=now)
    return news


def withdraw_checkout(session: Session, booking: Booking, *, now: datetime) -> None:
    """Let go of the open Checkout Session, which names a time that is over. Its address is given to nobody any more,
    and the worker ends it; whoever presses Pay next gets a new one with the new time. A payment that is on its way
    through it counts all the same: the price and the booking are the same.
    """
    payment = payments.find_live_payment(session, booking.id)
    if payment is None or payment.state is PaymentState.PROCESSING:
        return
    payment.checkout_url = None
    key, args = f"close:{payment.id}:moved", {"payment_id": payment.id}
    enqueue(session, CLOSE_CHECKOUT_JOB, key=key, args=args, run_at=now, now=now)


def verify_claim(
    session: Session,
    calendly: CalendlyClient,
    signer: TrackingSigner,
    *,
    ref: str,
    event_uri: str,
    invitee_uri: str,
    timers: Timers,
    now: datetime,
) -> None:
    """A browser says that it has scheduled. Only the two ids of its claim are used: invitee and event are read
    back from Calendly, and have to be active, of this booking's event type, and to carry its signed reference.

    Raises :class:`Invalid` for addresses that are none of Calendly's, :class:`Conflict` for somebody else's
    invitee, and the client's errors where Calendly does not answer.
    """
    booking = bookings.get_by_ref(session, ref)
    tenant = booking.builder.tenant
    end_request_read()
    try:
        event_uri, invitee_uri = _same_event(calendly, event_uri, invitee_uri)
    except CalendlyRejected:
        raise Invalid(
            "Calendly's answer could not be read. Your time is safe; this page will find it by itself."
        ) from None
    invitee = canonical_invitee(calendly, calendly.invitee(tenant, invitee_uri))
    event = canonical_event(calendly, calendly.scheduled_event(tenant, event_uri))
    if (
        signer.read(invitee.tracking.utm_content) != booking.tracking_id
        or event.event_type not in (None, booking.event_type_uri)
        or invitee.status != "active"
    ):
        raise Conflict("That time does not belong to this booking.")
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        cause = Cause(Actor.CLIENT, CauseCode.TIME_REPORTED)
        record_invitee(session, locked, slot_facts(invitee, event), cause, hold=timers.hold, now=now)


def _same_event(calendly: CalendlyClient, event_uri: str, invitee_uri: str) -> tuple[str, str]:
    event_id = calendly.scheduled_event_id(event_uri)
    of_event, _ = calendly.invitee_ids(invitee_uri)
    if of_event != event_id:
        raise Invalid("These two addresses do not belong together.")
    return calendly.canonical_event_uri(event_uri), calendly.canonical_invitee_uri(invitee_uri)
