"""Numbers for Prometheus, read from the tables when they are asked for.

They are the same whichever process answers, so nothing has to be gathered across processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.core.queue import OPEN, Job, Work
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.webhooks.models import InboxEvent


class Tables(Collector):
    """What the tables and this process's breaker say at ``now``."""

    def __init__(self, session: Session, calendly: CalendlyClient, now: datetime) -> None:
        self._session, self._calendly, self._now = session, calendly, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Each number with what it means."""
        yield self._by(
            "bookings", "Bookings by status.", "status", sa.select(Booking.status, sa.func.count())
        )
        flagged = sa.select(sa.func.count()).select_from(Booking).where(Booking.attention.is_not(None))
        yield _one(
            "bookings_attention", "Bookings that a person has to look at.", self._session.scalar(flagged) or 0
        )
        for name, model in (("inbox", InboxEvent), ("outbox", Job)):
            states = sa.select(model.state, sa.func.count())
            yield self._by(name, f"Rows of the {name} by state.", "state", states)
            yield _one(
                f"{name}_oldest_due_seconds", f"Age of the {name}'s oldest due row.", self._oldest(model)
            )
        closed = float(self._calendly.breaker_state == "closed")
        yield _one(
            "calendly_breaker_closed", "1 while calls to Calendly go through from this process.", closed
        )

    def _by(self, name: str, words: str, label: str, query: sa.Select[Any, int]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"bookingapp_{name}", words, labels=[label])
        for value, count in self._session.execute(query.group_by(query.selected_columns[0])):
            family.add_metric([str(value)], count)
        return family

    def _oldest(self, model: type[Work]) -> float:
        query = sa.select(sa.func.min(model.run_at)).where(sa.text(OPEN))
        oldest: datetime | None = self._session.scalar(query)
        return max(0.0, (self._now - oldest).total_seconds()) if oldest else 0.0


def _one(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bookingapp_{name}", words, value=value)


def text(session: Session, calendly: CalendlyClient, *, now: datetime) -> bytes:
    """The numbers in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Tables(session, calendly, now))
    return generate_latest(registry)
