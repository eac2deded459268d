"""A builder with very many bookings, for measuring lists of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.bookings.codes import PaymentStatus
from bookingapp.bookings.models import Booking, BookingWord, Slot
from bookingapp.bookings.search import id_words, person_words
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.db import Base
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, PaymentState
from bookingapp.session_types.models import SessionType
from bookingapp.text import fold

TYPES = 6
AT_ONCE = 5000
_FIRST = (
    "Ada",
    "Bo",
    "Chidi",
    "Dana",
    "Émile",
    "Fatou",
    "Grace",
    "Hana",
    "Iván",
    "Jo",
    "Kofi",
    "Lin",
    "Mia",
    "Noor",
)
_LAST = (
    "Adler",
    "Brown",
    "Cruz",
    "Diallo",
    "Evans",
    "Fischer",
    "Garcia",
    "Hall",
    "Ito",
    "Jones",
    "Khan",
    "Lopez",
)
_STATES = (
    (50, Status.COMPLETED, PaymentStatus.PAID),
    (8, Status.COMPLETED, PaymentStatus.NONE),
    (5, Status.COMPLETED, PaymentStatus.PARTIALLY_REFUNDED),
    (12, Status.CANCELED, PaymentStatus.REFUNDED),
    (4, Status.CANCELED, PaymentStatus.NONE),
    (10, Status.EXPIRED, PaymentStatus.EXPIRED),
    (1, Status.COMPLETED, PaymentStatus.DISPUTED),
)
_AHEAD = ((80, Status.CONFIRMED, PaymentStatus.PAID), (15, Status.SCHEDULED, PaymentStatus.OPEN))


def make_builder(
    session: Session, like: Builder, slug: str, password_hash: str, number: int, now: datetime
) -> Builder:
    """A builder like another one, with so many bookings: two years of them, and a month ahead. Commits."""
    account = Account(email=f"{slug}@example.com", name=slug, password_hash=password_hash, created_at=now)
    session.add(account)
    session.flush()
    kept = {
        column.key: getattr(like, column.key)
        for column in sa.inspect(Builder).column_attrs
        if column.key not in ("id", "account_id", "slug", "calendly_user_uri", "display_name")
    }
    builder = Builder(
        account_id=account.id, slug=slug, display_name=slug, calendly_user_uri=f"https://x/{slug}", **kept
    )
    session.add(builder)
    session.flush()
    types = [
        SessionType(
            builder_id=builder.id,
            event_type_uri=f"https://api.calendly.com/event_types/{slug}-{one}",
            price_minor=one * 2000,
            currency="GBP",
            updated_at=now,
        )
        for one in range(TYPES)
    ]
    session.add_all(types)
    session.flush()
    first = (session.scalar(sa.select(sa.func.max(Booking.id))) or 0) + 1
    dice = random.Random(slug)
    for start in range(0, number, AT_ONCE):
        numbers = range(first + start, first + min(number, start + AT_ONCE))
        rows = [_booking(dice, builder, types, one, now) for one in numbers]
        _insert(session, Booking, rows)
        _insert(session, BookingWord, _words(rows))
        _insert(session, Payment, payments := list(_payments(rows)))
        _insert(session, LedgerEntry, _entries(payments))
    if session.get_bind().dialect.name == "postgresql":
        # Of rows that were written with their ids.
        for model in (Booking, Payment):
            name = model.__tablename__
            session.execute(sa.text(f"SELECT setval('{name}_id_seq', (SELECT max(id) FROM {name}))"))
    session.commit()
    return builder


def _insert(session: Session, model: type[Base], rows: Any) -> None:
    found = list(rows)
    if found:
        session.execute(cast("sa.Table", sa.inspect(model).local_table).insert(), found)


def _booking(
    dice: random.Random, builder: Builder, types: list[SessionType], number: int, now: datetime
) -> dict[str, Any]:
    days = dice.uniform(-700, 30)
    start = (now + timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
    created = min(start, now) - timedelta(days=dice.expovariate(1 / 8), seconds=dice.random())
    of = dice.choice(types)
    states = _AHEAD if days > 0 else _STATES
    _, status, payment = dice.choices(states, [weight for weight, *_ in states])[0]
    has_time = dice.random() > 0.15
    if not has_time:
        status, payment = Status.EXPIRED, PaymentStatus.NONE
    if of.price_minor == 0:
        payment = PaymentStatus.NONE
    name = (
        f"{dice.choice(_FIRST)} {dice.choice(_LAST)}{'' if dice.random() < 0.5 else f'-{dice.choice(_LAST)}'}"
    )
    mark = f"{dice.getrandbits(96):024x}"
    return {
        "id": number,
        "ref": f"{dice.getrandbits(128):032x}",
        "tracking_id": mark,
        "builder_id": builder.id,
        "session_type_id": of.id,
        "status": status,
        "payment_status": payment,
        "client_name": name,
        "name_key": fold(name),
        "client_email": f"{fold(name).replace(' ', '.')}.{number}@example.org",
        "client_timezone": "Europe/Berlin",
        "title": f"{of.price_minor // 100} pound session",
        "duration_minutes": 60,
        "event_type_uri": of.event_type_uri,
        "scheduling_url": "https://calendly.com/x",
        "price_minor": of.price_minor,
        "currency": "GBP",
        "policy": {},
        "slot": Slot.ACTIVE if has_time else Slot.NONE,
        "canceled_invitees": [],
        "answers": [],
        "event_uri": f"https://api.calendly.com/scheduled_events/e{mark}" if has_time else None,
        "invitee_uri": f"https://api.calendly.com/scheduled_events/e{mark}/invitees/i{mark}"
        if has_time
        else None,
        "starts_at": start.astimezone(UTC) if has_time else None,
        "ends_at": (start + timedelta(hours=1)).astimezone(UTC) if has_time else None,
        "created_at": created,
        "updated_at": created,
        "paid_in_calendly": False,
    }


def _words(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        words = person_words(row["client_name"], row["client_email"])
        for word in sorted(words | id_words(row["tracking_id"], row["event_uri"], row["invitee_uri"])):
            yield {"booking_id": row["id"], "builder_id": row["builder_id"], "word": word}


def _payments(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        if row["payment_status"] is not PaymentStatus.NONE:
            has_ended = row["payment_status"] is PaymentStatus.EXPIRED
            yield {
                "id": row["id"],
                "booking_id": row["id"],
                "attempt": 1,
                "state": PaymentState.EXPIRED if has_ended else PaymentState.PAID,
                "amount_minor": row["price_minor"],
                "currency": row["currency"],
                "checkout_session_id": f"cs_test_{row['tracking_id']}",
                "expires_at": row["created_at"] + timedelta(hours=1),
                "captures_later": False,
                "created_at": row["created_at"],
                "updated_at": row["created_at"],
                "cause_facts": {},
            }


def _entries(payments: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in payments:
        if row["state"] is PaymentState.PAID:
            yield {
                "booking_id": row["booking_id"],
                "payment_id": row["id"],
                "kind": EntryKind.CHARGE,
                "amount_minor": row["amount_minor"],
                "currency": row["currency"],
                "stripe_id": f"pi_{row['checkout_session_id']}",
                "at": row["created_at"],
            }
