"""Our webhook endpoint in Stripe: how it is inspected, created and repaired. Calendly's is in ``subscriptions.py``."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bookingapp.integrations.stripe_gateway import StripeGateway, WebhookEndpoint
from bookingapp.webhooks.routing import STRIPE_EVENTS


class EndpointState(enum.StrEnum):
    """How an endpoint was found. It is whole with exactly the events that we route: others only cost us work."""

    WHOLE = "whole"
    MISSING = "missing"
    DISABLED = "disabled"
    OTHER_EVENTS = "other_events"
    SEVERAL = "several"  # Two at one address send each event twice.


@dataclass(frozen=True)
class EndpointFinding:
    """``endpoint`` as it is after the call, with its secret only where it was created by it; None where it is missing.
    ``others`` are further ones with the same address.
    """

    state: EndpointState
    endpoint: WebhookEndpoint | None
    others: tuple[WebhookEndpoint, ...] = ()


def inspect_endpoint(stripe: StripeGateway, url: str) -> EndpointFinding:
    """The endpoint that sends to ``url``, as it is. Raises :class:`StripeGatewayError`."""
    # One that is whole before others, then the newest, as Stripe lists them.
    mine = sorted((one for one in stripe.list_webhook_endpoints() if one.url == url), key=_is_broken)
    if not mine:
        return EndpointFinding(EndpointState.MISSING, None)
    first, *others = mine
    if others:
        return EndpointFinding(EndpointState.SEVERAL, first, tuple(others))
    if not first.enabled:
        return EndpointFinding(EndpointState.DISABLED, first)
    return EndpointFinding(EndpointState.OTHER_EVENTS if _is_broken(first) else EndpointState.WHOLE, first)


def ensure_endpoint(stripe: StripeGateway, url: str) -> EndpointFinding:
    """Create the endpoint where it is missing, repair it where it is disabled or has other events. Safe to repeat; of
    several one is repaired, and the others are left to a person. Raises :class:`StripeGatewayError`.
    """
    found = inspect_endpoint(stripe, url)
    if found.endpoint is None:
        return EndpointFinding(found.state, stripe.create_webhook_endpoint(url, STRIPE_EVENTS))
    if _is_broken(found.endpoint):
        repaired = stripe.repair_webhook_endpoint(found.endpoint.id, STRIPE_EVENTS)
        return EndpointFinding(found.state, repaired, found.others)
    return found


def sends_too_much(found: EndpointFinding) -> bool:
    """Whether every event that we route arrives, and others with them."""
    events = set(found.endpoint.events) if found.endpoint is not None else set()
    return found.state is EndpointState.OTHER_EVENTS and ("*" in events or events >= set(STRIPE_EVENTS))


def _is_broken(endpoint: WebhookEndpoint) -> bool:
    return not endpoint.enabled or set(endpoint.events) != set(STRIPE_EVENTS)
