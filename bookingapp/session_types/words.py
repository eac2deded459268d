"""What clients read about a session type that they cannot book."""

from __future__ import annotations

from bookingapp.core.i18n import N_, gettext
from bookingapp.session_types.models import NotBookable

_WHY_NOT = {
    NotBookable.NO_PRICE: N_("Not open for booking yet: its price has not been set."),
    NotBookable.PAID_IN_CALENDLY: N_(
        "Not open for booking: Calendly itself asks for a payment here, and you should not pay twice."
    ),
    NotBookable.PAUSED: N_(
        "Booking is paused: the connection to this builder's calendar has to be renewed. What is booked stays booked. "
        "Please come back later."
    ),
    NotBookable.CALENDLY_DOWN: N_(
        "Calendly is not answering, so you cannot book here right now. Please try again in a minute."
    ),
}


def why_not_bookable(code: NotBookable | None) -> str:
    """Why a client cannot book a session type, and what they can do."""
    return gettext(_WHY_NOT[code]) if code else gettext("This session cannot be booked at the moment.")
