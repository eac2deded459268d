"""Rows and deliveries with a default for everything; a test gives only the values that it is about."""

from __future__ import annotations

import copy
import hashlib
import hmac
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from bookingapp.accounts import log_ins
from bookingapp.accounts.codes import SecondStep
from bookingapp.accounts.guard import COOKIE_KEY
from bookingapp.accounts.models import Account
from bookingapp.accounts.origins import Origin
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import SlotFacts, record_slot
from bookingapp.builders.models import Builder
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import WorkState
from bookingapp.session_types.models import SessionType
from bookingapp.webhooks.models import Provider

FIXTURES = Path(__file__).parent / "fixtures"
API = "https://api.calendly.com"
GRACE = {"name": "Grace Hall", "email": "grace@example.org", "timezone": "Europe/Berlin"}

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
HOLD = timedelta(minutes=30)
PENDING = timedelta(minutes=120)
START = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
END = START + timedelta(minutes=60)

PASSWORD = "a-good-long-password"
# The real hash takes a quarter of a second, for each account and each log-in.
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

WEBHOOK = Cause(Actor.CALENDLY, CauseCode.WEBHOOK, facts={"type": "invitee.created"})
PAID = Cause(Actor.STRIPE, CauseCode.WEBHOOK, facts={"type": "checkout.session.completed"})

_numbers = itertools.count(1)


def number() -> int:
    """A number that no other row of this run has."""
    return next(_numbers)


def user_uri(name: str) -> str:
    return f"{API}/users/{name}"


def event_type_uri(name: str) -> str:
    return f"{API}/event_types/{name}"


def make_account(session: Session, *, email: str = "olu@example.com", **how: Any) -> Account:
    """An account without a profile; the password is :data:`PASSWORD`. Commits."""
    values = {"name": "Olu Adeyemi", "password_hash": QUICK_HASHER.hash(PASSWORD), "created_at": NOW, **how}
    account = Account(email=email, **values)
    with transaction(session):
        session.add(account)
    session.expunge_all()
    return account


def log_in_at_once(
    app: Flask, client: FlaskClient, account_id: int, *, second_step: SecondStep = SecondStep.PASSED
) -> None:
    """Log this browser in without the log-in page."""
    now = datetime.now(UTC)
    with app.app_context(), transaction(db.session()) as session:
        log_in, token = log_ins.add_log_in(session, session.get_one(Account, account_id), Origin(), now=now)
        log_in.second_step = second_step
    with client.session_transaction() as cookie:
        cookie[COOKIE_KEY] = token


def make_builder(session: Session, *, slug: str | None = None, **how: Any) -> Builder:
    """A builder with an account; the password is :data:`PASSWORD`. Commits."""
    n = number()
    slug = slug or f"builder-{n}"
    email = how.pop("email", f"{slug}@example.com")
    with transaction(session):
        account = Account(
            email=email,
            name=slug,
            password_hash=QUICK_HASHER.hash(PASSWORD),
            is_operator=False,
            created_at=NOW,
        )
        session.add(account)
        session.flush()
        values: dict[str, Any] = {
            "slug": slug,
            "display_name": slug.replace("-", " ").title(),
            "headline": "Builds things",
            "bio": "One paragraph.\n\nAnother.",
            "skills": ["Python"],
            "links": {},
            "timezone": "Europe/London",
            "default_currency": "GBP",
            "calendly_user_uri": user_uri(f"USER{n:012}"),
            "created_at": NOW,
            **how,
        }
        builder = Builder(account_id=account.id, **values)
        session.add(builder)
    return builder


def make_session_type(session: Session, builder: Builder, **how: Any) -> SessionType:
    """A priced event type: £60.00. Commits."""
    values: dict[str, Any] = {
        "event_type_uri": event_type_uri(f"TYPE{number():012}"),
        "price_minor": 6000,
        "currency": "GBP",
        "updated_at": NOW,
        **how,
    }
    with transaction(session):
        row = SessionType(builder_id=builder.id, **values)
        session.add(row)
    return row


