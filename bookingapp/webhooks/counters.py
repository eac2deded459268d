"""How many deliveries came, for Prometheus. Refused ones leave no row, so these are the only trace of their number.

The tables count the same for every process; these live in each, and ``/metrics`` adds the processes of one ``flask
serve`` up (see :mod:`bookingapp.operations.metrics`).
"""

from __future__ import annotations

from typing import Final, get_args

from prometheus_client import Counter

from bookingapp.integrations.signatures import SignatureFault
from bookingapp.webhooks.models import Provider

NO_KEY: Final = "no_key"
NOT_KEPT: Final = "not_kept"
TOO_LARGE: Final = "too_large"
REASONS: Final = (*get_args(SignatureFault), NO_KEY, NOT_KEPT, TOO_LARGE)

TAKEN = Counter(
    "bookingapp_deliveries",
    "Genuine deliveries, by provider and by whether they were news (kept) or known already (duplicate).",
    ["provider", "result"],
    registry=None,
)
REFUSED = Counter(
    "bookingapp_deliveries_refused",
    "Deliveries that were not taken in, by provider and reason.",
    ["provider", "reason"],
    registry=None,
)
COUNTERS: Final = (TAKEN, REFUSED)

# Made beforehand, so that each is there as 0, and counting looks nothing up.
_taken = {
    (provider, fresh): TAKEN.labels(provider.value, "kept" if fresh else "duplicate")
    for provider in Provider
    for fresh in (True, False)
}
_refused = {
    (provider, reason): REFUSED.labels(provider.value, reason) for provider in Provider for reason in REASONS
}


def count_accepted(provider: Provider, *, fresh: bool) -> None:
    """A delivery was answered 2xx."""
    _taken[provider, fresh].inc()


def count_refused(provider: Provider, reason: str) -> None:
    """A delivery was answered otherwise; ``reason`` is one of :data:`REASONS`."""
    _refused[provider, reason].inc()
