"""A builder with session types in Calendly, and bookings of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.accounts.models import Account
from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import Model, db, transaction
from bookingapp.core.settings import Settings
from bookingapp.session_types.models import Category, SessionType
from tests import fakes
from tests.factories import (
    PAID,
    PASSWORD,
    event_type_uri,
    log_in_at_once,
    make_booking,
    make_builder,
    make_session_type,
    reread,
    schedule,
    user_uri,
)
from tests.mailbox import Mailbox
from tests.pages import PageClient


@dataclass
class Offer:
    """A builder as Calendly and the price list know them."""

    builder: Builder

    @property
    def path(self) -> str:
        return f"/builders/{self.builder.slug}"

    def detail(self, name: str) -> str:
        return f"{self.path}/session-types/{name}"


Book = Callable[..., Booking]
LogInAs = Callable[[Offer], PageClient]

# Scripts, handlers and styles that a host may have pasted into a description.
NASTY = (
    '<p onclick="steal()" style="color:red">Bring an <strong>idea</strong>.</p><ul><li>One</li></ul>'
    '<script>steal()</script><style>p{display:none}</style><img src="x" onerror="steal()">'
    '<a href="javascript:steal()">here</a><a href="https://example.org/a">there</a><iframe src="x"></iframe>'
)


@pytest.fixture
def ada(app: Flask, calendly_wire: fakes.Calendly) -> Offer:
    """Paid, free, unpriced, hidden, inactive, secret, paid in Calendly: one event type of each kind."""
    user = user_uri("ADA0000000000001")
    with app.app_context():
        builder = make_builder(
            db.session(), slug="ada-okonkwo", display_name="Ada Okonkwo", calendly_user_uri=user
        )
        kinds: dict[str, dict[str, Any]] = {
            "PAID": {"name": "60 Minute Consultation", "duration": 60, "description_html": NASTY},
            "FREE": {"name": "Getting Started", "duration": 30},
            "UNPRICED": {"name": "Office Hours"},
            "HIDDEN": {"name": "Hidden by its builder"},
            "INACTIVE": {"name": "Switched off", "active": False},
            "SECRET": {"name": "For friends", "secret": True},
            "TWICE": {"name": "Paid in Calendly", "is_paid": True},
        }
        for name, how in kinds.items():
            uri = event_type_uri(name)
            calendly_wire.add_type(user, uri, **how)
            if name != "UNPRICED":
                make_session_type(
                    db.session(),
                    builder,
                    event_type_uri=uri,
                    price_minor=0 if name == "FREE" else 6000,
                    category=Category.FREE if name == "FREE" else Category.SPECIALIZED,
                    published=name != "HIDDEN",
                )
    return Offer(builder)


@pytest.fixture
def kenji(app: Flask, calendly_wire: fakes.Calendly) -> Offer:
    """Another builder, priced in yen."""
    user = user_uri("KENJI00000000002")
    with app.app_context():
        builder = make_builder(
            db.session(),
            slug="kenji-mori",
            display_name="Kenji Mori",
            calendly_user_uri=user,
            timezone="Asia/Tokyo",
            default_currency="JPY",
        )
        uri = event_type_uri("KENJI")
        calendly_wire.add_type(user, uri, name="Code Review")
        make_session_type(db.session(), builder, event_type_uri=uri, price_minor=9000, currency="JPY")
    return Offer(builder)


def price_of(app: Flask, name: str) -> SessionType:
    query = sa.select(SessionType).where(SessionType.event_type_uri == event_type_uri(name))
    with app.app_context():
        return db.session().scalars(query).one()


@contextmanager
def without_table(app: Flask, name: str) -> Iterator[None]:
    """While it lasts, the database has no table of that name."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {name} RENAME TO away"))
    try:
        yield
    finally:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE away RENAME TO {name}"))


@pytest.fixture
def log_in(client: PageClient) -> LogInAs:
    def do(offer: Offer) -> PageClient:
        email = f"{offer.builder.slug}@example.com"
        answer = client.submit("/login", {"email": email, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    return do


@pytest.fixture
def browser(ada: Offer, log_in: LogInAs) -> PageClient:
    """Ada's browser, logged in."""
    return log_in(ada)


@pytest.fixture
def book(app: Flask, ada: Offer) -> Book:
    """Makes a booking of Ada's, or of another builder's, in a state."""

    def do(
        status: Status = Status.PENDING, *, offer: Offer = ada, price_minor: int = 6000, **how: Any
    ) -> Booking:
        now = utcnow()
        with app.app_context():
            session = db.session()
            builder = session.get_one(Builder, offer.builder.id)
            booking = make_booking(session, builder=builder, now=now, price_minor=price_minor, **how)
            if status in (Status.SCHEDULED, Status.CONFIRMED, Status.COMPLETED):
                start = now + timedelta(days=3)
                schedule(
                    session, booking, now=now, since=now, starts_at=start, ends_at=start + timedelta(hours=1)
                )
            if status in (Status.PAID, Status.CONFIRMED, Status.COMPLETED) and price_minor:
                with transaction(session):
                    bookings.record_payment(
                        session, bookings.lock_booking(session, booking.id), PAID, now=now
                    )
            if status in (Status.CANCELED, Status.EXPIRED, Status.COMPLETED):
                with transaction(session):
                    session.execute(sa.update(Booking).where(Booking.id == booking.id).values(status=status))
            found = reread(session, booking)
            assert found.status is status
            return found

    return do


@pytest.fixture
def operator(app: Flask, ada: Offer, client: PageClient) -> PageClient:
    """The browser of an operator, who is a builder too: Ada."""
    promote(app, ada)
    log_in_at_once(app, client, ada.builder.account_id)
    return client


def promote(app: Flask, offer: Offer) -> None:
    """Make the builder an operator too."""
    with app.app_context(), transaction(db.session()) as session:
        session.get_one(Account, offer.builder.account_id).is_operator = True


def change(app: Flask, row: Model, **columns: Any) -> None:
    """Set columns of a row that was loaded before."""
    with app.app_context(), transaction(db.session()) as session:
        (key,) = sa.inspect(row).identity or ()
        found = session.get_one(type(row), key)
        for name, value in columns.items():
            setattr(found, name, value)


def list_rows(app: Flask, model: type[Any]) -> list[Any]:
    """All rows, the oldest first."""
    with app.app_context():
        return list(db.session().scalars(sa.select(model).order_by(model.id)))


@pytest.fixture
def mails(settings: Settings) -> Mailbox:
    return Mailbox(settings.instance_dir / "outbox")
