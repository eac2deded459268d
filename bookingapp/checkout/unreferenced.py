"""Invitees without our reference: which pending booking one belongs to, where it fits exactly one.

``utm_content`` is lost when a browser extension or a person cuts it. What is left are Calendly's own facts (host, event
type, address, moment) and the browser that reports the invitee.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.hosts import is_host
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.mailboxes import in_ascii
from bookingapp.integrations.calendly import Invitee, ScheduledEvent


def find_fitting_booking(
    session: Session, chain: tuple[Invitee, Invitee], event: ScheduledEvent, *, refs: Collection[str]
) -> int | None:
    """The id of the only pending booking of this browser (``refs``) that an invitee fits: the builder hosts its event,
    event type and address are the booking's, and it was created after the booking. ``chain`` is the invitee that the
    browser reports and the newest one it was rescheduled to, mostly itself; the event is that one's. None where it fits
    no booking or several, is another booking's, or replaces an invitee, whose booking it belongs to. All URIs are
    canonical.
    """
    invitee, newest = chain
    if event.event_type is None or invitee.old_invitee is not None:
        return None
    known = sa.select(Booking.id).where(Booking.invitee_uri.in_((invitee.uri, newest.uri)))
    if session.scalar(known.limit(1)) is not None:
        return None
    query = sa.select(Booking.id, Booking.client_email, Builder.calendly_user_uri)
    query = query.join(Builder, Builder.id == Booking.builder_id)
    pending = query.where(
        Booking.ref.in_(refs),
        Booking.status == Status.PENDING,
        Booking.event_type_uri == event.event_type,
        Booking.created_at <= invitee.created_at,
    )
    rows = session.execute(pending).all()
    theirs = _plain(invitee.email)
    found = [
        row.id
        for row in rows
        if _plain(row.client_email) == theirs and is_host(row.calendly_user_uri, event.hosts)
    ]
    return found[0] if len(found) == 1 else None


def _plain(email: str) -> str:
    """The address in one spelling: small letters, the domain in ASCII."""
    return (in_ascii(email.strip()) or email.strip()).lower()
