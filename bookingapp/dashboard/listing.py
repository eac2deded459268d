"""Finds one page of a list of bookings, whatever its filters and its order, at the cost of one page.

An address describes a list (:mod:`bookingapp.dashboard.list_address`); what its rows say is in
:mod:`bookingapp.dashboard.listed`. A page is read from its place in an index (``bookings`` has one for each order and
set of filters), so neither other pages nor other bookings cost anything.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import PaymentStatus
from bookingapp.bookings.models import AttentionFlag, Booking, BookingWord
from bookingapp.bookings.search import between
from bookingapp.bookings.states import Status
from bookingapp.core.db import UTCDateTime
from bookingapp.payments.models import Payment, PaymentState

PER_PAGE = 25
# Up to so many matches of a range, and of words, are read as a whole and sorted; more are so frequent that reading in
# order soon finds a page.
FEW, FEW_FOUND = 600, 2000
# No session is longer, so one that began before has ended.
LONGEST_SESSION = timedelta(days=1)


class Sort(enum.StrEnum):
    """In which order bookings are listed; addresses have these words."""

    NEXT = "next"  # What is ahead, by its start.
    PAST = "past"
    EARLIEST = "earliest"
    LATEST = "latest"
    NEWEST = "newest"  # By the moment of booking, as its opposite.
    OLDEST = "oldest"
    HIGHEST = "highest"
    LOWEST = "lowest"
    NAME = "name"
    NAME_BACK = "name-back"


_BOOKINGS = cast("sa.Table", sa.inspect(Booking).local_table)
_B = _BOOKINGS.c
_W = cast("sa.Table", sa.inspect(BookingWord).local_table).c
_F = cast("sa.Table", sa.inspect(AttentionFlag).local_table).c
_P = cast("sa.Table", sa.inspect(Payment).local_table).c

_START, _CREATED = (_B.starts_at, _B.id), (_B.created_at, _B.id)
_AMOUNT, _NAME = (_B.currency, _B.price_minor, _B.id), (_B.name_key, _B.id)
_NAMES = {_START: "start", _CREATED: "created", _AMOUNT: "amount", _NAME: "name"}
_Columns = tuple[sa.Column[Any], ...]
_ORDERS: Final[Mapping[Sort, tuple[_Columns, bool]]] = {
    Sort.NEXT: (_START, False),
    Sort.PAST: (_START, True),
    Sort.EARLIEST: (_START, False),
    Sort.LATEST: (_START, True),
    Sort.NEWEST: (_CREATED, True),
    Sort.OLDEST: (_CREATED, False),
    Sort.HIGHEST: (_AMOUNT, True),
    Sort.LOWEST: (_AMOUNT, False),
    Sort.NAME: (_NAME, False),
    Sort.NAME_BACK: (_NAME, True),
}
"""The columns of an order, the last of which tells equals apart, and whether it descends."""
BY_CREATION: Final = (Sort.NEWEST, Sort.OLDEST)
_OVER = (Status.CANCELED, Status.EXPIRED)
_RELEASED = (
    sa.select(1)
    .where(_P.booking_id == _B.id, _P.state == PaymentState.EXPIRED, _P.authorized_at.is_not(None))
    .exists()
)
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
    sa.select(1).where(_F.booking_id == _B.id, _F.resolved_at.is_(None)).exists().label("is_flagged"),
)


class Found(NamedTuple):
    """What a list shows of a booking. ``was_released``: its money was authorized, and released without a charge."""

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
    is_flagged: bool


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

    def __bool__(self) -> bool:
        return self != Filters()


@dataclass(frozen=True)
class Wanted:
    """A page of a list. Without ``builder_id`` it is everybody's, for operators, who search by words.

    ``has_time`` is False for forms that were begun and have no time, which are a list of their own.
    """

    builder_id: int | None
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
    while rows := _read(session, replace(wanted, cursor=cursor), at_once):
        session.rollback()
        yield rows
        if len(rows) < at_once:
            return
        cursor = Cursor(place_of(rows[-1], wanted.sort))


def place_of(row: Found, sort: Sort) -> tuple[Any, ...]:
    """The values of an order's columns in a row: where it is in the list."""
    return tuple(getattr(row, column.name) for column in _ORDERS[sort][0])


def place_types(sort: Sort) -> tuple[type[object], ...]:
    """The types of these values."""
    return tuple(
        datetime if isinstance(one.type, UTCDateTime) else one.type.python_type for one in _ORDERS[sort][0]
    )


