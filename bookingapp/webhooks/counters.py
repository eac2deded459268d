"""Counts deliveries for Prometheus. Refused ones are not stored, so these counters are all that is known of them.

They live in each process; ``/metrics`` adds the processes of one ``flask serve`` up
(:mod:`bookingapp.operations.metrics`, which says why neither is imported earlier than it is used).
"""

from __future__ import annotations

from typing import Final, get_args

from prometheus_client import Counter

from bookingapp.integrations.signatures import SignatureFault
from bookingapp.webhooks.models import Provider

NO_KEY: Final = "no_key"
NOT_STORED: Final = "not_kept"
TOO_LARGE: Final = "too_large"
REASONS: Final = (*get_args(SignatureFault), NO_KEY, NOT_STORED, TOO_LARGE)

ACCEPTED = Counter(
    "bookingapp_deliveries",
    "Genuine deliveries, by provider and result: kept (new) or duplicate.",
    ["provider", "result"],
    registry=None,
)
REFUSED = Counter(
    "bookingapp_deliveries_refused",
    "Deliveries that were not accepted, by provider and reason.",
    ["provider", "reason"],
    registry=None,
)
COUNTERS: Final = (ACCEPTED, REFUSED)

# Created beforehand, so that each is exported as 0.
_accepted = {
    (provider, fresh): ACCEPTED.labels(provider.value, "kept" if fresh else "duplicate")
    for provider in Provider
    for fresh in (True, False)
}
_refused = {
    (provider, reason): REFUSED.labels(provider.value, reason) for provider in Provider for reason in REASONS
}


def count_accepted(provider: Provider, *, fresh: bool) -> None:
    """Count a delivery that was answered 2xx; ``fresh`` unless it is a duplicate."""
    _accepted[provider, fresh].inc()


def count_refused(provider: Provider, reason: str) -> None:
    """Count a delivery that was not accepted; ``reason`` is one of :data:`REASONS`."""
    _refused[provider, reason].inc()
