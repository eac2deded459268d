"""Which handler serves which delivery: one table. Deliveries that are not in it are kept and ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor
from bookingapp.bookings.service import Cause
from bookingapp.core.queue import WorkState
from bookingapp.integrations.stripe_gateway import StripeNotFound
from bookingapp.webhooks import handlers
from bookingapp.webhooks.foreign_events import find_foreign, note_unknown
from bookingapp.webhooks.handlers import Context, Outcome, Step
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent, Provider
from bookingapp.webhooks.service import UNREADABLE

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
    # Before Stripe's version 2024-10-28 the only word of a refund that fails.
    (Provider.STRIPE, "charge.refund.updated"): handlers.refund,
    (Provider.STRIPE, "payment_intent.payment_failed"): handlers.payment_failed,
    (Provider.STRIPE, "payment_intent.amount_capturable_updated"): handlers.payment_intent,
    (Provider.STRIPE, "payment_intent.canceled"): handlers.payment_intent,
    (Provider.STRIPE, "radar.early_fraud_warning.created"): handlers.fraud_warning,
    (Provider.STRIPE, "radar.early_fraud_warning.updated"): handlers.fraud_warning,
    (Provider.STRIPE, "charge.updated"): handlers.charge_updated,
    (Provider.STRIPE, "charge.dispute.created"): handlers.dispute,
    (Provider.STRIPE, "charge.dispute.updated"): handlers.dispute,
    (Provider.STRIPE, "charge.dispute.funds_withdrawn"): handlers.dispute,
    (Provider.STRIPE, "charge.dispute.funds_reinstated"): handlers.dispute,
    (Provider.STRIPE, "charge.dispute.closed"): handlers.dispute,
}

STRIPE_EVENTS: tuple[str, ...] = tuple(name for provider, name in ROUTES if provider is Provider.STRIPE)
"""The events that a Stripe endpoint has to subscribe to."""

CALENDLY_EVENTS: tuple[str, ...] = tuple(name for provider, name in ROUTES if provider is Provider.CALENDLY)
"""The events that a Calendly subscription has to name."""

_ACTORS = {Provider.CALENDLY: Actor.CALENDLY, Provider.STRIPE: Actor.STRIPE}


def cause_of(event: InboxEvent) -> Cause:
    """The cause, for the booking's history, of a change that a delivery made."""
    return Cause(_ACTORS[event.provider], CauseCode.WEBHOOK, event.id, {"type": event.type})


def prepare(context: Context, event: InboxEvent) -> Step:
    """The step that applies a delivery, from its handler; one that ignores it where it has no handler or no body, or is
    not for us. Raises the errors of the providers, which a handler may ask.
    """
    if event.provider is Provider.STRIPE and event.body is not None:
        foreign = find_foreign(event.body, is_live=context.is_live)
        if foreign is not None:
            return lambda *_: foreign
    handler = ROUTES.get((event.provider, event.type))
    if event.type == UNREADABLE:
        return lambda *_: Outcome(DeliveryOutcome.UNREADABLE, WorkState.IGNORED)
    if handler is None:
        facts = {"type": event.type}
        return lambda *_: Outcome(DeliveryOutcome.NO_HANDLER, WorkState.IGNORED, facts=facts)
    if event.body is None:
        return lambda *_: Outcome(DeliveryOutcome.BODY_DELETED, WorkState.IGNORED)
    try:
        return handler(context, event.body)
    except StripeNotFound as error:
        return note_unknown(event.body, error)
