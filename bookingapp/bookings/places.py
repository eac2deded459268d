"""Where a session takes place, by Calendly: recording it, and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bookingapp.bookings.models import Booking
from bookingapp.core.i18n import N_, gettext

_CONFERENCES: Final[Mapping[str, str]] = {
    "google": N_("Google Meet"),
    "zoom": N_("Zoom"),
    "microsoft_teams": N_("Microsoft Teams"),
    "webex": N_("Webex"),
    "gotomeeting": N_("GoTo Meeting"),
}


def describe_place(booking: Booking) -> str | None:
    """Where it takes place, in words without its link. None where Calendly does not say."""
    kind, place = booking.place_kind or "", booking.place
    if kind == "outbound_call" and place:
        return gettext("%(builder)s calls %(number)s", builder=booking.builder.display_name, number=place)
    if kind == "inbound_call" and place:
        return gettext("Call %(number)s", number=place)
    known = _CONFERENCES.get(kind.removesuffix("_conference"))
    return place or (gettext(known) if known else None)


def is_provisional(booking: Booking, link: str | None) -> bool:
    """Whether a link is the one that Calendly gives out until the conference has its own: it names the event."""
    event = (booking.event_uri or "").rpartition("/")[2]
    return link is None or (bool(event) and f"/events/{event}/" in link)
