"""What clients and builders read about a session type that cannot be booked, or not from our own list of times."""

from __future__ import annotations

from bookingapp.core.i18n import N_, gettext
from bookingapp.core.money import format_money
from bookingapp.outcomes import Failure
from bookingapp.session_types.listing import NotListed
from bookingapp.session_types.models import NotBookable, SaleRefusal

_WHY_NOT = {
    NotBookable.PAID_IN_CALENDLY: N_(
        "Not open for booking: Calendly itself asks for a payment here, and you should not pay twice."
    ),
    NotBookable.REFUSED_BY_STRIPE: N_(
        "Not open for booking: Stripe does not accept a payment of this price. Its builder knows about it."
    ),
    NotBookable.PAUSED: N_(
        "Booking is paused: the connection to this builder's calendar has to be renewed. Booked sessions still take "
        "place. Please come back later."
    ),
    NotBookable.CLOSED: N_("This builder takes no bookings at the moment. Booked sessions still take place."),
    NotBookable.CALENDLY_DOWN: N_(
        "Calendly is not answering, so you cannot book here right now. Please try again in a minute."
    ),
}
_REFUSALS = {
    SaleRefusal.TOO_SMALL: N_(
        "Stripe does not accept a payment as small as %(price)s: its minimum is that of the currency in which it pays "
        "the account out."
    ),
    SaleRefusal.TOO_LARGE: N_("Stripe does not accept a payment as large as %(price)s."),
    SaleRefusal.CURRENCY: N_("Stripe does not accept payments in %(currency)s on this account."),
    SaleRefusal.ACCOUNT: N_("Stripe has no way to take %(price)s on this account."),
}
_NOT_LISTED = {
    NotListed.SWITCHED_OFF: N_("It is switched off or deleted in Calendly."),
    NotListed.NOT_INSTANT: N_("It is a meeting poll in Calendly, which clients cannot book at once."),
    NotListed.PAID_IN_CALENDLY: N_(
        "Calendly itself asks for a payment; switch that off there, so that clients do not pay twice."
    ),
    NotListed.ONE_OFF: N_("It is a one-off meeting in Calendly, made for one person."),
    NotListed.UNKNOWN_KIND: N_("It is of a kind that only Calendly's own page can book."),
    NotListed.UNKNOWN_PLACE: N_("One of its places is of a kind that only Calendly's own page can offer."),
    NotListed.UNKNOWN_QUESTION: N_(
        "One of its questions is of a kind that only Calendly's own page can ask."
    ),
}


_LIST_REFUSALS = {
    Failure.FORBIDDEN: N_(
        "Our access lacks the permission to book for you, or your Calendly plan does not include it. Please connect "
        "your account again and allow everything, or check your plan."
    ),
    Failure.RATE_LIMITED: N_("The number of bookings that Calendly accepts from us in a day was reached."),
    Failure.REJECTED: N_(
        "It did not accept the details. Please check the questions and places of this type in Calendly."
    ),
    Failure.NOT_FOUND: N_(
        "It did not find this session type. Please check that it still exists in Calendly."
    ),
    Failure.UNAVAILABLE: N_("It did not answer for a quarter of an hour."),
    Failure.BAD_REPLY: N_("We could not read its answer."),
}
_ACCESS_REFUSED = N_("Our access was refused. Please connect your Calendly account again.")


def describe_list_refusal(category: str) -> str:
    """Why Calendly refused a booking from our list (a provider's :class:`Failure`), and what its builder can do."""
    why = gettext(_LIST_REFUSALS.get(Failure(category), _ACCESS_REFUSED))
    return gettext("%(why)s Then save this session type again, and our list is offered again.", why=why)


def describe_not_listed(code: NotListed) -> str:
    """Why clients book a type on Calendly's own page and not from our list of times, for its builder."""
    return gettext(_NOT_LISTED[code])


def describe_refusal(refusal: str, minor: int, currency: str) -> str:
    """Why Stripe does not sell a type for its price (a :class:`SaleRefusal`), for its builder."""
    price = format_money(minor, currency)
    return gettext(_REFUSALS[SaleRefusal(refusal)], price=price, currency=currency)


def why_not_bookable(code: NotBookable | None) -> str:
    """Why a client cannot book a session type, and what they can do."""
    return gettext(_WHY_NOT[code]) if code else gettext("This session cannot be booked at the moment.")
