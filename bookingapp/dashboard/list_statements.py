"""The statements that read lists of bookings, each built once: which index they read, and from which place.

What a list is, is in :mod:`bookingapp.dashboard.listing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from bookingapp.bookings.codes import PaymentStatus
from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.bookings.states import Status
from bookingapp.core.db import table_of
from bookingapp.dashboard.list_shape import (
    BY_CREATION,
    ORDERS,
    Columns,
    Shape,
    Sort,
    behind,
    directed,
    has_row,
    in_range,
    parameters,
)
from bookingapp.dashboard.list_words import (
    count,
    count_word,
    counts_in_weeks,
    has_word,
    ids_with_words,
    weeks_with_bookings,
)
from bookingapp.payments.models import Payment, PaymentState

# Up to so many bookings of a range, or with a word, are read as a whole and sorted; more are so frequent that reading
# in order soon finds a page.
FEW, FEW_FOUND = 600, 1000
# So many with a word are read at once, whatever the order.
RARE = 150
# So many bookings are read in order for a frequent word, whose bookings may all be far.
WINDOW = 4000

_BOOKINGS = table_of(Booking)
_B = _BOOKINGS.c
_F = table_of(AttentionFlag).c
_P = table_of(Payment).c

_OVER = (Status.CANCELED, Status.EXPIRED)


_RELEASED = has_row(_P.booking_id == _B.id, _P.state == PaymentState.EXPIRED, _P.authorized_at.is_not(None))
_LISTED: Final = (
    _B.id,
    _B.tracking_id,
    _B.title,
    _B.client_name,
    _B.client_email,
    _B.name_key,
    _B.starts_at,
    _B.ends_at,
    _B.created_at,
    _B.price_minor,
    _B.currency,
    _B.status,
    _B.payment_status,
    sa.and_(_B.payment_status == PaymentStatus.EXPIRED, _RELEASED).label("was_released"),
    sa.and_(_B.paid_in_calendly, _B.paid_at.is_(None)).label("in_calendly"),
    has_row(_F.booking_id == _B.id, _F.resolved_at.is_(None)).label("is_flagged"),
    _B.pathway,
)


@lru_cache(500)
def page_statement(shape: Shape) -> sa.Select[Any]:
    """Reads a page; the values that its parameters have are named in :mod:`bookingapp.dashboard.listing`."""
    keys, descends = ORDERS[shape.sort][0], shape.descends
    if shape.few:
        order = [directed(shape.plain(key), descends=descends) for key in keys]
        return shape.select(*_LISTED).where(*_few(shape)).order_by(*order).limit(shape.limit)
    order = [directed(key, descends=descends) for key in keys]
    wheres = [(*_in_order(shape), *half, *place) for half in _halves(shape) for place in _places(shape, keys)]
    if len(wheres) == 1:
        return shape.select(*_LISTED).where(*wheres[0]).order_by(*order).limit(shape.limit)
    # Each of the places in the index has a beginning of the page.
    parts = [
        shape.select(*keys).where(*where).order_by(*order).limit(shape.limit).subquery() for where in wheres
    ]
    every = sa.union_all(*(sa.select(part) for part in parts)).subquery()
    first = [directed(every.c[key.name], descends=descends) for key in keys]
    picked = sa.select(every.c.id).order_by(*first).limit(shape.limit).subquery()
    return sa.select(*_LISTED).join(picked, picked.c.id == _B.id).order_by(*order)


@lru_cache(500)
def count_statement(shape: Shape) -> sa.Select[Any]:
    """How many rows of a range ``few`` would read, up to one too many."""
    found = sa.select(_B.id).where(*_of_builder(shape), *in_range(shape, _B.starts_at))
    return sa.select(count(found, FEW))


@lru_cache(500)
def words_statement(shape: Shape) -> sa.Select[Any]:
    """How many bookings each word has, up to one too many, and what is asked next where each has many: how many have
    them in the nearest weeks and in the nearest, and the first and last week of all; or the columns of the order at the
    edge of the window, None where it has none.
    """
    columns: list[sa.ColumnElement[Any]] = [count_word(number, FEW_FOUND) for number in range(shape.words)]
    if shape.has_weeks:
        columns += [*counts_in_weeks(shape), *weeks_with_bookings()]
    elif shape.has_window:
        columns += _edge(shape)
    return sa.select(*columns)


def _edge(shape: Shape) -> Iterator[sa.ColumnElement[Any]]:
    whole = replace(shape, words=0, has_status=False, has_payment=False)
    keys, descends = ORDERS[shape.sort][0], shape.descends
    order = [directed(key, descends=descends) for key in keys]
    (place,) = _places(whole, keys)
    for key in keys:
        found = whole.select(key).where(*_in_order(whole), *place).order_by(*order)
        yield found.limit(sa.literal_column("1")).offset(sa.literal_column(str(WINDOW))).scalar_subquery()


def _of_builder(shape: Shape) -> Iterator[sa.ColumnElement[bool]]:
    yield _B.starts_at.is_not(None) if shape.has_time else _B.starts_at.is_(None)
    yield _B.builder_id == sa.bindparam("builder")


def _in_order(shape: Shape) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions for reading the order's index."""
    keys, _ = ORDERS[shape.sort]
    yield from _of_builder(shape)
    if shape.has_type:
        yield _B.session_type_id == sa.bindparam("type")
    leads = shape.is_by_time
    yield from in_range(shape, keys[0] if leads else shape.plain(_B.starts_at), leads=leads)
    yield from _time(shape)
    for number in range(shape.words):
        yield has_word(_B.id, number)
    if shape.is_cut:
        row, edge = sa.tuple_(*keys), sa.tuple_(*parameters("edge", keys))
        yield row >= edge if shape.descends else row <= edge


