"""The pages of accounts, one module each."""

from __future__ import annotations

from bookingapp.accounts.views import address, log_in, log_ins, overview, password, reset, two_step
from bookingapp.accounts.views.blueprint import blueprint

__all__ = ["address", "blueprint", "log_in", "log_ins", "overview", "password", "reset", "two_step"]
