"""Which delivery is whose: one table. What is not in it is kept and ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor
from bookingapp.bookings.service import Cause
from bookingapp.webhooks import handlers
from bookingapp.webhooks.handlers import Context, Step
from bookingapp.webhooks.models import InboxEvent, Provider

Handler = Callable[[Context, bytes], Step]

ROUTES: Mapping[tuple[Provider, str], Handler] = {
    (Provider.CALENDLY, "invitee.created"): handlers.invitee_created,
    (Provider.CALENDLY, "invitee.canceled"): handlers.invitee_canceled,
    (Provider.CALENDLY, "invitee_no_show.created"): handlers.no_show_created,
    (Provider.CALENDLY, "invitee_no_show.deleted"): handlers.no_show_deleted,
    (Provider.CALENDLY, "event_type.created"): handlers.event_type_changed,
    (Provider.CALENDLY, "event_type.updated"): handlers.event_type_changed,
    (Provider.CALENDLY, "event_type.deleted"): handlers.event_type_changed,
    (Provider.STRIPE, "checkout.session.completed"): handlers.checkout_session,
    (Provider.STRIPE, "checkout.session.async_payment_succeeded"): handlers.checkout_session,
    (Provider.STRIPE, "checkout.session.async_payment_failed"): handlers.checkout_session,
    (Provider.STRIPE, "checkout.session.expired"): handlers.checkout_session,
    (Provider.STRIPE, "refund.created"): handlers.refund,
    (Provider.STRIPE, "refund.updated"): handlers.refund,
    (Provider.STRIPE, "refund.failed"): handlers.refund,
    (Provider.STRIPE, "charge.refunded"): handlers.refund,
    (Provider.STRIPE, "charge.updated"): handlers.charge_updated,
    (Provider.STRIPE, "charge.dispute.created"): handlers.dispute,
    (Provider.STRIPE, "charge.dispute.updated"): handlers.dispute,
    (Provider.STRIPE, "charge.dispute.funds_withdrawn"): handlers.dispute,
    (Provider.STRIPE, "charge.dispute.funds_reinstated"): handlers.dispute,
    (Provider.STRIPE, "charge.dispute.closed"): handlers.dispute,
}

STRIPE_EVENTS: tuple[str, ...] = tuple(name for provider, name in ROUTES if provider is Provider.STRIPE)
"""What a Stripe endpoint has to name for the same."""

CALENDLY_EVENTS: tuple[str, ...] = tuple(name for provider, name in ROUTES if provider is Provider.CALENDLY)
"""What a Calendly subscription has to name for us to be told everything that we act on."""

_ACTORS = {Provider.CALENDLY: Actor.CALENDLY, Provider.STRIPE: Actor.STRIPE}


def cause_of(event: InboxEvent) -> Cause:
    """What the history says of a change that a delivery brought about."""
    return Cause(_ACTORS[event.provider], CauseCode.WEBHOOK, event.id, {"type": event.type})


def nothing_to_do(event: InboxEvent) -> str:
    """The note of a delivery of which nobody is in the table."""
    return f"nothing to do for {event.type}"
