"""The conditions that search bookings by their words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from bookingapp.bookings.models import BookingWord
from bookingapp.core.db import table_of
from bookingapp.dashboard.list_shape import Shape, Sort, behind, directed, has_row, in_range

# In so many weeks a page of frequent words is looked for. What is ahead is little, so all of it is.
WEEKS, WEEKS_AHEAD = 8, 60
# Of one word that very many have, so many pages of the nearest are read.
PAGES = 4
# One that still more bookings of a week have is found by reading in order.
DENSE = 300

_WORDS = table_of(BookingWord)
_W = _WORDS.c


def ids_with_words(shape: Shape) -> sa.Select[Any]:
    """The ids of the bookings that have all words, found by one of them, or by each where all are frequent."""
    if shape.in_weeks:
        nearest = _in_weeks(shape)
        if shape.is_cut:
            order = [directed(one, descends=shape.descends) for one in (_W.starts_at, _W.booking_id)]
            nearest = nearest.order_by(*order).limit(sa.literal_column(str(PAGES * shape.size)))
        return sa.select(nearest.subquery().c.booking_id)
    if shape.driver is None:
        each = (sa.select(_W.booking_id).where(*begin_with(_W, one)) for one in range(shape.words))
        return sa.select(sa.intersect(*each).subquery().c.booking_id)
    word = _WORDS.alias().c
    others = [number for number in range(shape.words) if number != shape.driver]
    return sa.select(word.booking_id).where(
        *begin_with(word, shape.driver), *(has_word(word.booking_id, number) for number in others)
    )


def count_word(number: int, most: int) -> sa.ScalarSelect[int]:
    """How many bookings have a word, up to one too many."""
    return count(sa.select(_W.booking_id).where(*begin_with(_W, number)), most)


def counts_in_weeks(shape: Shape) -> Iterator[sa.ColumnElement[int]]:
    """How many bookings of the nearest weeks, and of the nearest, have one word, up to one too many. Several words cut
    nothing off.
    """
    if shape.words > 1:
        yield from (sa.literal_column("0", sa.Integer()),) * 2
    else:
        yield count(_in_weeks(shape), PAGES * shape.size)
        yield count(_in_weeks(shape, 1), DENSE)


def weeks_with_bookings() -> Iterator[sa.ColumnElement[int]]:
    """The first and the last week in which the builder has a session."""
    for edge in (sa.func.min, sa.func.max):
        yield sa.select(edge(_W.week)).where(*_of_builder_in_weeks()).scalar_subquery()


def number_of_weeks(shape: Shape) -> int:
    """How many weeks are the nearest."""
    return WEEKS_AHEAD if shape.sort is Sort.NEXT and not shape.descends else WEEKS


def _in_weeks(shape: Shape, number_of: int | None = None) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """The bookings that have all words: of one with their starts, to cut them off by."""
    first, last = weeks_with_bookings()
    near: sa.ColumnElement[int] = last if shape.descends else first
    if shape.has_first_week:
        near = sa.bindparam("week", type_=sa.Integer())
    sign = "-" if shape.descends else "+"
    numbers = range(number_of or number_of_weeks(shape))
    weeks = [near.op(sign)(sa.literal_column(str(number))) for number in numbers]
    key = _W.starts_at, _W.booking_id
    conditions = [_W.week.in_(weeks), *in_range(shape, _W.starts_at, leads=True)]
    if shape.cursor is not None:
        conditions.append(behind(shape, key))
    each = [
        sa.select(*(key if shape.words == 1 else key[1:]))
        .where(*begin_with(_W, number), *conditions)
        .with_hint(_WORDS, "INDEXED BY ix_booking_words_week", "sqlite")
        for number in range(shape.words)
    ]
    return sa.intersect(*each) if len(each) > 1 else each[0].distinct()


def _of_builder_in_weeks() -> Iterator[sa.ColumnElement[bool]]:
    yield _W.builder_id == sa.bindparam("builder")
    yield _W.week >= sa.literal_column("0")


def count(found: Any, most: int) -> sa.ScalarSelect[int]:
    """How many rows are found, up to one too many."""
    cut = found.limit(sa.literal_column(str(most + 1))).subquery()
    return sa.select(sa.func.count()).select_from(cut).scalar_subquery()


def has_word(booking_id: sa.ColumnElement[int], number: int) -> sa.ColumnElement[bool]:
    """Whether that booking has a word."""
    return has_row(_W.booking_id == booking_id, *_begins(_W, number))


def begin_with(word: Any, number: int) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions for the bookings of the builder that have a word."""
    yield word.builder_id == sa.bindparam("builder")
    yield from _begins(word, number)


def _begins(word: Any, number: int) -> Iterator[sa.ColumnElement[bool]]:
    yield word.word >= sa.bindparam(f"from{number}")
    yield word.word < sa.bindparam(f"to{number}")
