"""Notes of builders and operators about a booking. Clients, providers and exported files never get them.

Each function is part of its caller's transaction and commits nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Actor, Booking, Note
from bookingapp.core.errors import Conflict, Invalid, NotFound
from bookingapp.core.i18n import gettext, number
from bookingapp.text import printable

LONGEST = 2000
MOST = 100
# The same text again within this time is the same press of the button.
SAME_PRESS = timedelta(minutes=1)


def list_notes(session: Session, booking: Booking, reader: Actor) -> Sequence[Note]:
    """The notes that the reader may see, the oldest first: an operator all, the builder their own and shared ones."""
    query = sa.select(Note).where(Note.booking_id == booking.id).order_by(Note.id)
    if reader is not Actor.OPERATOR:
        query = query.where(sa.or_(Note.by == Actor.BUILDER, Note.is_shared))
    return session.scalars(query).all()


def get_own_note(session: Session, booking: Booking, note_id: int, by: Actor) -> Note:
    """A note that ``by`` may change. Raises :class:`NotFound` for another booking's, or another side's."""
    query = sa.select(Note).where(Note.id == note_id, Note.booking_id == booking.id, Note.by == by)
    note = session.scalar(query)
    if note is None:
        raise NotFound
    return note


def add_note(
    session: Session, booking: Booking, text: str, *, by: Actor, is_shared: bool = False, now: datetime
) -> Note:
    """Add a note; the same text for the same readers within a minute is one note. ``is_shared`` lets the builder read
    an operator's.

    Raises :class:`Invalid` for a text that is empty or too long, :class:`Conflict` where there are too many.
    """
    kept = read_text(text)
    mine = sa.select(Note).where(Note.booking_id == booking.id, Note.by == by)
    newest = session.scalar(mine.order_by(Note.id.desc()).limit(1))
    is_same = newest is not None and (newest.text, newest.is_shared) == (kept, is_shared)
    if newest is not None and is_same and now - newest.created_at < SAME_PRESS:
        return newest
    count = session.scalar(sa.select(sa.func.count()).select_from(mine.subquery())) or 0
    if count >= MOST:
        raise Conflict(gettext("This booking has %(count)s notes already. Please edit one.", count=MOST))
    note = Note(booking_id=booking.id, by=by, is_shared=is_shared, text=kept, created_at=now)
    session.add(note)
    session.flush()
    return note


def edit_note(
    session: Session,
    booking: Booking,
    note_id: int,
    text: str,
    *,
    by: Actor,
    is_shared: bool = False,
    now: datetime,
) -> None:
    """Change one's own note. Raises :class:`NotFound` and :class:`Invalid`."""
    note, kept = get_own_note(session, booking, note_id, by), read_text(text)
    if (note.text, note.is_shared) != (kept, is_shared):
        note.text, note.is_shared, note.edited_at = kept, is_shared, now


def delete_note(session: Session, booking: Booking, note_id: int, *, by: Actor) -> None:
    """Delete one's own note. Raises :class:`NotFound`."""
    session.delete(get_own_note(session, booking, note_id, by))


def read_text(text: str) -> str:
    """The text as it is kept: lines without control characters. Raises :class:`Invalid` for none, or too much."""
    kept = "\n".join(printable(line) for line in text.splitlines()).strip()
    if not kept:
        raise Invalid(gettext("Please write something."))
    if len(kept) > LONGEST:
        raise Invalid(gettext("A note has at most %(most)s characters.", most=number(LONGEST)))
    return kept
