"""Finds one page of a list of bookings, whatever its filters and its order, at the cost of one page.

An address describes a list (:mod:`bookingapp.dashboard.list_address`); what its rows say is in
:mod:`bookingapp.dashboard.listed`. A page is read from its place in an index (``bookings`` has one for each order and
set of filters), so neither other pages nor other bookings cost anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from bookingapp.bookings.codes import PaymentStatus
from bookingapp.bookings.search import between
from bookingapp.bookings.states import Status
from bookingapp.core.db import UTCDateTime, end_read
from bookingapp.dashboard import list_statements as statements
from bookingapp.dashboard import list_words
from bookingapp.dashboard.list_shape import BY_CREATION, ORDERS, Shape, Sort
from bookingapp.dashboard.list_statements import count_statement, page_statement, words_statement
from bookingapp.session_types.models import Pathway

__all__ = ["BY_CREATION", "Sort"]

PER_PAGE = 25
# No session is longer, so one that began before has ended.
LONGEST_SESSION = timedelta(days=1)


class Found(NamedTuple):
    """What a list shows of a booking. ``was_released``: its money was authorized, and released without a charge.
    ``in_calendly``: Calendly took a payment, and we took none.
    """

    id: int
    tracking_id: str
    title: str
    client_name: str
    client_email: str
    name_key: str
    starts_at: datetime | None
    ends_at: datetime | None
    created_at: datetime
    price_minor: int
    currency: str
    status: Status
    payment_status: PaymentStatus
    was_released: bool
    in_calendly: bool
    is_flagged: bool
    pathway: Pathway | None


@dataclass(frozen=True)
class Cursor:
    """A place in a list: the order's columns of the row beside it. ``is_backwards`` for the page before."""

    values: tuple[Any, ...]
    is_backwards: bool = False


@dataclass(frozen=True)
class Filters:
    """What narrows a list. ``begins`` and ``ends`` (aware; the latter is not in the range) are of the session's start,
    in lists by the moment of booking of that. Each of ``words`` begins a word of the booking.
    """

    status: Status | None = None
    payment: PaymentStatus | None = None
    session_type_id: int | None = None
    begins: datetime | None = None
    ends: datetime | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """A page of a builder's list. ``has_time`` is False for forms that were begun and have no time, which are a list of
    their own.
    """

    builder_id: int
    now: datetime
    sort: Sort = Sort.NEXT
    filters: Filters = Filters()
    has_time: bool = True
    cursor: Cursor | None = None
    size: int = PER_PAGE


@dataclass(frozen=True)
class Page:
    """``before`` and ``after`` are the places of the pages beside it, None where there is none."""

    rows: list[Found]
    before: Cursor | None
    after: Cursor | None


def find_page(session: Session, wanted: Wanted) -> Page:
    """One page, in one or two statements. A page before the first one is the first one."""
    backwards = wanted.cursor is not None and wanted.cursor.is_backwards
    rows = _read(session, wanted, wanted.size + 1)
    has_more = len(rows) > wanted.size
    rows = rows[: wanted.size]
    if backwards:
        if not has_more:
            return find_page(session, replace(wanted, cursor=None))
        rows.reverse()
    if not rows:
        return Page([], None, None)
    is_first, is_last = wanted.cursor is None, not (has_more or backwards)
    return Page(
        rows,
        before=None if is_first else Cursor(place_of(rows[0], wanted.sort), is_backwards=True),
        after=None if is_last else Cursor(place_of(rows[-1], wanted.sort)),
    )


def iterate_rows(session: Session, wanted: Wanted, at_once: int) -> Iterator[list[Found]]:
    """All rows of a list from its beginning, so many at once, each time in a read of its own."""
    cursor = None
    is_more = True
    while is_more:
        try:
            rows = _read(session, replace(wanted, cursor=cursor), at_once)
        finally:
            # Also behind the last row: no request's end closes the session of what is sent after it.
            end_read(session)
        if is_more := len(rows) == at_once:
            cursor = Cursor(place_of(rows[-1], wanted.sort))
        if rows:
            yield rows


def place_of(row: Found, sort: Sort) -> tuple[Any, ...]:
    """The values of an order's columns in a row: where it is in the list."""
    return tuple(getattr(row, column.name) for column in ORDERS[sort][0])


def place_types(sort: Sort) -> tuple[type[object], ...]:
    """The types of these values."""
    return tuple(
        datetime if isinstance(one.type, UTCDateTime) else one.type.python_type for one in ORDERS[sort][0]
    )


