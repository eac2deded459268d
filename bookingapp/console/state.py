"""The state of the installation, from the database: workers, queues, subscriptions, connections, reconciliation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.connections.models import CalendlyConnection, ConnectionReason, ConnectionState, TokenRefusal
from bookingapp.core.heartbeat import LATE, WorkerBeat
from bookingapp.core.queue import DEAD, OPEN, Job, Work
from bookingapp.sync.models import Found, Reconciliation, SubscriptionCheck
from bookingapp.webhooks.models import InboxEvent

MOST_WORKERS = 20
MOST_CONNECTIONS = 25
# Checks and reconciliations run every hour.
OVERDUE: Final = timedelta(hours=3)


class Worker(NamedTuple):
    """A worker process, by its heartbeat."""

    name: str
    started_at: datetime
    beat_at: datetime
    is_alive: bool


@dataclass(frozen=True)
class Queue:
    """How many rows are open and dead, and how long the first due one has been waiting (seconds; 0: none waits)."""

    waiting: int
    dead: int
    oldest_due_seconds: float


@dataclass(frozen=True)
class Numbers:
    """The queues, the connections by state, and how many of the platform's tokens Calendly has refused."""

    inbox: Queue
    outbox: Queue
    connected: int
    disconnected: int
    tokens_refused: int


@dataclass(frozen=True)
class Latest:
    """The newest whole reconciliation and check of the platform's subscription, and the newest delivery's lag."""

    reconciliation: Reconciliation | None
    check: SubscriptionCheck | None
    lag_seconds: float | None


class Trouble(NamedTuple):
    """A builder's own connection that needs a look, and the newest check of its subscription."""

    builder: str
    slug: str
    state: ConnectionState
    reason: ConnectionReason | None
    changed_at: datetime
    expires_at: datetime
    retry_at: datetime | None
    found: Found | None
    checked_at: datetime | None
    failure: str | None


def list_workers(session: Session, *, now: datetime) -> list[Worker]:
    """The workers that have not ended in order, the newest heartbeat first."""
    query = sa.select(WorkerBeat.name, WorkerBeat.started_at, WorkerBeat.beat_at)
    rows = session.execute(query.order_by(WorkerBeat.beat_at.desc()).limit(MOST_WORKERS))
    return [Worker(*row, is_alive=row.beat_at > now - LATE) for row in rows]


def count_everything(session: Session, *, now: datetime) -> Numbers:
    """The numbers, in one statement over indexes of open rows."""
    columns: list[sa.ScalarSelect[Any]] = []
    for model in (InboxEvent, Job):
        columns += [
            _count(model, OPEN),
            _count(model, DEAD),
            sa.select(sa.func.min(model.run_at)).where(sa.text(OPEN)).scalar_subquery(),
        ]
    row = session.execute(
        sa.select(
            *columns,
            sa.select(sa.func.count()).where(_has_state(ConnectionState.CONNECTED)).scalar_subquery(),
            sa.select(sa.func.count()).where(_has_state(ConnectionState.DEAD)).scalar_subquery(),
            sa.select(sa.func.count()).select_from(TokenRefusal).scalar_subquery(),
        )
    ).one()

    def queue(waiting: int, dead: int, due: datetime | None) -> Queue:
        return Queue(waiting, dead, max(0.0, (now - due).total_seconds()) if due else 0.0)

    return Numbers(queue(*row[0:3]), queue(*row[3:6]), *row[6:9])


def _count(model: type[Work], which: str) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(model).where(sa.text(which)).scalar_subquery()


def _has_state(state: ConnectionState) -> sa.ColumnElement[bool]:
    return CalendlyConnection.state == state


def load_latest(session: Session) -> Latest:
    """What ran last, in one statement."""
    reconciliation = (
        sa.select(Reconciliation.id)
        .where(Reconciliation.with_events)
        .order_by(Reconciliation.at.desc(), Reconciliation.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    check = (
        sa.select(SubscriptionCheck.id)
        .where(SubscriptionCheck.builder_id.is_(None))
        .order_by(SubscriptionCheck.at.desc(), SubscriptionCheck.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    delivery = (
        sa.select(InboxEvent.id)
        .where(InboxEvent.finished_at.is_not(None))
        .order_by(InboxEvent.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    one = sa.select(sa.literal(1).label("one")).subquery()
    query = (
        sa.select(Reconciliation, SubscriptionCheck, InboxEvent.received_at, InboxEvent.finished_at)
        .select_from(one)
        .outerjoin(Reconciliation, Reconciliation.id == reconciliation)
        .outerjoin(SubscriptionCheck, SubscriptionCheck.id == check)
        .outerjoin(InboxEvent, InboxEvent.id == delivery)
    )
    report, found, start, end = session.execute(query).one()
    return Latest(report, found, (end - start).total_seconds() if start and end else None)


def list_troubles(session: Session, *, now: datetime) -> Sequence[Trouble]:
    """The builders' own connections that do not work, could not be renewed, or whose subscription was not found active
    lately; at most 25, those that changed last first.
    """
    newest = (
        sa.select(SubscriptionCheck.id)
        .where(SubscriptionCheck.builder_id == CalendlyConnection.builder_id)
        .order_by(SubscriptionCheck.at.desc(), SubscriptionCheck.id.desc())
        .limit(1)
        .correlate(CalendlyConnection)
        .scalar_subquery()
    )
    check, row = SubscriptionCheck, CalendlyConnection
    is_connected = row.state == ConnectionState.CONNECTED
    # A connection that was just made is checked within the hour.
    is_unchecked = sa.and_(check.id.is_(None), row.changed_at < now - OVERDUE)
    is_unwatched = sa.or_(is_unchecked, check.at < now - OVERDUE, check.found != Found.ACTIVE)
    query = (
        sa.select(
            Builder.display_name,
            Builder.slug,
            row.state,
            row.reason,
            row.changed_at,
            row.expires_at,
            row.retry_at,
            check.found,
            check.at,
            check.failure,
        )
        .join(Builder, Builder.id == row.builder_id)
        .outerjoin(check, check.id == newest)
        .where(
            sa.or_(
                row.state == ConnectionState.DEAD,
                sa.and_(
                    is_connected, sa.or_(row.retry_at.is_not(None), row.reason.is_not(None), is_unwatched)
                ),
            )
        )
        .order_by(row.changed_at.desc())
        .limit(MOST_CONNECTIONS)
    )
    return [Trouble._make(found) for found in session.execute(query)]
