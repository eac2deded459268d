"""The page of a client's bookings, after verifying the e-mail address that they were made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from flask import Blueprint, Response, make_response, render_template
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings.addresses import opens_for
from bookingapp.bookings.models import Booking
from bookingapp.bookings.service import has_ended, keep_language
from bookingapp.bookings.states import Status
from bookingapp.checkout.words import STATUS_LABELS, payment_label
from bookingapp.clients.forms import AddressForm
from bookingapp.clients.guard import current_sign_in
from bookingapp.clients.service import VERIFIED_FOR
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.i18n import asked
from bookingapp.core.security import forbid_caching_and_indexing
from bookingapp.payments.models import PaymentStatus
from bookingapp.payments.service import find_released, payment_statuses

blueprint = Blueprint("my_bookings", __name__)

MOST = 100


@dataclass(frozen=True)
class Mine:
    """One booking in its client's list. Times are aware UTC, money is in minor units."""

    ref: str
    title: str
    builder_name: str
    status: Status
    status_label: str
    payment_status: PaymentStatus
    payment_label: str
    starts_at: datetime | None
    ends_at: datetime | None
    timezone: str
    price_minor: int
    currency: str
    is_free: bool
    is_open: bool


@blueprint.get("/my-bookings")
def index() -> Response:
    """The bookings of the address that is verified here; without one, the form that asks for a link."""
    sign_in = current_sign_in()
    if sign_in is None or sign_in.used_at is None:
        body = render_template("clients/ask.html", form=AddressForm(formdata=None))
    else:
        if (code := asked()) is not None:
            with transaction(db.session()) as database:
                keep_language(database, opens_for(sign_in.email), code)
        mine = list_by_address(db.session(), sign_in.email, now=utcnow())
        body = render_template(
            "checkout/my_bookings.html",
            address=sign_in.email,
            until=sign_in.used_at + VERIFIED_FOR,
            zone=mine[0].timezone if mine else "UTC",
            coming=[one for one in mine if one.is_open],
            past=[one for one in mine if not one.is_open],
        )
    return forbid_caching_and_indexing(make_response(body))


def list_by_address(session: Session, email: str, *, now: datetime) -> list[Mine]:
    """The newest bookings that the holder of that (normalized) address may open, in at most four queries: what is to
    come first, the next one on top, then what is over, the latest on top.
    """
    query = sa.select(Booking).where(opens_for(email)).options(joinedload(Booking.builder))
    found = session.scalars(query.order_by(Booking.id.desc()).limit(MOST)).all()
    states = payment_statuses(session, [booking.id for booking in found]) if found else {}
    released = find_released(session, states)
    mine = [
        _present_row(
            booking, states.get(booking.id, PaymentStatus.NONE), now, was_released=booking.id in released
        )
        for booking in found
    ]
    coming = [one for one in mine if one.is_open]
    return [*_soonest_first(coming), *(one for one in mine if not one.is_open)]


def _soonest_first(mine: Sequence[Mine]) -> list[Mine]:
    with_time = [one for one in mine if one.starts_at is not None]
    without = [one for one in mine if one.starts_at is None]
    return [*sorted(with_time, key=lambda one: one.starts_at.timestamp() if one.starts_at else 0), *without]


def _present_row(
    booking: Booking, payment_status: PaymentStatus, now: datetime, *, was_released: bool
) -> Mine:
    over = has_ended(booking, now)
    return Mine(
        ref=booking.ref,
        title=booking.title,
        builder_name=booking.builder.display_name,
        status=booking.status,
        status_label=str(STATUS_LABELS[booking.status]),
        payment_status=payment_status,
        payment_label=payment_label(
            payment_status,
            is_free=booking.is_free,
            was_released=was_released,
            in_calendly=booking.is_paid_in_calendly_alone,
        ),
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        timezone=booking.client_timezone,
        price_minor=booking.price_minor,
        currency=booking.currency,
        is_free=booking.is_free,
        is_open=not booking.status.is_final and not over,
    )
