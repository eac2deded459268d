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

_UNNAMED: Final[Mapping[str, str]] = {"physical": N_("In person"), "custom": N_("As agreed with you")}
_ANOTHER: Final = N_("Another place")


def describe_place(booking: Booking) -> str | None:
    """Where it takes place, in words without its link. None where Calendly does not say."""
    return place_words(booking.place_kind, booking.place, booking.builder.display_name)


def place_words(kind: str | None, place: str | None, builder: str) -> str | None:
    """A place in words, by Calendly's name of its kind and its address, number or text; ``builder`` is a name."""
    kind = kind or ""
    if kind == "outbound_call" and place:
        return gettext("%(builder)s calls %(number)s", builder=builder, number=place)
    if kind == "inbound_call" and place:
        return gettext("Call %(number)s", number=place)
    known = _CONFERENCES.get(kind.removesuffix("_conference"))
    return place or (gettext(known) if known else None)


def describe_offered_place(kind: str, location: str | None, *, builder_name: str) -> str:
    """A place that an event type offers, for a client who chooses one."""
    if kind == "outbound_call":
        return gettext("%(builder)s calls you", builder=builder_name)
    if kind == "inbound_call":
        return gettext("You call %(builder)s", builder=builder_name)
    if kind == "ask_invitee":
        return gettext("Somewhere else")
    known = _CONFERENCES.get(kind.removesuffix("_conference"))
    return location or gettext(known or _UNNAMED.get(kind, _ANOTHER))


def is_provisional(booking: Booking, link: str | None) -> bool:
    """Whether a link is the one that Calendly gives out until the conference has its own: it names the event."""
    event = (booking.event_uri or "").rpartition("/")[2]
    return link is None or (bool(event) and f"/events/{event}/" in link)
