"""The folder of sent mails, and bookings to write about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Booking
from bookingapp.builders.models import Builder
from bookingapp.core.db import transaction
from bookingapp.core.settings import Settings
from bookingapp.payments import service as payments
from bookingapp.payments.models import EntryKind, LedgerEntry, PaymentState
from tests.factories import NOW, PAID, make_booking, make_builder, schedule
from tests.mailbox import Mailbox

CLIENT, BUILDER = "grace@example.org", "ada@example.com"


@pytest.fixture
def mailbox(settings: Settings) -> Mailbox:
    """Where mail goes when no server is set."""
    return Mailbox(settings.instance_dir / "outbox")


@pytest.fixture
def ada(session: Session) -> Builder:
    """A builder in London; her clients (see the factories) are in Berlin."""
    return make_builder(session, slug="ada-okonkwo", display_name="Ada Okonkwo", email=BUILDER)


def scheduled(session: Session, builder: Builder, **how: Any) -> Booking:
    """A booking with its time."""
    booking = make_booking(session, builder=builder, **how)
    schedule(session, booking)
    return booking


def confirmed(session: Session, builder: Builder, **how: Any) -> Booking:
    """A booking with its time, paid in full."""
    booking = scheduled(session, builder, **how)
    pay(session, booking)
    return booking


def pay(session: Session, booking: Booking, *, now: datetime = NOW) -> None:
    """Record that the whole price was paid."""
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        payment = payments.start_attempt(session, locked, now=now)
        payment.state, payment.payment_intent_id = PaymentState.PAID, f"pi_{booking.id}"
        session.add(
            LedgerEntry(
                booking_id=locked.id,
                payment_id=payment.id,
                kind=EntryKind.CHARGE,
                amount_minor=locked.price_minor,
                currency=locked.currency,
                stripe_id=f"pi_{booking.id}",
                at=now,
            )
        )
        bookings.record_payment(session, locked, PAID, now=now)
    session.expunge_all()
