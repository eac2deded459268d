"""Finds bookings by what a person types: the beginning of a name, an e-mail address, or an id.

Each booking has its words in a table, the same on both databases. The only writer of that table is here: it follows
every flush of a booking. A booking's ``ref`` is no word, because it opens the client's pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import get_history

from bookingapp.bookings.models import LONGEST_WORD, Booking, BookingWord
from bookingapp.core.db import insert_into, table_of
from bookingapp.text import fold

MOST_WORDS = 6
_PERSON = ("client_name", "client_email", "invitee_email")
_IDS = ("tracking_id", "event_uri", "invitee_uri")
_EDGES = "\"'()[]<>,;:.!?"
_REF = re.compile(r"[0-9a-f]{32}")
_AFTER_ALL = "\U0010ffff"

WORDS = table_of(BookingWord)


def split_words(typed: str) -> list[str]:
    """The words that a person typed, folded: at most six."""
    words = (word.rpartition("/")[2].strip(_EDGES) for word in fold(typed.rstrip("/ ")).split())
    return list(dict.fromkeys(word[:LONGEST_WORD] for word in words if word))[:MOST_WORDS]


def between(word: str) -> tuple[str, str]:
    """The range of words that begin with this one: from the first, up to and without the second."""
    return word, word + _AFTER_ALL


def find_tracking_id(session: Session, ref: str) -> str | None:
    """The tracking id of the booking with that reference, or None. Pages go on with it, and show no ``ref``."""
    if _REF.fullmatch(ref) is None:
        return None
    return session.scalar(sa.select(Booking.tracking_id).where(Booking.ref == ref))


def person_words(name: str | None, *emails: str | None) -> set[str]:
    """The words of a client: those of the name, of each part of a double name, addresses and their domains."""
    words: set[str] = set()
    for word in fold(name or "").split():
        whole = word.strip(_EDGES)
        words.update((whole, *re.split(r"[-'\N{RIGHT SINGLE QUOTATION MARK}]", whole)))
    for email in emails:
        address = fold(email or "")
        words.update((address, address.rpartition("@")[2]))
    return {word[:LONGEST_WORD] for word in words if word}


def id_words(*ids: str | None) -> set[str]:
    """The words of ids: of a Calendly URI its last part."""
    return {fold(one.rpartition("/")[2])[:LONGEST_WORD] for one in ids if one}


def add_words(session: Session, booking_id: int, words: Iterable[str]) -> None:
    """Make a booking of this transaction findable by more words."""
    of = sa.select(Booking.id, Booking.builder_id, sa.bindparam("word", type_=WORDS.c.word.type))
    statement = insert_into(session, WORDS).from_select(
        ["booking_id", "builder_id", "word"], of.where(Booking.id == sa.bindparam("id"))
    )
    rows = [{"id": booking_id, "word": word} for word in sorted(words)]
    if rows:
        session.connection().execute(statement.on_conflict_do_nothing(), rows)


@sa.event.listens_for(Session, "after_flush")
def _follow(session: Session, _context: object) -> None:
    for row in session.new:
        if isinstance(row, Booking):
            words = person_words(row.client_name, row.client_email, row.invitee_email)
            add_words(session, row.id, words | id_words(row.tracking_id, row.event_uri, row.invitee_uri))
    for row in session.dirty:
        if isinstance(row, Booking):
            _follow_change(session, row)


def _follow_change(session: Session, booking: Booking) -> None:
    now = [getattr(booking, name) for name in _PERSON]
    before = [_before(booking, name) for name in _PERSON]
    # Ids of earlier times stay words: a client or Calendly may still name them.
    added = id_words(*(getattr(booking, name) for name in _IDS if get_history(booking, name).has_changes()))
    if now != before:
        old, new = person_words(*before), person_words(*now)
        added |= new - old
        gone = WORDS.c.booking_id == booking.id, WORDS.c.word.in_(old - new)
        session.connection().execute(sa.delete(WORDS).where(*gone))
    add_words(session, booking.id, added)


def _before(booking: Booking, name: str) -> Any:
    deleted = get_history(booking, name).deleted
    return deleted[0] if deleted else getattr(booking, name)
