"""Settings for what the real providers do sometimes one way and sometimes another; the control API changes them."""

from __future__ import annotations

from typing import Any

from bookingapp.sandbox.store import Document, Store

DEFAULTS: dict[str, Any] = {
    "settle_after_seconds": None,
    "settle_outcome": "succeeded",
    # For how long a card's authorization can be captured (Stripe docs, Place a hold on a payment method): seven days.
    "authorization_seconds": 7 * 24 * 60 * 60,
    "refund_status": "succeeded",
    "reschedule_keeps_tracking": True,
    "fees": False,
    # The Stripe account: the currency in which it is paid out (that of the charge, where none is set), and the
    # currencies that it can take (all, where none are set).
    "settlement_currency": None,
    "account_currencies": None,
    # Calendly's limits of ``POST /invitees`` on its paid plans (Calendly docs, Rate Limits), and the status of its
    # refusal where the start is not free: 400 or 409.
    "invitees_per_minute": 10,
    "invitees_per_hour": 50,
    "invitees_per_day": 100,
    "taken_status": "400",
    # Whether Calendly's account has the plan that may erase invitees (Calendly API reference, Delete Invitee Data).
    "enterprise": True,
}


def current_behavior(store: Store) -> Document:
    """Every setting with its current value."""
    return {name: store.setting(name, default) for name, default in DEFAULTS.items()}
