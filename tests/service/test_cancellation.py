"""Canceling a booking: what is enqueued. ``life/`` and ``money/`` prove what becomes of it at the providers."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import cancellation
from bookingapp.core.db import end_read, transaction
from bookingapp.core.errors import Conflict
from tests.factories import START, WEBHOOK, reread
from tests.service.conftest import Checkout

pytestmark = pytest.mark.any_database

BY_CLIENT = Cause(Actor.CLIENT, CauseCode.CANCELED_ON_PAGE)


def cancel(checkout: Checkout, booking_id: int, now: datetime) -> None:
    """The client cancels on our page."""
    cancellation.cancel_booking(checkout.session, booking_id, cause=BY_CLIENT, by_builder=False, now=now)


@pytest.mark.parametrize(("hours", "back"), [(25, 6000), (13, 3000), (11, 0)])
def test_the_refund_is_the_one_of_the_preview(checkout: Checkout, hours: int, back: int) -> None:
    """Enqueued once, and still the same when Calendly reports our own cancellation as the host's."""
    session, now = checkout.session, START - timedelta(hours=hours)
    booking, session_id = checkout.opened()
    booking = checkout.record(booking, checkout.stripe.pay(session_id))
    assert cancellation.preview_cancellation(session, booking, now=now).refund_minor == back
    end_read(session)
    cancel(checkout, booking.id, now)
    with pytest.raises(Conflict, match="has ended"):
        cancel(checkout, booking.id, now)
    with transaction(session):
        cancellation.record_calendly_cancellation(
            session,
            bookings.lock_booking(session, booking.id),
            booking.invitee_uri or "",
            WEBHOOK,
            by_host=True,
            at=now,
            now=now,
        )
    assert reread(session, booking).status is Status.CANCELED
    assert checkout.money(booking).refund == ((back, "enqueued") if back else None)


def test_a_session_that_has_started_cannot_be_canceled(checkout: Checkout) -> None:
    booking = checkout.scheduled()
    with pytest.raises(Conflict, match="has started already"):
        cancel(checkout, booking.id, START)
    assert reread(checkout.session, booking).status is Status.SCHEDULED
