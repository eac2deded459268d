"""Bookings of before their list was indexed are sorted, filtered and found like new ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import RefundReason
from bookingapp.bookings.models import Booking, BookingWord
from bookingapp.bookings.search import id_words, person_words
from bookingapp.core.db import db, transaction
from bookingapp.payments.models import (
    Dispute,
    EntryKind,
    LedgerEntry,
    Payment,
    PaymentState,
    PaymentStatus,
    Refund,
    RefundState,
)
from bookingapp.payments.service import payment_statuses
from tests.factories import NOW, make_booking, make_builder, make_session_type

COLUMNS = ("name_key", "payment_status")


def _pay(session: Session, booking: Booking, *, state: PaymentState, attempt: int = 1) -> Payment:
    payment = Payment(
        booking_id=booking.id,
        attempt=attempt,
        state=state,
        amount_minor=6000,
        currency="GBP",
        checkout_session_id=f"cs_test_{booking.id}_{attempt}",
        payment_intent_id=f"pi_{booking.id}_{attempt}",
        expires_at=NOW + timedelta(hours=1),
        created_at=NOW,
        updated_at=NOW,
    )
    session.add(payment)
    session.flush()
    return payment


def _enter(session: Session, payment: Payment, kind: EntryKind, minor: int) -> None:
    values = {"booking_id": payment.booking_id, "payment_id": payment.id, "currency": "GBP", "at": NOW}
    name = f"{kind}-{payment.id}-{minor}"
    session.add(LedgerEntry(kind=kind, amount_minor=minor, stripe_id=name, **values))


def _fill(session: Session) -> None:
    builder = make_builder(session)
    session_type = make_session_type(session, builder)
    names = ("Zoë O'Hara-Smith", "Grace Hall", "ANNE", "Bo", "Cy", "Di", "Ed")
    made = [
        make_booking(session, builder=builder, session_type=session_type, client_name=name) for name in names
    ]
    with transaction(session):
        _enter(session, _pay(session, made[0], state=PaymentState.PAID), EntryKind.CHARGE, 6000)
        part = _pay(session, made[1], state=PaymentState.PAID)
        _enter(session, part, EntryKind.CHARGE, 6000)
        _enter(session, part, EntryKind.REFUND, -1000)
        back = _pay(session, made[2], state=PaymentState.PAID)
        _enter(session, back, EntryKind.CHARGE, 6000)
        _enter(session, back, EntryKind.REFUND, -6000)
        common = {"booking_id": made[2].id, "payment_id": back.id, "amount_minor": 6000, "currency": "GBP"}
        times = {"created_at": NOW, "updated_at": NOW}
        refund = {
            "token": "t",
            "state": RefundState.SUCCEEDED,
            "reason": RefundReason.OTHER,
            "stripe_id": "re_1",
        }
        session.add(Refund(**common, **times, **refund))
        disputed = _pay(session, made[3], state=PaymentState.PAID)
        _enter(session, disputed, EntryKind.CHARGE, 6000)
        common |= {"booking_id": made[3].id, "payment_id": disputed.id}
        session.add(
            Dispute(**common, **times, stripe_id="dp_1", status="needs_response", reason="fraudulent")
        )
        _pay(session, made[4], state=PaymentState.EXPIRED)
        _pay(session, made[4], state=PaymentState.STARTING, attempt=2)
        authorized = _pay(session, made[5], state=PaymentState.PROCESSING)
        authorized.authorized_at = datetime(2026, 11, 24, tzinfo=UTC)
    session.expunge_all()


def _stored() -> tuple[list[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """Each booking's key and payment status, and all words."""
    session = db.session()
    session.rollback()
    keys = session.execute(sa.select(Booking.name_key, Booking.payment_status).order_by(Booking.id))
    words = session.execute(sa.select(BookingWord.booking_id, BookingWord.word, BookingWord.builder_id))
    found = [tuple(row) for row in keys], {tuple(row) for row in words}
    session.rollback()
    return found


def test_the_migration_writes_what_the_application_writes(empty_app: Flask) -> None:
    """Down and up again, nothing has changed."""
    flask_migrate.upgrade()
    _fill(db.session())
    before = _stored()
    flask_migrate.downgrade(revision="0019")
    flask_migrate.upgrade()
    assert _stored() == before
    statuses = [status for _, status in before[0]]
    assert statuses == [
        PaymentStatus.PAID,
        PaymentStatus.PARTIALLY_REFUNDED,
        PaymentStatus.REFUNDED,
        PaymentStatus.DISPUTED,
        PaymentStatus.OPEN,
        PaymentStatus.AUTHORIZED,
        PaymentStatus.NONE,
    ]
    session = db.session()
    bookings = session.scalars(sa.select(Booking).order_by(Booking.id)).all()
    truth = payment_statuses(session, [one.id for one in bookings])
    assert [truth.get(one.id, PaymentStatus.NONE) for one in bookings] == statuses
    first = bookings[0]
    words = {word for booking_id, word, _ in before[1] if booking_id == first.id}
    assert words == person_words(first.client_name, first.client_email) | id_words(
        first.tracking_id, f"cs_test_{first.id}_1", f"pi_{first.id}_1"
    )
    assert {"zoe", "o'hara-smith", "hara", "smith", "grace@example.org", "example.org"} < words
    assert not any(first.ref in word for _, word, _ in before[1])
