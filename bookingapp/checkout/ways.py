"""In which ways a client can choose the time of their booking: on our own list of times, or in Calendly's calendar.

Which times the list has is in :mod:`bookingapp.checkout.time_list`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.builders.models import Way
from bookingapp.core import quotas
from bookingapp.core.db import end_request_read
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, EventType
from bookingapp.session_types.listing import LONGEST_WAIT_SECONDS, why_not_listed
from bookingapp.session_types.models import SessionType, Ways

log = structlog.get_logger(__name__)


class NoList(enum.StrEnum):
    """Why our list of times cannot be offered for a booking."""

    NOT_CHOSEN = "not_chosen"  # The builder offers Calendly's calendar only.
    REFUSED = "refused"  # Calendly refused a time of the list; the builder has to look at the type.
    NOT_LISTED = "not_listed"  # ``why_not_listed`` has the reason.
    LIMITED = "limited"  # Calendly accepts no new invitee for a while.
    CALENDLY_DOWN = "calendly_down"


@dataclass(frozen=True)
class Listing:
    """Whether our list can be offered: the event type that it books, or why it cannot."""

    event_type: EventType | None
    obstacle: NoList | None = None


def offered_ways(
    calendly: CalendlyClient, booking: Booking, session_type: SessionType, *, default_first: Way
) -> tuple[Way, ...]:
    """The ways in which the client can choose a time, the one to open with first. Without the list it is Calendly's
    calendar alone, also where the builder wants the list only.

    Ends the request's reading, so that rows are detached afterwards. Asks Calendly unless a cached answer is fresh;
    raises nothing where Calendly fails.
    """
    if find_listing(calendly, booking, session_type).obstacle is not None:
        return (Way.WIDGET,)
    if session_type.ways is Ways.TIMES:
        return (Way.TIMES,)
    return (Way.TIMES, Way.WIDGET) if default_first is Way.TIMES else (Way.WIDGET, Way.TIMES)


def find_listing(calendly: CalendlyClient, booking: Booking, session_type: SessionType) -> Listing:
    """The event type that our list books for this booking, or why it cannot; as :func:`offered_ways`."""
    tenant, user_uri = booking.builder.tenant, booking.builder.calendly_user
    ways, list_refusal = session_type.ways, session_type.list_refusal
    end_request_read()
    if ways is Ways.WIDGET:
        return Listing(None, NoList.NOT_CHOSEN)
    if list_refusal is not None:
        return Listing(None, NoList.REFUSED)
    try:
        fetched = calendly.list_event_types(tenant, user_uri)
        is_limited = calendly.seconds_until_bookable(tenant) > LONGEST_WAIT_SECONDS
        if booking.is_free and not is_limited:
            is_limited = bool(quotas.seconds_until_left(quotas.FREE_INVITEES, calendly.account_of(tenant)))
    except CalendlyError as error:
        log.warning("listing_unknown", booking=booking.id, category=error.category)
        return Listing(None, NoList.CALENDLY_DOWN)
    if is_limited:
        return Listing(None, NoList.LIMITED)
    for event_type in fetched.value:
        if calendly.canonical_event_type_uri(event_type.uri) == booking.event_type_uri:
            is_listed = why_not_listed(event_type) is None
            return Listing(event_type) if is_listed else Listing(None, NoList.NOT_LISTED)
    return Listing(None, NoList.NOT_LISTED)


def find_session_type(session: Session, booking: Booking) -> SessionType:
    """The row of the price list that the booking was made from."""
    return session.get_one(SessionType, booking.session_type_id)
