"""What a builder's pages show. Every query starts from the builder, so another's things are simply not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import AttentionFlag, Booking, HistoryEntry, Source
from bookingapp.bookings.states import Event, Status
from bookingapp.builders.models import Builder
from bookingapp.checkout.words import STATUS_LABELS, payment_label
from bookingapp.core.clock import zone
from bookingapp.core.errors import NotFound
from bookingapp.core.queue import WorkState
from bookingapp.dashboard import booking_words as words
from bookingapp.payments import service as payments
from bookingapp.payments.models import LedgerEntry, PaymentStatus
from bookingapp.session_types.models import SessionType
from bookingapp.webhooks.models import InboxEvent

PER_PAGE = 25
RECENT = 50

ACTORS = {
    "client": "the client",
    "builder": "the builder",
    "operator": "the operator",
    "calendly": "Calendly",
    "stripe": "Stripe",
    "system": "this site",
}


STAYING = {
    Event.SLOT_TAKEN: "Time known",
    Event.SLOT_MOVED: "Moved to another time",
    Event.MOVE_BEGUN: "Being moved",
    Event.NO_SHOW: "Did not come",
    Event.NO_SHOW_UNDONE: "Came after all",
    None: "Seen to",
}
"""What is said of a change that leaves the status as it is."""
SOURCES = {
    Source.WEBHOOK: "Calendly told us of this time last on",
    Source.FETCHED: "We asked Calendly for this time last on",
}


@dataclass(frozen=True)
class BookingRow:
    """One booking in a list. Times are aware UTC, money is in minor units."""

    ref: str
    title: str
    client_name: str
    client_email: str
    status: Status
    status_label: str
    payment_status: PaymentStatus
    payment_label: str
    starts_at: datetime | None
    ends_at: datetime | None
    price_minor: int
    currency: str
    attention: list[str]
    created_at: datetime


@dataclass(frozen=True)
class Overview:
    """The first page: what comes, what needs a look, and how the month is."""

    upcoming: list[BookingRow]
    needs_attention: list[BookingRow]
    counts: dict[str, object]


@dataclass(frozen=True)
class HistoryLine:
    """One line of a booking's history, in words."""

    at: datetime
    from_label: str | None
    to_label: str
    event: str
    actor: str
    cause: str


@dataclass(frozen=True)
class VanishedType:
    """A priced session type that Calendly does not list any more. ``title`` is how it was last booked."""

    id: str
    title: str
    price_minor: int
    currency: str
    ahead: int


def describe_vanished(session: Session, rows: Sequence[SessionType], *, now: datetime) -> list[VanishedType]:
    """What is known of them from their bookings, and how many of those are still ahead."""
    ids = [row.id for row in rows]
    if not ids:
        return []
    mine = sa.select(Booking.session_type_id).where(Booking.session_type_id.in_(ids))
    newest = mine.with_only_columns(sa.func.max(Booking.id)).group_by(Booking.session_type_id)
    named = sa.select(Booking.session_type_id, Booking.title).where(Booking.id.in_(newest))
    titles: dict[int, str] = {row.session_type_id: row.title for row in session.execute(named)}
    held = (Status.SCHEDULED, Status.PAID, Status.CONFIRMED)
    ahead = mine.where(Booking.status.in_(held), Booking.ends_at > now)
    counted = ahead.with_only_columns(Booking.session_type_id, sa.func.count()).group_by(
        Booking.session_type_id
    )
    numbers = {type_id: int(number) for type_id, number in session.execute(counted)}
    return [
        VanishedType(
            id=row.event_type_uri.rpartition("/")[2],
            title=titles.get(row.id, "A session type that nobody booked"),
            price_minor=row.price_minor,
            currency=row.currency,
            ahead=numbers.get(row.id, 0),
        )
        for row in rows
    ]


def load_overview(session: Session, builder: Builder, *, now: datetime) -> Overview:
    """What the builder should see first."""
    mine = sa.select(Booking).where(Booking.builder_id == builder.id)
    held = (Status.SCHEDULED, Status.PAID, Status.CONFIRMED)
    coming = mine.where(Booking.status.in_(held), Booking.ends_at > now).order_by(Booking.starts_at)
    upcoming = booking_rows(session, session.scalars(coming.limit(RECENT)).all())
    flagged = mine.where(Booking.flags.any(AttentionFlag.resolved_at.is_(None))).order_by(
        Booking.updated_at.desc()
    )
    count = sa.select(sa.func.count()).select_from(Booking).where(Booking.builder_id == builder.id)
    return Overview(
        upcoming=upcoming,
        needs_attention=booking_rows(session, session.scalars(flagged.limit(RECENT)).all()),
        counts={
            "upcoming": session.scalar(
                count.where(Booking.status == Status.CONFIRMED, Booking.ends_at > now)
            ),
            "unpaid": session.scalar(count.where(Booking.status == Status.SCHEDULED)),
            "this_month_minor": _month(session, builder, now),
        },
    )


