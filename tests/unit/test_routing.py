"""Which types of deliveries have a handler."""

from __future__ import annotations

from bookingapp.webhooks.models import Provider
from bookingapp.webhooks.routing import CALENDLY_EVENTS, ROUTES


def test_every_route_names_an_event_that_exists() -> None:
    calendly = {type_ for provider, type_ in ROUTES if provider is Provider.CALENDLY}
    invitees = {"invitee.created", "invitee.canceled", "invitee_no_show.created", "invitee_no_show.deleted"}
    assert calendly == {*invitees, *(f"event_type.{change}" for change in ("created", "updated", "deleted"))}
    assert calendly == set(CALENDLY_EVENTS)


def test_a_payment_is_recorded_from_one_family_of_events() -> None:
    """The payment intent's own events would report a payment a second time; only they report a failed try, and the end
    of an authorization.
    """
    stripe = {type_ for provider, type_ in ROUTES if provider is Provider.STRIPE}
    assert {"checkout.session.completed", "checkout.session.async_payment_succeeded"} <= stripe
    assert {type_ for type_ in stripe if type_.startswith("payment_intent.")} == {
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.payment_failed",
    }
