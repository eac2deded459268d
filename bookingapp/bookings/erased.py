"""What an erased booking has in place of what was about people. It is erased by :mod:`bookingapp.privacy.erasure`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bookingapp.core.i18n import SOURCE, gettext

if TYPE_CHECKING:
    from bookingapp.bookings.models import Booking

INSTEAD: Mapping[str, Any] = MappingProxyType(
    {
        "client_name": "\N{EM DASH}",
        "client_email": "",
        "client_timezone": "UTC",
        "language": SOURCE,
        "invitee_email": None,
        "email_proof": None,
        "pathway": None,
        "answers": [],
        "join_url": None,
        "cancel_url": None,
        "reschedule_url": None,
        "place": None,
        "host_name": None,
    }
)
PERSONAL_FACTS = frozenset(("address", "browser", "text"))
"""Facts of a cause or flag that are about a person: digests of who booked, and sentences of older releases."""


def shown_name(booking: Booking) -> str:
    """The client's name for people to read; without one that is erased, what they are."""
    return booking.client_name if booking.erased_at is None else gettext("The client")


def impersonal(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts without what is about a person. A sentence becomes an empty one, because its words ask for it."""
    kept = {name: value for name, value in facts.items() if name not in PERSONAL_FACTS}
    return {**kept, "text": ""} if "text" in facts else kept
