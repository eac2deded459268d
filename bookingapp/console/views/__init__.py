"""The console's pages, one module for each."""

from __future__ import annotations

from bookingapp.console.views import acts, bookings, deliveries, disputes, home, jobs, state
from bookingapp.console.views.blueprint import blueprint

__all__ = ["acts", "blueprint", "bookings", "deliveries", "disputes", "home", "jobs", "state"]
