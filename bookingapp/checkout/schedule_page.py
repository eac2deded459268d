"""What the schedule page of a booking offers: Calendly's calendar, or the way to our own list of times.

The list itself is in :mod:`bookingapp.checkout.time_list`, which ways there are in :mod:`bookingapp.checkout.ways`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.bookings.tracking import TrackingSigner, scheduling_link
from bookingapp.builders.models import Way
from bookingapp.checkout.picked_time import find_scheduling_page
from bookingapp.checkout.ways import find_session_type, offered_ways
from bookingapp.integrations.calendly import CalendlyClient


@dataclass(frozen=True)
class SchedulePage:
    """Calendly's page for the booking, at the picked time where that is free (``is_picked_free``).

    ``has_list`` says whether our list can be chosen instead; ``is_own_choice``, that the client asked for the calendar.
    """

    link: str
    is_picked_free: bool
    has_list: bool
    is_own_choice: bool


def load_schedule_page(
    session: Session,
    calendly: CalendlyClient,
    signer: TrackingSigner,
    booking: Booking,
    *,
    default_first: Way,
    wanted: str | None,
    picked: datetime | None,
    booking_url: str,
    now: datetime,
) -> SchedulePage | None:
    """The page with Calendly's calendar; None where the client is to choose on our list. ``wanted`` is the way that the
    client asked for; ``default_first`` is the installation's, where the builder has chosen none.

    Asks Calendly unless cached answers are fresh; raises nothing where Calendly fails.
    """
    first = booking.builder.scheduling_first or default_first
    offered = offered_ways(calendly, booking, find_session_type(session, booking), default_first=first)
    if (wanted if wanted in offered else offered[0]) == Way.TIMES:
        return None
    page = picked and find_scheduling_page(calendly, booking, picked, booking_url=booking_url, now=now)
    link = scheduling_link(
        page or booking.scheduling_url,
        tracking=signer.sign(booking.tracking_id),
        name=booking.client_name,
        email=booking.client_email,
    )
    return SchedulePage(link, bool(page), Way.TIMES in offered, wanted == Way.WIDGET)
