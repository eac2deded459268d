"""The collaborators of the services: the application's own clients, with the providers behind them faked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Booking
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.checkout import incoming_payments, pay
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.core import services
from bookingapp.core.db import db, end_read
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.stripe_gateway import StripeGateway, read_checkout_session
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState
from tests import fakes
from tests.factories import HOLD, NOW, PAID, PENDING, make_booking, reread, schedule, stripe_event

TIMERS = Timers(PENDING, HOLD)
SECOND = timedelta(seconds=1)


@pytest.fixture
def stripe(session: Session) -> StripeGateway:
    """The application's Stripe gateway."""
    return services.get(StripeGateway)


@pytest.fixture
def calendly(session: Session) -> CalendlyClient:
    """The application's Calendly client."""
    return services.get(CalendlyClient)


@pytest.fixture
def signer(session: Session) -> TrackingSigner:
    """The signer of references."""
    return services.get(TrackingSigner)


@pytest.fixture
def new_session(app: Flask, session: Session) -> Iterator[Callable[[], Session]]:
    """Makes sessions of their own: other workers, other requests."""
    made: list[Session] = []

    def make() -> Session:
        made.append(Session(db.engine, expire_on_commit=False))
        return made[-1]

    yield make
    for one in made:
        one.close()


def return_to(ref: str) -> tuple[str, str]:
    """Where Stripe sends the browser."""
    return f"https://hours.example/bookings/{ref}/paid", f"https://hours.example/bookings/{ref}"


@dataclass
class Checkout:
    """How bookings are paid, with Stripe's answers within this process."""

    session: Session
    gateway: StripeGateway
    stripe: fakes.Stripe

    def scheduled(self, **how: Any) -> Booking:
        """A booking with a time, to be paid."""
        booking = make_booking(self.session, **how)
        schedule(self.session, booking)
        return booking

    def start(self, booking: Booking, *, now: datetime = NOW) -> str:
        """Open the payment page; its URL."""
        return pay.start_payment(self.session, self.gateway, ref=booking.ref, return_to=return_to, now=now)

    def opened(self) -> tuple[Booking, str]:
        """A booking with a time and an open payment page, and the id of its Checkout Session."""
        booking = self.scheduled()
        self.start(booking)
        (session_id,) = self.stripe.sessions
        return booking, session_id

    def paid(self) -> tuple[Booking, bytes]:
        """A booking that was paid in Stripe, and the event that reports it."""
        booking, session_id = self.opened()
        return booking, stripe_event("checkout.session.completed", self.stripe.pay(session_id))

    def record(self, booking: Booking, obj: dict[str, Any], *, now: datetime = NOW, **how: Any) -> Booking:
        """Record a Checkout Session as Stripe shows it."""
        checkout = read_checkout_session(obj)
        incoming_payments.apply_checkout(self.session, checkout, PAID, now=now, hold=HOLD, **how)
        return reread(self.session, booking)

    def attempts(self, booking: Booking) -> list[tuple[int, PaymentState]]:
        """The number and the state of each attempt to pay."""
        self.session.rollback()
        query = sa.select(Payment.attempt, Payment.state).where(Payment.booking_id == booking.id)
        return [(attempt, state) for attempt, state in self.session.execute(query.order_by(Payment.attempt))]

    def money(self, booking: Booking) -> payments.MoneySummary:
        """What was charged and refunded."""
        end_read(self.session)
        found = payments.summarize_money(self.session, bookings.get_by_ref(self.session, booking.ref))
        end_read(self.session)
        return found


@pytest.fixture
def checkout(session: Session, stripe: StripeGateway, stripe_wire: fakes.Stripe) -> Checkout:
    """The application's payments."""
    return Checkout(session, stripe, stripe_wire)
