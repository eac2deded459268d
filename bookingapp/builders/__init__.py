"""Builders: their profiles, and what the directory knows of each. Nothing here calls a provider."""

from __future__ import annotations

# Imported for its listeners: every write of a builder updates its entry.
from bookingapp.builders import entries as entries
