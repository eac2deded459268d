"""The console's pages, one module for each."""

from __future__ import annotations

from bookingapp.console.views import (
    acts,
    bookings,
    builders,
    deliveries,
    disputes,
    home,
    jobs,
    newcomers,
    state,
)
from bookingapp.console.views.blueprint import blueprint

__all__ = [
    "acts",
    "blueprint",
    "bookings",
    "builders",
    "deliveries",
    "disputes",
    "home",
    "jobs",
    "newcomers",
    "state",
]
