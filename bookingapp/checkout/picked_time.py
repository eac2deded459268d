"""Finds Calendly's page for a free time that a client picked on our pages."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import unquote, urlsplit

import structlog

from bookingapp.bookings.models import Booking
from bookingapp.core.db import end_request_read
from bookingapp.core.security import origin
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.session_types.times import fetch_scheduling_url

log = structlog.get_logger(__name__)


def find_scheduling_page(
    calendly: CalendlyClient, booking: Booking, start: datetime, *, booking_url: str, now: datetime
) -> str | None:
    """Calendly's address for that start of this booking's type; None where it is taken by now, where Calendly does
    not answer, or where the address is not one below the type's own page on ``booking_url``. Then the client chooses
    in the calendar.

    The address holds nothing: until it is confirmed in Calendly, anybody else may take the time. Asks Calendly,
    unless the answer that the card was made from is still fresh.
    """
    tenant, event_type_uri, page = booking.builder.tenant, booking.event_type_uri, booking.scheduling_url
    end_request_read()
    try:
        address = fetch_scheduling_url(calendly, tenant, event_type_uri, start, now=now)
    except CalendlyError as error:
        log.warning("picked_time_unknown", booking=booking.id, category=error.category)
        return None
    return address if address is not None and is_below(address, page, booking_url=booking_url) else None


def is_below(address: str, page: str, *, booking_url: str) -> bool:
    """Whether ``address`` is on the same pages as ``page``, which are those of ``booking_url``, and below it."""
    if not address.isascii() or not address.isprintable() or "\\" in address:
        return False
    try:
        of_address, of_page = urlsplit(address), urlsplit(page)
        is_on_pages = origin(address) == origin(page) == origin(booking_url)
    except ValueError:
        return False
    segments = unquote(of_address.path).split("/")
    return (
        is_on_pages
        and "@" not in of_address.netloc
        and of_address.path.startswith(of_page.path.rstrip("/") + "/")
        and ".." not in segments
        and "." not in segments
    )
