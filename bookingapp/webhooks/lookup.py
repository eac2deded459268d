"""Finds bookings by anything that a person has in hand: an identifier, a reference, a name, an e-mail address, or an
id of Calendly or Stripe, among them the id of a delivered event.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.bookings.search import WORDS, between, split_words
from bookingapp.bookings.service import read_number
from bookingapp.text import printable
from bookingapp.webhooks.models import InboxEvent, Provider

# A shorter word is a whole one: half of all bookings begin with some letter.
SHORTEST_BEGINNING = 2
# A word that more bookings have is looked for among the newest first.
FREQUENT, NEWEST = 500, 4000


def find_bookings(session: Session, anything: str, *, before: int | None = None, limit: int) -> list[int]:
    """The ids of at most ``limit`` bookings that ``anything`` names, the newest first, all smaller than ``before``.

    Every word of it has to be found: names, addresses and ids by their beginnings, whatever their case and accents.
    """
    typed = printable(anything).strip()
    ways: list[sa.Select[Any]] = [
        sa.select(Booking.id.label("id")).where(Booking.ref == typed),
        # Calendly's events have no ids.
        sa.select(InboxEvent.booking_id.label("id")).where(
            InboxEvent.provider == Provider.STRIPE, InboxEvent.event_key == typed
        ),
    ]
    number = read_number(typed)
    if number is not None:
        ways.append(sa.select(Booking.id.label("id")).where(Booking.id == number))
    # The longest is the rarest, so the others are looked up for few bookings.
    words = sorted(split_words(typed), key=len, reverse=True)

    def find(*by_words: sa.Select[Any]) -> list[int]:
        found = sa.union(*ways, *by_words).subquery()
        query = sa.select(found.c.id).where(found.c.id.is_not(None))
        if before is not None:
            query = query.where(found.c.id < before)
        return list(session.scalars(query.order_by(found.c.id.desc()).limit(limit)))

    if not words:
        return find()
    if _is_frequent(session, words[0]):
        newest = find(_among_newest(words, before, limit))
        if len(newest) == limit:
            return newest
    return find(_among_all(words))


def _is_frequent(session: Session, word: str) -> bool:
    some = sa.select(WORDS.c.booking_id).where(_begins(WORDS, word)).limit(FREQUENT + 1).subquery()
    return (session.scalar(sa.select(sa.func.count()).select_from(some)) or 0) > FREQUENT


def _among_newest(words: list[str], before: int | None, limit: int) -> sa.Select[Any]:
    query = sa.select(Booking.id).order_by(Booking.id.desc()).limit(NEWEST)
    newest = (query if before is None else query.where(Booking.id < before)).subquery()
    # PostgreSQL would find every booking that has the word to answer an EXISTS.
    has_words = (
        sa.select(sa.literal(1))
        .where(WORDS.c.booking_id == newest.c.id, _begins(WORDS, word))
        .limit(1)
        .scalar_subquery()
        .is_not(None)
        for word in words
    )
    found = sa.select(newest.c.id).where(*has_words).order_by(newest.c.id.desc()).limit(limit)
    return sa.select(found.subquery().c.id.label("id"))


def _among_all(words: list[str]) -> sa.Select[Any]:
    by_words = sa.select(WORDS.c.booking_id.label("id")).where(_begins(WORDS, words[0]))
    for number, word in enumerate(words[1:]):
        other = WORDS.alias(f"word_{number}")
        same = sa.select(other.c.booking_id).where(
            other.c.booking_id == WORDS.c.booking_id, _begins(other, word)
        )
        by_words = by_words.where(same.exists())
    return by_words


def _begins(words: sa.FromClause, word: str) -> sa.ColumnElement[bool]:
    if len(word) < SHORTEST_BEGINNING:
        return words.c.word == word
    low, high = between(word)
    return sa.and_(words.c.word >= low, words.c.word < high)