def _read(session: Session, wanted: Wanted, size: int) -> list[Found]:
    cursor = wanted.cursor
    filters = _bounded(wanted)
    keys, _ = ORDERS[wanted.sort]
    dialect = session.get_bind().dialect.name
    shape = Shape(
        sort=wanted.sort,
        dialect=dialect,
        has_time=wanted.has_time,
        has_status=filters.status is not None,
        has_payment=filters.payment is not None,
        has_type=filters.session_type_id is not None,
        begins=filters.begins is not None,
        ends=filters.ends is not None,
        words=len(filters.words),
        cursor=None if cursor is None else cursor.is_backwards,
        size=size,
    )
    values: dict[str, Any] = {
        "builder": wanted.builder_id,
        "status": filters.status,
        "payment": filters.payment,
        "type": filters.session_type_id,
        "begins": filters.begins,
        "ends": filters.ends,
        "now": wanted.now,
    }
    for number, word in enumerate(filters.words):
        values[f"from{number}"], values[f"to{number}"] = between(word)
    for number, value in enumerate(cursor.values if cursor else ()):
        values[f"place{number}"] = value
    if cursor is not None and len(cursor.values) != len(keys):
        raise ValueError("the place is of another order")
    if shape.words:
        return _search(session, shape, values)
    if shape.may_be_few:
        shape = replace(shape, few=(session.scalar(count_statement(shape), values) or 0) <= statements.FEW)
    return _rows(session, shape, values)


def _search(session: Session, shape: Shape, values: dict[str, Any]) -> list[Found]:
    """The rows with all words: those of the rarest word; or where each is frequent, what reading in order for a while
    finds, and all of them where that is less than a page.
    """
    values["week"] = _first_week(shape, values)
    found = session.execute(words_statement(shape), values).one()
    numbers, rest = found[: shape.words], found[shape.words :]
    driver = min(range(shape.words), key=lambda number: numbers[number])
    is_few = numbers[driver] <= statements.FEW_FOUND
    all_of_them = replace(shape, few=True, driver=driver if is_few else None)
    if shape.has_weeks and numbers[driver] > statements.RARE:
        rows = _nearest(session, replace(shape, few=True, in_weeks=True), values, *rest)
        return _rows(session, all_of_them, values) if rows is None else rows
    if is_few or not shape.walks:
        return _rows(session, all_of_them, values)
    if not rest or rest[-1] is None:
        return _rows(session, shape, values)
    values |= {f"edge{number}": value for number, value in enumerate(rest)}
    rows = _rows(session, replace(shape, is_cut=True), values)
    return rows if len(rows) == shape.size else _rows(session, all_of_them, values)


def _nearest(
    session: Session,
    shape: Shape,
    values: dict[str, Any],
    found: int,
    found_at_once: int,
    first: int | None,
    last: int | None,
) -> list[Found] | None:
    """The rows with all words in the nearest weeks, None where there may be more of them in further ones. Of one word
    ``found`` and ``found_at_once`` say how many have it in these weeks, and in the nearest.
    """
    if found_at_once > list_words.DENSE:
        return _rows(session, replace(shape, few=False), values)
    is_cut = found > list_words.PAGES * shape.size
    rows = _rows(session, replace(shape, is_cut=is_cut), values)
    if len(rows) == shape.size or first is None or last is None:
        return rows
    near = values["week"]
    if near is None:
        near = last if shape.descends else first
    weeks = list_words.number_of_weeks(shape)
    is_all = not is_cut and (near - weeks < first if shape.descends else near + weeks > last)
    return rows if is_all else None


def _first_week(shape: Shape, values: dict[str, Any]) -> int | None:
    """The week in which the page begins, where a place or a bound says it."""
    if not (shape.has_weeks and shape.has_first_week):
        return None
    bound = values["ends" if shape.descends else "begins"]
    at: datetime = values["place0"] if shape.cursor is not None else bound
    return int(at.timestamp() // timedelta(weeks=1).total_seconds())


def _rows(session: Session, shape: Shape, values: dict[str, Any]) -> list[Found]:
    return [Found._make(row) for row in session.execute(page_statement(shape), values)]


def _bounded(wanted: Wanted) -> Filters:
    """The filters with the bounds of the start that follow from what is ahead or past now."""
    filters = wanted.filters
    if wanted.sort is Sort.NEXT:
        recent = wanted.now - LONGEST_SESSION
        return replace(filters, begins=max(filters.begins or recent, recent))
    if wanted.sort is Sort.PAST:
        return replace(filters, ends=min(filters.ends or wanted.now, wanted.now))
    return filters
