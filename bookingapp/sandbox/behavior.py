"""Settings for what the real providers do sometimes one way and sometimes another; the control API changes them."""

from __future__ import annotations

from typing import Any

from bookingapp.sandbox.store import Document, Store

DEFAULTS: dict[str, Any] = {
    "settle_after_seconds": None,
    "settle_outcome": "succeeded",
    "refund_status": "succeeded",
    "reschedule_keeps_tracking": True,
    "fees": False,
    # The Stripe account: the currency in which it is paid out (that of the charge, where none is set), and the
    # currencies that it can take (all, where none are set).
    "settlement_currency": None,
    "account_currencies": None,
}


def current_behavior(store: Store) -> Document:
    """Every setting with its current value."""
    return {name: store.setting(name, default) for name, default in DEFAULTS.items()}
