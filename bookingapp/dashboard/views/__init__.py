"""The dashboard's pages, one module for each; those about webhooks are in ``dashboard/deliveries.py``."""

from __future__ import annotations

from bookingapp.dashboard.views import (
    booking,
    booking_actions,
    booking_notes,
    bookings,
    calendar,
    connection,
    home,
    profile,
    session_types,
)
from bookingapp.dashboard.views.blueprint import blueprint

__all__ = [
    "blueprint",
    "booking",
    "booking_actions",
    "booking_notes",
    "bookings",
    "calendar",
    "connection",
    "home",
    "profile",
    "session_types",
]