def _few(shape: Shape) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions for reading all matches of the words, or of the range."""
    if shape.words:
        yield _is_among(shape, ids_with_words(shape))
        at = shape.plain(_B.created_at if shape.sort in BY_CREATION else _B.starts_at)
        yield from in_range(shape, at)
        yield (
            shape.plain(_B.starts_at).is_not(None) if shape.has_time else shape.plain(_B.starts_at).is_(None)
        )
    else:
        yield from _of_builder(shape)
        yield from in_range(shape, _B.starts_at)
    for is_given, column, name in (
        (bool(shape.words), _B.builder_id, "builder"),
        (shape.has_type, _B.session_type_id, "type"),
        (shape.has_status, _B.status, "status"),
        (shape.has_payment, _B.payment_status, "payment"),
    ):
        if is_given:
            yield shape.plain(column) == sa.bindparam(name)
    yield from _time(shape)
    keys = [shape.plain(key) for key in ORDERS[shape.sort][0]]
    if shape.cursor is not None:
        yield behind(shape, keys)


def _halves(shape: Shape) -> list[list[sa.ColumnElement[bool]]]:
    """Conditions on status and payment status, which share an index: one for each value of one that is not given."""
    status = _B.status == sa.bindparam("status")
    payment = _B.payment_status == sa.bindparam("payment")
    if shape.has_status and shape.has_payment:
        return [[status, payment]]
    if not shape.has_status and not shape.has_payment:
        return [[]]
    if not shape.has_time:
        return [[status if shape.has_status else payment]]
    if shape.has_status:
        return [[status, _B.payment_status == one] for one in PaymentStatus]
    return [[_B.status == one, payment] for one in Status]


def _time(shape: Shape) -> Iterator[sa.ColumnElement[bool]]:
    """What is ahead or past now, more exactly than by its start."""
    end = sa.func.coalesce(_B.ends_at, _B.starts_at)
    if shape.sort is Sort.NEXT:
        yield end > sa.bindparam("now")
        if not shape.has_status:
            yield shape.plain(_B.status).not_in(_OVER)
    elif shape.sort is Sort.PAST:
        yield end <= sa.bindparam("now")


def _places(shape: Shape, keys: Columns) -> list[list[sa.ColumnElement[bool]]]:
    """Conditions for what lies behind the page's place; several are read separately."""
    if shape.cursor is None:
        return [[]]
    if shape.dialect != "sqlite" or shape.is_by_time:
        return [[behind(shape, keys)]]
    # SQLite finds no place by an id, and many have the same amount or name.
    same = [key == sa.bindparam(f"place{number}", type_=key.type) for number, key in enumerate(keys[:-1])]
    place = sa.bindparam(f"place{len(same)}", type_=keys[-1].type)
    is_behind = keys[-1] < place if shape.descends else keys[-1] > place
    return [[*same, is_behind], [behind(shape, keys[:-1])]]


def _is_among(shape: Shape, ids: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """PostgreSQL gets the ids as an array, so that it reads them first whatever it expects."""
    if shape.dialect == "sqlite":
        return _B.id.in_(ids)
    return _B.id == sa.any_(sa.func.array(ids.scalar_subquery()))
