"""Numbers for Prometheus.

Most are read from the tables when they are asked for, and are the same whichever process answers. What leaves no row
is counted in each process; ``flask serve`` gives its processes a folder in which they leave their counts for whichever
of them is asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.core import heartbeat
from bookingapp.core.queue import OPEN, Job, Work
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.webhooks import counters
from bookingapp.webhooks.models import InboxEvent

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
LAG_OF = 100


class TableCollector(Collector):
    """What the tables and this process's breaker say at ``now``."""

    def __init__(self, session: Session, calendly: CalendlyClient, now: datetime) -> None:
        self._session, self._calendly, self._now = session, calendly, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Each number with what it means."""
        yield self._by(
            "bookings", "Bookings by status.", "status", sa.select(Booking.status, sa.func.count())
        )
        flagged = sa.select(sa.func.count(AttentionFlag.booking_id.distinct())).where(
            AttentionFlag.resolved_at.is_(None)
        )
        yield _one(
            "bookings_attention", "Bookings that a person has to look at.", self._session.scalar(flagged) or 0
        )
        inbox = sa.select(InboxEvent.provider, InboxEvent.state, sa.func.count())
        yield self._by("inbox", "Rows of the inbox by provider and state.", "provider state", inbox)
        outbox = sa.select(Job.state, sa.func.count())
        yield self._by("outbox", "Rows of the outbox by state.", "state", outbox)
        for name, model in (("inbox", InboxEvent), ("outbox", Job)):
            yield _one(
                f"{name}_oldest_due_seconds", f"Age of the {name}'s oldest due row.", self._oldest(model)
            )
        yield from self._lag()
        yield from self._workers()
        closed = float(self._calendly.breaker_state == "closed")
        yield _one(
            "calendly_breaker_closed", "1 while calls to Calendly go through from this process.", closed
        )

    def _by(
        self, name: str, words: str, labels: str, query: sa.Select[*tuple[Any, ...]]
    ) -> GaugeMetricFamily:
        """Counts; all columns of ``query`` but the last are the values of ``labels``."""
        family = GaugeMetricFamily(f"bookingapp_{name}", words, labels=labels.split())
        for *values, count in self._session.execute(query.group_by(*query.selected_columns[:-1])):
            family.add_metric([str(value) for value in values], count)
        return family

    def _lag(self) -> Iterator[GaugeMetricFamily]:
        """How long deliveries took from their receipt to their end; there is none before the first has ended."""
        newest = (
            sa.select(InboxEvent.received_at, InboxEvent.finished_at)
            .where(InboxEvent.finished_at.is_not(None))
            .order_by(InboxEvent.id.desc())
            .limit(LAG_OF)
        )
        lags = [(end - start).total_seconds() for start, end in self._session.execute(newest) if end]
        if lags:
            words = f"Seconds from receipt to end of the newest {LAG_OF} ended deliveries"
            yield _one("inbox_lag_mean_seconds", f"{words}, on average.", sum(lags) / len(lags))
            yield _one("inbox_lag_max_seconds", f"{words}, at most.", max(lags))

    def _workers(self) -> Iterator[GaugeMetricFamily]:
        workers = heartbeat.count_workers(self._session, now=self._now)
        yield _one("workers_alive", "Workers with a sign of life in the last half minute.", workers.alive)
        if workers.last_seen_seconds is not None:
            yield _one(
                "worker_last_seen_seconds",
                "Seconds since any worker gave a sign of life; not there where none ever has, or all took leave.",
                workers.last_seen_seconds,
            )

    def _oldest(self, model: type[Work]) -> float:
        query = sa.select(sa.func.min(model.run_at)).where(sa.text(OPEN))
        oldest: datetime | None = self._session.scalar(query)
        return max(0.0, (self._now - oldest).total_seconds()) if oldest else 0.0


def _one(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bookingapp_{name}", words, value=value)


def render_metrics(session: Session, calendly: CalendlyClient, *, now: datetime) -> bytes:
    """The numbers in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(TableCollector(session, calendly, now))
    if os.environ.get(SHARED_FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        for counter in counters.COUNTERS:
            registry.register(counter)
    return generate_latest(registry)
