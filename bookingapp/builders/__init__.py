"""Builders: their profiles, and what the directory knows of each. Nothing here calls a provider."""

from __future__ import annotations

# Whoever can write a builder writes the entry too.
from bookingapp.builders import entries as entries
