"""The end of a hold: closes the Checkout Session, releases the time in Calendly, then expires the booking. In this
order a released time cannot be paid, and no unpaid booking keeps one.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention, slot, slot_requests
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode, RefundReason
from bookingapp.bookings.mail_triggers import CancellationTerms
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import EXPIRE_JOB, Cause
from bookingapp.bookings.slot import record_source
from bookingapp.bookings.states import Event, Status
from bookingapp.checkout import close_checkout
from bookingapp.checkout.authorized import SECOND_CHOICE, follow_authorization, is_capturable
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.checkout.release_time import (
    cancel_calendly_event,
)
from bookingapp.checkout.unknown_sessions import settle_after_gap
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import N_, lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyError,
    CalendlyUnauthorized,
)
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments import refunds
from bookingapp.payments import service as payments

log = structlog.get_logger(__name__)

PATIENCE = timedelta(minutes=10)
"""How long an expiry waits for a Calendly that does not answer."""
REASON = N_("The booking was not paid in time.")
LONGER_HOLD = timedelta(days=1)


@job(EXPIRE_JOB, label=lazy_gettext("expiring the hold"), revive=True)
def expire_booking(
    session: Session,
    stripe: StripeGateway,
    calendly: CalendlyClient,
    *,
    booking_id: int,
    timers: Timers,
    now: datetime,
) -> None:
    """Expire a booking whose hold has ended, unless it was paid meanwhile or is held for longer.

    Safe to repeat after a crash at any point. Raises the providers' errors; the job is then retried.
    """
    booking = _due(session, booking_id, now)
    if booking is None or _awaits_calendly_or_capture(session, booking_id, now):
        return
    settle_after_gap(session, stripe, booking_id=booking_id, now=now)
    _close_checkout(session, stripe, booking_id, timers, now)
    with transaction(session):
        booking = bookings.lock_booking(session, booking_id)
        # A payment may have won the race: the price, a delayed payment, or a wrong amount.
        if not _is_due(booking, now) or _is_under_way(session, booking, now):
            return
        slot.start_release(booking)
    released = _release_time(session, calendly, booking, now)
    with transaction(session):
        locked = bookings.lock_booking(session, booking_id)
        if _is_due(locked, now):
            if locked.slot is Slot.RELEASING:
                locked.slot = Slot.CANCELED
                record_source(locked, from_webhook=False, now=now)
            if released is Release.REFUSED:
                attention.flag(locked, FlagCode.RELEASE_REFUSED, now=now)
            if released is Release.PENDING and locked.event_uri and locked.invitee_uri:
                slot.enqueue_event_cancellation(
                    session, locked, locked.event_uri, locked.invitee_uri, now=now
                )
            # A payment of a wrong amount is refunded.
            back = refunds.refund_unearned_payments(session, locked, reason=RefundReason.HOLD_ENDED, now=now)
            promised = CancellationTerms(back, by_builder=False) if back else None
            cause = Cause(Actor.SYSTEM, CauseCode.HOLD_ENDED)
            bookings.transition(session, locked, Event.EXPIRE, cause, now=now, cancellation=promised)


class Release(enum.Enum):
    """Whether the time of an expired booking is released in Calendly."""

    DONE = enum.auto()
    PENDING = enum.auto()
    REFUSED = enum.auto()


def _release_time(session: Session, calendly: CalendlyClient, booking: Booking, now: datetime) -> Release:
    """Release the time in Calendly, outside of any transaction. The booking expires even if that fails: a broken
    connection or an outage may last for days.

    Raises the client's errors until ``PATIENCE`` has passed.
    """
    if booking.slot is not Slot.RELEASING or not booking.event_uri:
        return Release.DONE
    event_uri, invitee_uri = booking.event_uri, booking.invitee_uri
    try:
        cancel_calendly_event(
            session,
            calendly,
            booking_id=booking.id,
            event_uri=event_uri,
            invitee_uri=invitee_uri,
            reason=REASON,
            now=now,
        )
    except CalendlyError as error:
        if error.retryable and now < (booking.hold_expires_at or now) + PATIENCE:
            raise
        return (
            Release.PENDING if error.retryable or isinstance(error, CalendlyUnauthorized) else Release.REFUSED
        )
    return Release.DONE


def _due(session: Session, booking_id: int, now: datetime) -> Booking | None:
    """The booking, or None where its hold has not ended. Leaves no transaction open."""
    booking = session.get(Booking, booking_id)
    end_read(session)
    return booking if booking is not None and _is_due(booking, now) else None


def _is_due(booking: Booking, now: datetime) -> bool:
    held = booking.hold_expires_at is not None and booking.hold_expires_at > now
    is_paid = booking.paid_at is not None or booking.paid_in_calendly
    return booking.status in (Status.PENDING, Status.SCHEDULED) and not held and not is_paid


def _is_under_way(session: Session, booking: Booking, now: datetime) -> bool:
    """Whether a delayed payment is under way: then the hold is extended and the booking flagged. Once the session has
    begun it is too late: what still arrives is refunded.
    """
    if bookings.has_begun(booking, now) or payments.find_live_payment(session, booking.id) is None:
        return False
    bookings.extend_hold(session, booking, now + LONGER_HOLD, now=now)
    attention.flag(booking, FlagCode.PAYMENT_PROCESSING, now=now)
    return True


def _awaits_calendly_or_capture(session: Session, booking_id: int, now: datetime) -> bool:
    """Whether authorized money waits for Calendly's answer or for its capture: then the hold is extended, until the
    session begins.
    """
    is_authorized = payments.find_authorized_payment(session, booking_id) is not None
    end_read(session)
    if not is_authorized:
        return False
    with transaction(session):
        booking = bookings.lock_booking(session, booking_id)
        payment = payments.find_authorized_payment(session, booking_id)
        request = slot_requests.find_request(session, booking_id)
        if payment is None or not _is_due(booking, now) or bookings.has_begun(booking, now):
            return False
        is_asked = booking.status is Status.PENDING and request is not None and request.state.is_open
        if not is_asked and not is_capturable(booking):
            return False
        follow_authorization(session, booking, payment, now=now)
        bookings.extend_hold(session, booking, now + SECOND_CHOICE, now=now)
        return True


def _close_checkout(
    session: Session, stripe: StripeGateway, booking_id: int, timers: Timers, now: datetime
) -> None:
    """Close the open Checkout Session. A payment that wins the race is recorded."""
    payment = payments.find_live_payment(session, booking_id)
    payment_id = payment.id if payment is not None else None
    end_read(session)
    if payment_id is None:
        return
    cause = Cause(Actor.STRIPE, CauseCode.CHECKOUT_EXPIRED_BY_HOLD)
    close_checkout.close_attempt(
        session, stripe, payment_id=payment_id, cause=cause, hold=timers.hold, now=now
    )
