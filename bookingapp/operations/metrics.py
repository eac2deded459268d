"""The metrics for Prometheus.

Most are read from the tables on request, and are the same in every process. Events without a row are counted in each
process; the processes of one ``flask serve`` share their counts through a folder.

Imported by the process that counts, not by the one that it was forked from: prometheus_client decides when it is
imported whether counts are shared.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.core import heartbeat
from bookingapp.core.clock import TIME_SOURCES
from bookingapp.core.queue import OPEN, Job, Work
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.webhooks import counters
from bookingapp.webhooks.models import InboxEvent

LAG_OF = 100


class TableCollector(Collector):
    """The metrics that come from the tables, at the time ``now``, and from this process's circuit breaker."""

    def __init__(self, session: Session, calendly: CalendlyClient, now: datetime) -> None:
        self._session, self._calendly, self._now = session, calendly, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Each metric with its help. Without the database, those of the tables are absent."""
        try:
            tables, is_up = list(self._read_tables()), True
        except SQLAlchemyError:
            tables, is_up = [], False
        yield from tables
        yield _gauge("database_up", "1 while the database answers this process.", float(is_up))
        closed = float(self._calendly.breaker_state == "closed")
        yield _gauge("calendly_breaker_closed", "1 while this process calls Calendly.", closed)
        error = TIME_SOURCES.error().total_seconds()
        yield _gauge("clock_error_seconds", "How far this machine's clock is ahead of the providers'.", error)

    def _read_tables(self) -> Iterator[GaugeMetricFamily]:
        statuses = sa.select(Booking.status, sa.func.count())
        yield self._by("bookings", "Bookings by status.", "status", statuses)
        booking = AttentionFlag.booking_id
        flagged = sa.select(sa.func.count(booking.distinct())).where(AttentionFlag.resolved_at.is_(None))
        yield _gauge("bookings_attention", "Bookings that need a person.", self._session.scalar(flagged) or 0)
        inbox = sa.select(InboxEvent.provider, InboxEvent.state, sa.func.count())
        yield self._by("inbox", "Rows of the inbox by provider and state.", "provider state", inbox)
        outbox = sa.select(Job.state, sa.func.count())
        yield self._by("outbox", "Rows of the outbox by state.", "state", outbox)
        for name, model in (("inbox", InboxEvent), ("outbox", Job)):
            age = self._oldest_due_seconds(model)
            yield _gauge(f"{name}_oldest_due_seconds", f"Age of the {name}'s oldest due row.", age)
        yield from self._lag()
        yield from self._workers()

    def _by(
        self, name: str, documentation: str, labels: str, query: sa.Select[*tuple[Any, ...]]
    ) -> GaugeMetricFamily:
        """Counts. The last column of ``query`` is the count; the others are the values of ``labels``."""
        family = GaugeMetricFamily(f"bookingapp_{name}", documentation, labels=labels.split())
        for *values, count in self._session.execute(query.group_by(*query.selected_columns[:-1])):
            family.add_metric([str(value) for value in values], count)
        return family

    def _lag(self) -> Iterator[GaugeMetricFamily]:
        """Seconds from a delivery's receipt to its end; nothing before the first has ended."""
        newest = (
            sa.select(InboxEvent.received_at, InboxEvent.finished_at)
            .where(InboxEvent.finished_at.is_not(None))
            .order_by(InboxEvent.id.desc())
            .limit(LAG_OF)
        )
        lags = [(end - start).total_seconds() for start, end in self._session.execute(newest) if end]
        if lags:
            lag = f"Seconds from receipt to end of the newest {LAG_OF} ended deliveries"
            yield _gauge("inbox_lag_mean_seconds", f"{lag}, on average.", sum(lags) / len(lags))
            yield _gauge("inbox_lag_max_seconds", f"{lag}, at most.", max(lags))

    def _workers(self) -> Iterator[GaugeMetricFamily]:
        workers = heartbeat.count_workers(self._session, now=self._now)
        yield _gauge("workers_alive", "Workers with a heartbeat in the last half minute.", workers.alive)
        if workers.last_seen_seconds is not None:
            yield _gauge(
                "worker_last_seen_seconds",
                "Seconds since any worker's last heartbeat; absent without a worker, or when all stopped in order.",
                workers.last_seen_seconds,
            )

    def _oldest_due_seconds(self, model: type[Work]) -> float:
        query = sa.select(sa.func.min(model.run_at)).where(sa.text(OPEN))
        oldest: datetime | None = self._session.scalar(query)
        return max(0.0, (self._now - oldest).total_seconds()) if oldest else 0.0


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bookingapp_{name}", documentation, value=value)


def render_metrics(session: Session, calendly: CalendlyClient, *, now: datetime) -> bytes:
    """The metrics at the time ``now``, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(TableCollector(session, calendly, now))
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        for counter in counters.COUNTERS:
            registry.register(counter)
    return generate_latest(registry)
