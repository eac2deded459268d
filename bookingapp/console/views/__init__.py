"""The console's pages, one module for each."""

from __future__ import annotations

from bookingapp.console.views import home
from bookingapp.console.views.blueprint import blueprint

__all__ = ["blueprint", "home"]