def _read(session: Session, wanted: Wanted, size: int) -> list[Found]:
    cursor = wanted.cursor
    filters = _bounded(wanted)
    keys, _ = _ORDERS[wanted.sort]
    dialect = session.get_bind().dialect.name
    shape = _Shape(
        sort=wanted.sort,
        dialect=dialect,
        has_time=wanted.has_time,
        has_builder=wanted.builder_id is not None,
        has_status=filters.status is not None,
        has_payment=filters.payment is not None,
        has_type=filters.session_type_id is not None,
        begins=filters.begins is not None,
        ends=filters.ends is not None,
        words=len(filters.words),
        cursor=None if cursor is None else cursor.is_backwards,
    )
    values: dict[str, Any] = {
        "builder": wanted.builder_id,
        "status": filters.status,
        "payment": filters.payment,
        "type": filters.session_type_id,
        "begins": filters.begins,
        "ends": filters.ends,
        "now": wanted.now,
        "size": size,
    }
    # The longest word is likely the rarest.
    for number, word in enumerate(sorted(filters.words, key=len, reverse=True)):
        values[f"from{number}"], values[f"to{number}"] = between(word)
    for number, value in enumerate(cursor.values if cursor else ()):
        values[f"place{number}"] = value
    if cursor is not None and len(cursor.values) != len(keys):
        raise ValueError("the place is of another order")
    if shape.may_be_few and dialect == "sqlite":
        # PostgreSQL knows its data well enough to choose.
        number_found = session.scalar(_probe(shape), values) or 0
        few = number_found <= (FEW_FOUND if shape.words else FEW)
        # Names that begin with a word are in one place of their order, so there they may be far.
        shape = replace(shape, few=few or (shape.words > 0 and keys is _NAME))
    found = session.execute(_statement(shape), values)
    return [Found(*row) for row in found]