def make_booking(
    session: Session,
    *,
    builder: Builder | None = None,
    session_type: SessionType | None = None,
    now: datetime = NOW,
    **how: Any,
) -> Booking:
    """A pending booking of Grace's. Commits; ``how`` are columns to set."""
    builder = builder or make_builder(session)
    price = {name: how.pop(name) for name in ("price_minor", "currency") if name in how}
    session_type = session_type or make_session_type(session, builder, **price)
    with transaction(session):
        booking = bookings.create_booking(
            session,
            builder=builder,
            session_type=session_type,
            offer=bookings.Offer("60 Minute Consultation", 60, "https://calendly.com/ada/60min"),
            client=bookings.Client("Grace Hall", "grace@example.org", "Europe/Berlin"),
            pending=PENDING,
            now=now,
        )
        for name, value in how.items():
            setattr(booking, name, value)
    session.expunge_all()
    return booking


def list_bookings(app: Flask) -> list[Booking]:
    """All bookings, as the database has them."""
    with app.app_context():
        return list(db.session().scalars(sa.select(Booking).order_by(Booking.id)))


def facts(booking: Booking, *, name: str | None = None, **how: Any) -> SlotFacts:
    """Calendly's facts about an invitee of this booking, with the id ``name``."""
    name = name or f"INV{number():013}"
    event = f"{API}/scheduled_events/EV{name}"
    values: dict[str, Any] = {
        "event_uri": event,
        "invitee_uri": f"{event}/invitees/{name}",
        "event_type_uri": booking.event_type_uri,
        "since": NOW,
        "starts_at": START,
        "ends_at": END,
        **how,
    }
    return SlotFacts(**values)


def schedule(session: Session, booking: Booking, *, now: datetime = NOW, **how: Any) -> SlotFacts:
    """Schedule the booking. Commits."""
    slot = facts(booking, **how)
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        record_slot(session, locked, slot, WEBHOOK, hold=HOLD, now=now)
    session.expunge_all()
    return slot


def reread(session: Session, booking: Booking) -> Booking:
    """The booking, freshly read with its builder; no transaction remains open."""
    session.expunge_all()
    session.rollback()
    found = bookings.get_by_ref(session, booking.ref)
    session.expunge_all()
    session.rollback()
    return found


def published(name: str) -> dict[str, Any]:
    """A provider's published sample, by its name below ``tests/fixtures``."""
    data: dict[str, Any] = json.loads((FIXTURES / name).read_text())
    return data


def signature(body: bytes, key: str, *, at: datetime | None = None) -> str:
    """The signature header of Calendly and Stripe, computed from their documentation without our code."""
    stamp = int((at or datetime.now(UTC)).timestamp())
    digest = hmac.new(key.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def invitee_delivery(
    event: str, slot: SlotFacts, *, utm_content: str | None = None, at: datetime = NOW, **payload: Any
) -> bytes:
    """A v2 delivery about an invitee, made from the published sample."""
    data = copy.deepcopy(published(f"calendly/{event}.json"))
    body = data["payload"]
    body.update(
        uri=slot.invitee_uri,
        event=slot.event_uri,
        created_at=_wire(slot.since),
        updated_at=_wire(at),
        old_invitee=slot.replaces,
        **{**GRACE, **payload},
    )
    body["tracking"]["utm_content"] = utm_content
    body["scheduled_event"].update(
        uri=slot.event_uri,
        event_type=slot.event_type_uri,
        start_time=_wire(slot.starts_at),
        end_time=_wire(slot.ends_at),
    )
    return json.dumps(data).encode()


def stripe_event(type_: str, obj: dict[str, Any], *, id_: str | None = None) -> bytes:
    """A Stripe event about an object, made from the published sample."""
    data = published("stripe/event.checkout.session.completed.json")
    data.update(id=id_ or f"evt_{number():024}", type=type_, data={"object": obj})
    return json.dumps(data).encode()


def _wire(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def inbox_row(key: str, **values: Any) -> dict[str, Any]:
    """One row of the inbox, as the endpoint writes it."""
    return {
        "provider": Provider.STRIPE,
        "event_key": key,
        "type": "checkout.session.completed",
        "body": b"{}",
        "headers": {},
        "signed_at": NOW,
        "key_index": 0,
        "received_at": NOW,
        "run_at": NOW,
        "state": WorkState.RECEIVED,
        "attempts": 0,
        **values,
    }
