"""The collaborators of the services: the application's own clients, with the providers behind them faked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.core import services
from bookingapp.core.db import db
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.stripe_gateway import StripeGateway
from tests.factories import HOLD, PENDING

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