def _bounded(wanted: Wanted) -> Filters:
    """The filters with the bounds of the start that follow from what is ahead or past now."""
    filters = wanted.filters
    if wanted.sort is Sort.NEXT:
        recent = wanted.now - LONGEST_SESSION
        return replace(filters, begins=max(filters.begins or recent, recent))
    if wanted.sort is Sort.PAST:
        return replace(filters, ends=min(filters.ends or wanted.now, wanted.now))
    return filters


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What a statement depends on; each is built once. ``few`` matches are read and sorted, others read in order."""

    sort: Sort
    dialect: str
    has_time: bool
    has_builder: bool
    has_status: bool
    has_payment: bool
    has_type: bool
    begins: bool
    ends: bool
    words: int
    cursor: bool | None
    few: bool = False

    @property
    def may_be_few(self) -> bool:
        """Whether the order's index may have to be searched for long until it has a page of matches."""
        has_range = (self.begins or self.ends) and _ORDERS[self.sort][0] in (_AMOUNT, _NAME)
        return bool(self.words) or has_range

    def plain(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """A column that is not looked up in an index. SQLite has no statistics and would choose a wrong one."""
        if self.dialect != "sqlite":
            return column
        return sa.literal_column(f"+bookings.{column.name}", type_=column.type)

    @property
    def index(self) -> str:
        """The hint at the index to read, for SQLite."""
        if not self.has_time or not self.has_builder:
            return ""
        keys = _START if self.few else _ORDERS[self.sort][0]
        filters = (
            "" if self.few else f"{'_type' * self.has_type}{'_state' * (self.has_status or self.has_payment)}"
        )
        return f"INDEXED BY ix_bookings_by_{_NAMES[keys]}{filters}"

    def select(self, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """From the table of bookings, by that index; few that have all words are found by their ids."""
        found = sa.select(*columns)
        by_words = self.few and self.words
        return found if by_words or not self.index else found.with_hint(_BOOKINGS, self.index, "sqlite")


@lru_cache(500)
def _statement(shape: _Shape) -> sa.Select[Any]:
    keys, descends = _ORDERS[shape.sort][0], _descends(shape)
    if shape.few:
        order = [_directed(shape.plain(key), descends=descends) for key in keys]
        return shape.select(*_LISTED).where(*_few(shape)).order_by(*order).limit(sa.bindparam("size"))
    order = [_directed(key, descends=descends) for key in keys]
    wheres = [(*_in_order(shape), *half, *place) for half in _halves(shape) for place in _places(shape, keys)]
    if len(wheres) == 1:
        return shape.select(*_LISTED).where(*wheres[0]).order_by(*order).limit(sa.bindparam("size"))
    # Each of the places in the index has a beginning of the page.
    parts = [
        shape.select(*keys).where(*where).order_by(*order).limit(sa.bindparam("size")).subquery()
        for where in wheres
    ]
    every = sa.union_all(*(sa.select(part) for part in parts)).subquery()
    first = [_directed(every.c[key.name], descends=descends) for key in keys]
    picked = sa.select(every.c.id).order_by(*first).limit(sa.bindparam("size")).subquery()
    return sa.select(*_LISTED).join(picked, picked.c.id == _B.id).order_by(*order)


@lru_cache(500)
def _probe(shape: _Shape) -> sa.Select[Any]:
    """How many rows ``few`` would read, up to one too many."""
    if shape.words:
        found = sa.select(_with_words(shape).subquery().c.booking_id)
    else:
        found = sa.select(_B.id).where(*_of_builder(shape), *_range(shape, _B.starts_at))
    return sa.select(sa.func.count()).select_from(found.limit(FEW_FOUND + 1).subquery())


def _directed(column: sa.ColumnElement[Any], *, descends: bool) -> sa.ColumnElement[Any]:
    return column.desc() if descends else column.asc()


def _of_builder(shape: _Shape) -> Iterator[sa.ColumnElement[bool]]:
    yield _B.starts_at.is_not(None) if shape.has_time else _B.starts_at.is_(None)
    if shape.has_builder:
        yield _B.builder_id == sa.bindparam("builder")


def _in_order(shape: _Shape) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions for reading the order's index."""
    keys, _ = _ORDERS[shape.sort]
    yield from _of_builder(shape)
    if shape.has_type:
        yield _B.session_type_id == sa.bindparam("type")
    leads = keys in (_START, _CREATED)
    yield from _range(shape, keys[0] if leads else shape.plain(_B.starts_at), leads=leads)
    yield from _time(shape)
    for number in range(shape.words):
        yield sa.select(1).where(_W.booking_id == _B.id, *_begins(number)).exists()


def _few(shape: _Shape) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions for reading all matches of the words, or of the range."""
    if shape.words:
        yield _B.id.in_(_with_words(shape))
        at = shape.plain(_B.created_at if shape.sort in BY_CREATION else _B.starts_at)
        yield from _range(shape, at)
        yield (
            shape.plain(_B.starts_at).is_not(None) if shape.has_time else shape.plain(_B.starts_at).is_(None)
        )
    else:
        yield from _of_builder(shape)
        yield from _range(shape, _B.starts_at)
    for is_given, column, name in (
        (shape.has_builder and shape.words, _B.builder_id, "builder"),
        (shape.has_type, _B.session_type_id, "type"),
        (shape.has_status, _B.status, "status"),
        (shape.has_payment, _B.payment_status, "payment"),
    ):
        if is_given:
            yield shape.plain(column) == sa.bindparam(name)
    yield from _time(shape)
    keys = [shape.plain(key) for key in _ORDERS[shape.sort][0]]
    if shape.cursor is not None:
        yield _behind(shape, keys)


def _halves(shape: _Shape) -> list[list[sa.ColumnElement[bool]]]:
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


def _range(
    shape: _Shape, at: sa.ColumnElement[Any], *, leads: bool = False
) -> Iterator[sa.ColumnElement[bool]]:
    """The bounds of ``at``. Where it leads the order, a place takes the place of the bound that it lies behind."""
    passed = None
    if leads and shape.cursor is not None:
        passed = "ends" if _descends(shape) else "begins"
    if shape.begins and passed != "begins":
        yield at >= sa.bindparam("begins")
    if shape.ends and passed != "ends":
        yield at < sa.bindparam("ends")


def _time(shape: _Shape) -> Iterator[sa.ColumnElement[bool]]:
    """What is ahead or past now, more exactly than by its start."""
    end = sa.func.coalesce(_B.ends_at, _B.starts_at)
    if shape.sort is Sort.NEXT:
        yield end > sa.bindparam("now")
        if not shape.has_status:
            yield shape.plain(_B.status).not_in(_OVER)
    elif shape.sort is Sort.PAST:
        yield end <= sa.bindparam("now")


def _places(shape: _Shape, keys: _Columns) -> list[list[sa.ColumnElement[bool]]]:
    """Conditions for what lies behind the page's place; several are read separately."""
    if shape.cursor is None:
        return [[]]
    if shape.dialect != "sqlite" or keys in (_START, _CREATED):
        return [[_behind(shape, keys)]]
    # SQLite finds no place by an id, and many have the same amount or name.
    same = [key == sa.bindparam(f"place{number}", type_=key.type) for number, key in enumerate(keys[:-1])]
    place = sa.bindparam(f"place{len(same)}", type_=keys[-1].type)
    is_behind = keys[-1] < place if _descends(shape) else keys[-1] > place
    return [[*same, is_behind], [_behind(shape, keys[:-1])]]


def _behind(shape: _Shape, keys: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[bool]:
    places = (sa.bindparam(f"place{number}", type_=key.type) for number, key in enumerate(keys))
    row, place = sa.tuple_(*keys), sa.tuple_(*places)
    return row < place if _descends(shape) else row > place


def _descends(shape: _Shape) -> bool:
    """Whether the index is read from its end, for this order or for the page before."""
    return _ORDERS[shape.sort][1] ^ bool(shape.cursor)


def _with_words(shape: _Shape) -> Any:
    """The ids of the bookings that have all words."""
    each = [sa.select(_W.booking_id).where(*_begin_with(shape, number)) for number in range(shape.words)]
    return each[0] if len(each) == 1 else sa.intersect(*each)


def _begin_with(shape: _Shape, number: int) -> Iterator[sa.ColumnElement[bool]]:
    if shape.has_builder:
        yield _W.builder_id == sa.bindparam("builder")
    yield from _begins(number)


def _begins(number: int) -> Iterator[sa.ColumnElement[bool]]:
    yield _W.word >= sa.bindparam(f"from{number}")
    yield _W.word < sa.bindparam(f"to{number}")
