"""What settles each condition that needs a builder: an act of ours, the page with its form, or a page of the provider
where it has to be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bookingapp.bookings.codes import FlagCode
from bookingapp.core.i18n import lazy_gettext

CALENDLY_MEETINGS: Final = "https://calendly.com/app/scheduled_events/user/me"
STRIPE_PAYMENTS: Final = "https://dashboard.stripe.com/payments"


@dataclass(frozen=True)
class Settling:
    """A button or a link. ``endpoint`` is one of ours: posted to at once, or the page of a form (``is_link``); without
    one, ``address`` is a page of a provider. ``is_of_booking``: the endpoint takes the booking's tracking id.
    """

    label: str
    endpoint: str | None = None
    is_link: bool = False
    is_of_booking: bool = True
    address: str | None = None


_ASK = Settling(lazy_gettext("Ask Stripe and Calendly now"), "dashboard.check_now")
_CANCEL = Settling(lazy_gettext("Cancel with full refund"), "dashboard.cancel", is_link=True)
_REFUND = Settling(lazy_gettext("Refund an amount"), "dashboard.refund", is_link=True)
_BOOKING = Settling(lazy_gettext("See the booking"), "dashboard.booking", is_link=True)
_IN_CALENDLY = Settling(lazy_gettext("Open Calendly"), address=CALENDLY_MEETINGS)
_IN_STRIPE = Settling(lazy_gettext("Open Stripe"), address=STRIPE_PAYMENTS)

SETTLED_BY: Final[Mapping[FlagCode, Settling]] = {
    FlagCode.PAID_WITHOUT_TIME: _ASK,
    FlagCode.RESCHEDULED_UNKNOWN: _ASK,
    FlagCode.WRONG_EVENT_TYPE: _ASK,
    FlagCode.UNKNOWN_EVENT_TYPE: _IN_CALENDLY,
    FlagCode.OTHER_HOST: _CANCEL,
    FlagCode.TIME_NOT_READABLE: Settling(
        lazy_gettext("Go to the connection"), "dashboard.connection", is_link=True, is_of_booking=False
    ),
    FlagCode.TIME_CANCELED_LATE: _REFUND,
    FlagCode.NO_SHOW_NOT_SENT: _IN_CALENDLY,
    FlagCode.OVERLAP: _BOOKING,
    FlagCode.ABSENCE_CLAIMED: Settling(lazy_gettext("Answer"), "dashboard.booking", is_link=True),
    FlagCode.ABSENCE_DENIED: _BOOKING,
    FlagCode.NO_SHOW_DENIED: _BOOKING,
    FlagCode.SEAT_NOT_RELEASED: _IN_CALENDLY,
    FlagCode.TIME_NOT_RELEASED: _IN_CALENDLY,
    FlagCode.RELEASE_REFUSED: _IN_CALENDLY,
    FlagCode.PAID_IN_CALENDLY: _IN_CALENDLY,
    FlagCode.LATE_PAYMENT_CHECKED: _ASK,
    FlagCode.LATE_PAYMENT: _ASK,
    FlagCode.PAYMENT_PROCESSING: _ASK,
    FlagCode.PAYMENT_REFUSED: Settling(
        lazy_gettext("Go to your session types"), "dashboard.prices", is_link=True, is_of_booking=False
    ),
    FlagCode.PAYMENT_UNEXPECTED: _IN_STRIPE,
    FlagCode.WRONG_AMOUNT: _ASK,
    FlagCode.WRONG_REFERENCE: _IN_STRIPE,
    FlagCode.REFUND_DELAYED: _ASK,
    FlagCode.REFUND_REFUSED: _IN_STRIPE,
    FlagCode.REFUND_WAITS_FOR_CLIENT: _ASK,
    FlagCode.REFUNDED_OUTSIDE: _CANCEL,
    FlagCode.FRAUD_WARNING: Settling(lazy_gettext("Refund in full"), "dashboard.refund_warned"),
    FlagCode.DISPUTE_OPEN: Settling(
        lazy_gettext("Answer in Stripe"), address="https://dashboard.stripe.com/disputes"
    ),
    FlagCode.ERASE_IN_CALENDLY: _IN_CALENDLY,
    FlagCode.MAIL_NOT_SENT: Settling(lazy_gettext("Send again"), "dashboard.send_again"),
}
"""The others are settled by marking them as resolved, which is offered for all but those about who came."""
