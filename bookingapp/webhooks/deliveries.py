"""Lists deliveries and what each has done, for the command line and the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from bookingapp.bookings.lookup import is_of_builder
from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.core.errors import NotFound
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import DEAD, OPEN, Job, WorkState
from bookingapp.payments.models import LedgerEntry
from bookingapp.webhooks.models import InboxEvent, Provider

# A builder with more bookings has so many deliveries that reading them in order soon finds a page.
FEW_BOOKINGS = 1000


@dataclass(frozen=True)
class Search:
    """Which deliveries to list; None means any. With ``builder_id``, only those about that builder's bookings; with
    ``is_open``, only those that have not ended, the next due first; with ``after``, only those behind that place in the
    list: when it is due, and its id.
    """

    state: WorkState | None = None
    provider: Provider | None = None
    type: str | None = None
    booking_id: int | None = None
    builder_id: int | None = None
    since: datetime | None = None
    is_open: bool = False
    after: tuple[datetime, int] | None = None


def list_deliveries(session: Session, search: Search, *, limit: int, offset: int = 0) -> Sequence[InboxEvent]:
    """The deliveries that match, without their bodies, the newest first where nothing else is said."""
    order = (InboxEvent.run_at, InboxEvent.id) if search.is_open else (InboxEvent.id.desc(),)
    query = _conditions(search).order_by(*order).limit(limit).offset(offset)
    if search.builder_id is not None:
        query = query.where(_is_about(session, search.builder_id))
    return session.scalars(query.options(defer(InboxEvent.body, raiseload=True))).all()


def _is_about(session: Session, builder_id: int) -> sa.ColumnElement[bool]:
    """About a booking of that builder. Those of few bookings may all be old, so they are found by these."""
    mine = sa.select(Booking.id).where(is_of_builder(builder_id))
    some = mine.limit(FEW_BOOKINGS + 1).subquery()
    if (session.scalar(sa.select(sa.func.count()).select_from(some)) or 0) > FEW_BOOKINGS:
        return mine.where(Booking.id == InboxEvent.booking_id).exists()
    if session.get_bind().dialect.name == "sqlite":
        return InboxEvent.booking_id.in_(mine)
    # An array is read first, however many rows PostgreSQL expects.
    return InboxEvent.booking_id == sa.any_(sa.func.array(mine.scalar_subquery()))


def get_delivery(session: Session, event_id: int, *, builder_id: int | None = None) -> InboxEvent:
    """One delivery; with ``builder_id``, only if it is about a booking of theirs. Raises :class:`NotFound`."""
    query = sa.select(InboxEvent).where(InboxEvent.id == event_id)
    if builder_id is not None:
        query = query.join(Booking, Booking.id == InboxEvent.booking_id).where(
            Booking.builder_id == builder_id
        )
    event = session.scalar(query)
    if event is None:
        raise NotFound(gettext("There is no delivery %(number)s.", number=event_id))
    return event


def _conditions(search: Search) -> sa.Select[InboxEvent]:
    query = sa.select(InboxEvent)
    if search.since is not None:
        query = query.where(InboxEvent.received_at >= search.since)
    if search.is_open:
        query = query.where(sa.text(OPEN))
    if search.after is not None:
        place = sa.tuple_(InboxEvent.run_at, InboxEvent.id) > sa.tuple_(*search.after)
        query = query.where(place if search.is_open else InboxEvent.id < search.after[1])
    if search.state is WorkState.DEAD:
        query = query.where(sa.text(DEAD))
    for column, wanted in (
        (InboxEvent.state, search.state),
        (InboxEvent.provider, search.provider),
        (InboxEvent.type, search.type),
        (InboxEvent.booking_id, search.booking_id),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    return query


@dataclass(frozen=True)
class Effects:
    """What a delivery did: the booking that it is about, and the rows that were written in its transaction."""

    booking: Booking | None
    history: Sequence[HistoryEntry]
    ledger: Sequence[LedgerEntry]
    jobs: Sequence[Job]


def list_effects(session: Session, event: InboxEvent) -> Effects:
    """List what a delivery did. History rows name their delivery. Ledger rows and jobs do not, but carry the moment of
    its transaction, to the microsecond, like its history and its end.
    """
    of_it = sa.select(HistoryEntry).where(HistoryEntry.inbox_id == event.id).order_by(HistoryEntry.id)
    history = session.scalars(of_it).all()
    moments = {entry.at for entry in history} | ({event.finished_at} if event.finished_at else set())
    money = sa.select(LedgerEntry).where(
        LedgerEntry.booking_id == event.booking_id, LedgerEntry.at.in_(moments)
    )
    jobs = sa.select(Job).where(Job.created_at.in_(moments)).order_by(Job.id)
    return Effects(
        booking=session.get(Booking, event.booking_id) if event.booking_id else None,
        history=history,
        ledger=session.scalars(money.order_by(LedgerEntry.id)).all() if event.booking_id else (),
        jobs=session.scalars(jobs).all() if moments else (),
    )
