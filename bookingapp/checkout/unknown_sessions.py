"""Checkout Sessions of a booking that Stripe has and this database has not: after a crash between Stripe's answer and
our commit, or after an older copy of the database was restored. Their metadata names the booking.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.checkout.incoming_payments import apply_checkout
from bookingapp.core.db import end_read
from bookingapp.core.jobs import is_overdue
from bookingapp.integrations.stripe_gateway import CheckoutSession, StripeGateway
from bookingapp.payments.models import Payment

log = structlog.get_logger(__name__)

RECONCILE_JOB = "providers.reconcile"
# The hourly reconciliation is late by so much only where no worker ran, or an older copy was restored.
OVERDUE = timedelta(minutes=5)
# Clocks differ, and Stripe's has whole seconds.
MARGIN = timedelta(minutes=5)

CLOSED = Cause(Actor.STRIPE, CauseCode.ORPHAN_EXPIRED)
FOUND = Cause(Actor.STRIPE, CauseCode.MISSED_MONEY_FETCHED)


def settle_unknown_sessions(
    session: Session,
    stripe: StripeGateway,
    *,
    booking_id: int,
    since: datetime | None = None,
    closed: Cause = CLOSED,
    now: datetime,
) -> list[CheckoutSession]:
    """Expire the booking's unknown Checkout Sessions that are open, record those that are complete, and return both.

    Asks Stripe for every session since the booking was made, and since ``since``. ``closed`` is the cause of an expiry.
    Raises the gateway's errors.
    """
    booking = session.get_one(Booking, booking_id)
    ids = sa.select(Payment.checkout_session_id).where(Payment.booking_id == booking_id)
    known = set(session.scalars(ids))
    end_read(session)
    settled = []
    begin = max(booking.created_at, since or booking.created_at) - MARGIN
    for listed in stripe.list_checkout_sessions(begin, now + MARGIN):
        is_over = listed.status == "expired"
        if is_over or listed.id in known or not booking.is_named(listed.metadata.get("booking")):
            continue
        is_open = listed.status == "open"
        ask = stripe.expire_checkout_session if is_open else stripe.retrieve_checkout_session
        found = ask(listed.id)
        apply_checkout(session, found, closed if is_open else FOUND, now=now)
        attempt = found.metadata.get("attempt")
        log.warning("unknown_session_settled", booking=booking.id, attempt=attempt, status=found.status)
        settled.append(found)
    return settled


def settle_after_gap(session: Session, stripe: StripeGateway, *, booking_id: int, now: datetime) -> None:
    """Settle the booking's unknown Checkout Sessions where Stripe's events were not fetched lately, as at the first
    start from a restored copy: before its hold ends, and before a page is opened on which it could be paid again.
    """
    is_asked = not session.get_one(Booking, booking_id).is_free
    is_asked = is_asked and is_overdue(session, RECONCILE_JOB, by=OVERDUE, now=now)
    end_read(session)
    if is_asked:
        settle_unknown_sessions(session, stripe, booking_id=booking_id, now=now)
