"""The console's pages, one module for each."""

from __future__ import annotations

from bookingapp.console.views import (
    acts,
    booking_acts,
    bookings,
    builders,
    connections,
    deliveries,
    disputes,
    home,
    jobs,
    newcomers,
    security,
    state,
)
from bookingapp.console.views.blueprint import blueprint

__all__ = [
    "acts",
    "blueprint",
    "booking_acts",
    "bookings",
    "builders",
    "connections",
    "deliveries",
    "disputes",
    "home",
    "jobs",
    "newcomers",
    "security",
    "state",
]
