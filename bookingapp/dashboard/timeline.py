"""Everything that happened to one booking, and what is still to come, as one list in the order of time: changes, money,
mails, deliveries, our own work, notes. No provider's body and no client's address of the booking is in it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from bookingapp.bookings.erased import shown_name
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.models import Booking, HistoryEntry, Move, Note
from bookingapp.core.queue import Job
from bookingapp.dashboard.words import timeline as words
from bookingapp.notifications.service import is_still_true
from bookingapp.payments.models import LedgerEntry
from bookingapp.webhooks.models import InboxEvent

PER_PAGE = 40
LAST_PAGE = 50


class Kind(enum.StrEnum):
    """What a line is about; a filter of the list."""

    CHANGES = "changes"
    MONEY = "money"
    MAILS = "mails"
    DELIVERIES = "deliveries"
    WORK = "work"
    NOTES = "notes"


@dataclass(frozen=True)
class Line:
    """One line: when (UTC), what in plain words, and details (who, why, how far). ``tone`` stands out where it is not
    ``off``; ``delivery_id`` is that of a delivery's page; ``is_ahead`` says that it is still to come.
    """

    kind: Kind
    at: datetime
    words: words.Words
    is_ahead: bool = False
    delivery_id: int | None = None


@dataclass(frozen=True)
class Timeline:
    """A page of the list, the oldest line first. Page 1 has the newest lines."""

    lines: Sequence[Line]
    kind: Kind | None
    page: int
    has_earlier: bool


# The moment, the order among those of one moment, and what makes the line, so that only lines of the page are made.
_Entry = tuple[datetime, int, int, Callable[[], Line]]


def load_timeline(
    session: Session,
    booking: Booking,
    *,
    moves: Sequence[Move],
    ledger: Sequence[LedgerEntry],
    notes: Sequence[Note],
    kind: Kind | None = None,
    page: int = 1,
    now: datetime,
) -> Timeline:
    """A page of the timeline of ``booking``, which has its builder loaded; with ``kind`` only lines of that kind.
    ``notes`` are those that the reader may see. At most three queries.
    """
    page = min(max(page, 1), LAST_PAGE)
    most = page * PER_PAGE + 1
    wanted = set(Kind) if kind is None else {kind}
    entries: list[_Entry] = []
    if Kind.CHANGES in wanted:
        entries += _changes(session, booking, moves, most)
    if Kind.MONEY in wanted:
        entries += _money(ledger)
    if Kind.DELIVERIES in wanted:
        entries += _deliveries(session, booking, most)
    if wanted & {Kind.MAILS, Kind.WORK}:
        # Rows of one table: one query for both.
        entries += _jobs(session, booking, kind, most, now)
    if Kind.NOTES in wanted:
        entries += _notes(booking, notes)
    entries.sort(key=lambda one: one[:3], reverse=True)
    shown = entries[(page - 1) * PER_PAGE : page * PER_PAGE]
    has_earlier = len(entries) > page * PER_PAGE and page < LAST_PAGE
    return Timeline([make() for *_, make in reversed(shown)], kind, page, has_earlier)


def _changes(session: Session, booking: Booking, moves: Sequence[Move], most: int) -> Iterator[_Entry]:
    query = sa.select(HistoryEntry).where(HistoryEntry.booking_id == booking.id)
    for entry in session.scalars(query.order_by(HistoryEntry.id.desc()).limit(most)):
        yield entry.at, 3, entry.id, partial(_change, booking, entry)
    for move in moves:
        text = words.describe_move(move, booking.builder.timezone)
        yield move.at, 2, move.id, partial(Line, Kind.CHANGES, move.at, text)
    for flag in booking.flags:
        raised = words.describe_flag(flag, is_raised=True)
        yield flag.raised_at, 4, flag.id, partial(Line, Kind.CHANGES, flag.raised_at, raised)
        # Where a person resolved it, the history has a line of it.
        if flag.resolved_at is not None and flag.resolved_by is None:
            resolved = words.describe_flag(flag, is_raised=False)
            yield flag.resolved_at, 5, flag.id, partial(Line, Kind.CHANGES, flag.resolved_at, resolved)


def _change(booking: Booking, entry: HistoryEntry) -> Line:
    return Line(Kind.CHANGES, entry.at, words.describe_change(entry, shown_name(booking)))


def _money(ledger: Sequence[LedgerEntry]) -> Iterator[_Entry]:
    for entry in ledger:
        yield entry.at, 6, entry.id, partial(Line, Kind.MONEY, entry.at, words.describe_entry(entry))


def _jobs(
    session: Session, booking: Booking, kind: Kind | None, most: int, now: datetime
) -> Iterator[_Entry]:
    """Mails, other work, or both, in the order in which they ended or are due."""
    moment = sa.func.coalesce(Job.finished_at, Job.run_at)
    query = sa.select(Job).where(Job.booking_id == booking.id)
    if kind is not None:
        query = query.where(Job.name == SEND_MAIL_JOB if kind is Kind.MAILS else Job.name != SEND_MAIL_JOB)
    for job in session.scalars(query.order_by(moment.desc(), Job.id.desc()).limit(most)):
        at = job.finished_at or job.run_at
        yield at, 7, job.id, partial(_job, booking, job, at, now)


def _job(booking: Booking, job: Job, at: datetime, now: datetime) -> Line:
    is_mail = job.name == SEND_MAIL_JOB
    zone = booking.builder.timezone
    if is_mail:
        is_true = not job.state.is_open or is_still_true(booking, job.args, now=max(at, now))
        text = words.describe_mail(job, zone, is_true=is_true)
    else:
        text = words.describe_work(job, zone)
    return Line(Kind.MAILS if is_mail else Kind.WORK, at, text, is_ahead=job.state.is_open and at > now)


def _deliveries(session: Session, booking: Booking, most: int) -> Iterator[_Entry]:
    query = sa.select(InboxEvent).where(InboxEvent.booking_id == booking.id)
    query = query.options(defer(InboxEvent.body, raiseload=True), defer(InboxEvent.headers, raiseload=True))
    newest = query.order_by(InboxEvent.received_at.desc(), InboxEvent.id.desc()).limit(most)
    for event in session.scalars(newest):
        yield event.received_at, 1, event.id, partial(_delivery, booking, event)


def _delivery(booking: Booking, event: InboxEvent) -> Line:
    text = words.describe_delivery(event, booking.builder.timezone)
    return Line(Kind.DELIVERIES, event.received_at, text, delivery_id=event.id)


def _notes(booking: Booking, notes: Sequence[Note]) -> Iterator[_Entry]:
    for note in notes:
        text = words.describe_note(note, booking.builder.timezone)
        yield note.created_at, 8, note.id, partial(Line, Kind.NOTES, note.created_at, text)