def list_bookings(
    session: Session, builder: Builder, *, status: str, page: int
) -> tuple[list[BookingRow], int]:
    """One page of the builder's bookings, newest first, and how many pages there are."""
    query = sa.select(Booking).where(Booking.builder_id == builder.id)
    if status in set(Status):
        query = query.where(Booking.status == Status(status))
    total = session.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0
    found = session.scalars(
        query.order_by(Booking.created_at.desc(), Booking.id.desc())
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    )
    return booking_rows(session, found.all()), max(1, -(-total // PER_PAGE))


def get_booking(session: Session, builder: Builder, ref: str) -> Booking:
    """One of the builder's own bookings. Raises :class:`NotFound`, also for another builder's."""
    found = session.scalar(sa.select(Booking).where(Booking.ref == ref, Booking.builder_id == builder.id))
    if found is None:
        raise NotFound
    return found


def slot_source(booking: Booking) -> tuple[str, datetime] | None:
    """Who said last what we know of the booking's time, in words, and when."""
    if booking.slot_source is None or booking.slot_checked_at is None:
        return None
    return SOURCES[booking.slot_source], booking.slot_checked_at


def list_history(session: Session, booking: Booking) -> list[HistoryLine]:
    """What happened to a booking, oldest first."""
    query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == booking.id).order_by(HistoryEntry.id)
    return [
        HistoryLine(
            at=entry.at,
            from_label=STATUS_LABELS[entry.from_status] if entry.from_status and not _stayed(entry) else None,
            to_label=STAYING.get(entry.event, "Changed")
            if _stayed(entry)
            else STATUS_LABELS[entry.to_status],
            event=entry.event.value.replace("_", " ")
            if entry.event
            else "seen"
            if _stayed(entry)
            else "created",
            actor=ACTORS[entry.actor.value],
            cause=words.cause_words(entry.cause, entry.cause_facts),
        )
        for entry in session.scalars(query)
    ]


def _stayed(entry: HistoryEntry) -> bool:
    return entry.from_status is entry.to_status


def waiting_deliveries(session: Session) -> tuple[int, int]:
    """How many deliveries wait to be applied, and how many were given up."""
    query = sa.select(InboxEvent.state, sa.func.count()).group_by(InboxEvent.state)
    counts = {state: int(number) for state, number in session.execute(query)}
    waiting = sum(number for state, number in counts.items() if state.is_open)
    return waiting, counts.get(WorkState.DEAD, 0)


def booking_rows(session: Session, found: Sequence[Booking]) -> list[BookingRow]:
    """Bookings as rows, with their payment states in two queries however many they are."""
    states = payments.payment_statuses(session, [booking.id for booking in found]) if found else {}
    return [_row(booking, states.get(booking.id, PaymentStatus.NONE)) for booking in found]


def _row(booking: Booking, payment_status: PaymentStatus) -> BookingRow:
    return BookingRow(
        ref=booking.ref,
        title=booking.title,
        client_name=booking.client_name,
        client_email=booking.client_email,
        status=booking.status,
        status_label=str(STATUS_LABELS[booking.status]),
        payment_status=payment_status,
        payment_label=payment_label(payment_status, is_free=booking.is_free),
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        price_minor=booking.price_minor,
        currency=booking.currency,
        attention=[words.flag_sentence(flag.code, flag.facts) for flag in booking.open_flags],
        created_at=booking.created_at,
    )


def _month(session: Session, builder: Builder, now: datetime) -> list[tuple[str, int]]:
    """What came in less what went back since the month began in the builder's zone, for each currency."""
    local = now.astimezone(zone(builder.timezone))
    began = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    query = (
        sa.select(LedgerEntry.currency, sa.func.sum(LedgerEntry.amount_minor))
        .join(Booking, Booking.id == LedgerEntry.booking_id)
        .where(Booking.builder_id == builder.id, LedgerEntry.at >= began)
        .group_by(LedgerEntry.currency)
        .order_by(LedgerEntry.currency)
    )
    return [(currency, int(minor)) for currency, minor in session.execute(query)]
