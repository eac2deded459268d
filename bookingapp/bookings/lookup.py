"""Finds bookings by what providers know (tracking id, reference, invitee), and a booking's builder for its files."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.db import table_of

_BOOKINGS = table_of(Booking).c
# Built once: every delivery executes one of them, and building one costs more than executing it.
_BY_TRACKING, _BY_INVITEE = (
    sa.select(_BOOKINGS.id).where(column == sa.bindparam("value"))
    for column in (_BOOKINGS.tracking_id, _BOOKINGS.invitee_uri)
)
_BY_NAME = sa.select(_BOOKINGS.id).where(
    sa.or_(*(column == sa.bindparam("value") for column in (_BOOKINGS.tracking_id, _BOOKINGS.ref)))
)


def is_of_builder(builder_id: int) -> sa.ColumnElement[bool]:
    """All bookings of a builder, by their indexes: one has those with a time, another those without."""
    halves = Booking.starts_at.is_not(None), Booking.starts_at.is_(None)
    return sa.or_(*(sa.and_(Booking.builder_id == builder_id, half) for half in halves))


def find_id_by_tracking(session: Session, tracking_id: str) -> int | None:
    """The id of the booking with that tracking id (the verified content of ``utm_content``), or None."""
    return session.scalar(_BY_TRACKING, {"value": tracking_id})


def find_id_by_name(session: Session, name: str) -> int | None:
    """The id of the booking that Stripe or an operator names, or None: by its tracking id, or by its ``ref``, which
    Checkout Sessions of before December 2026 carry and clients quote.
    """
    if not name.isprintable():
        return None
    return session.scalar(_BY_NAME, {"value": name})


def find_id_by_invitee(session: Session, invitee_uri: str) -> int | None:
    """The id of the booking whose slot is that invitee (canonical URI), or None."""
    return session.scalar(_BY_INVITEE, {"value": invitee_uri})


def find_builder_email(session: Session, booking: Booking) -> str:
    """The e-mail address of the booking's builder: an answer to one of its mails goes there too."""
    query = sa.select(Account.email).join(Builder, Builder.account_id == Account.id)
    return session.scalars(query.where(Builder.id == booking.builder_id)).one()


def is_erased(session: Session, booking_id: int | None) -> bool:
    """Whether nothing personal is left of that booking. Asks the database only where the session has not loaded it."""
    booking = session.get(Booking, booking_id) if booking_id is not None else None
    return booking is not None and booking.erased_at is not None


def list_ended_invitees(session: Session, invitee_uris: list[str]) -> set[str]:
    """Those of the invitees that belong to expired or canceled bookings."""
    query = sa.select(Booking.invitee_uri).where(
        Booking.invitee_uri.in_(invitee_uris), Booking.status.in_((Status.CANCELED, Status.EXPIRED))
    )
    return {uri for uri in session.scalars(query) if uri is not None}
