"""The statements that read lists of bookings, each built once: which index they read, and from which place.

What a list is, is in :mod:`bookingapp.dashboard.listing`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from bookingapp.bookings.codes import PaymentStatus
from bookingapp.bookings.models import AttentionFlag, Booking, BookingWord
from bookingapp.bookings.states import Status
from bookingapp.core.db import table_of
from bookingapp.payments.models import Payment, PaymentState

# Up to so many bookings of a range, or with a word, are read as a whole and sorted; more are so frequent that reading
# in order soon finds a page.
FEW, FEW_FOUND = 600, 1000
# So many bookings are read in order for a frequent word, whose bookings may all be far.
WINDOW = 4000


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


_BOOKINGS = table_of(Booking)
_B = _BOOKINGS.c
_W_TABLE = table_of(BookingWord)
_W = _W_TABLE.c
_F = table_of(AttentionFlag).c
_P = table_of(Payment).c

_START, _CREATED = (_B.starts_at, _B.id), (_B.created_at, _B.id)
_AMOUNT, BY_NAME = (_B.currency, _B.price_minor, _B.id), (_B.name_key, _B.id)
_KEYS_OF_INDEX = {_START: "start", _CREATED: "created", _AMOUNT: "amount", BY_NAME: "name"}
_Columns = tuple[sa.Column[Any], ...]
ORDERS: Final[Mapping[Sort, tuple[_Columns, bool]]] = {
    Sort.NEXT: (_START, False),
    Sort.PAST: (_START, True),
    Sort.EARLIEST: (_START, False),
    Sort.LATEST: (_START, True),
    Sort.NEWEST: (_CREATED, True),
    Sort.OLDEST: (_CREATED, False),
    Sort.HIGHEST: (_AMOUNT, True),
    Sort.LOWEST: (_AMOUNT, False),
    Sort.NAME: (BY_NAME, False),
    Sort.NAME_BACK: (BY_NAME, True),
}
"""The columns of an order, the last of which tells equals apart, and whether it descends."""
BY_CREATION: Final = (Sort.NEWEST, Sort.OLDEST)
_OVER = (Status.CANCELED, Status.EXPIRED)


def _any(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether there is such a row. PostgreSQL would read the whole table of an ``EXISTS`` to answer it for one page."""
    return (
        sa.select(sa.literal_column("1"))
        .where(*conditions)
        .limit(sa.literal_column("1"))
        .scalar_subquery()
        .is_not(None)
    )


_RELEASED = _any(_P.booking_id == _B.id, _P.state == PaymentState.EXPIRED, _P.authorized_at.is_not(None))
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
    _any(_F.booking_id == _B.id, _F.resolved_at.is_(None)).label("is_flagged"),
    _B.pathway,
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a statement depends on; each is built once. ``few`` matches are read and sorted, others read in order.
    ``driver`` is the number of the word whose bookings these few are, None where each word has many, and ``is_cut``
    says that reading in order ends at a window's edge.
    """

    sort: Sort
    dialect: str
    has_time: bool
    has_status: bool
    has_payment: bool
    has_type: bool
    begins: bool
    ends: bool
    words: int
    cursor: bool | None
    size: int
    few: bool = False
    driver: int | None = None
    is_cut: bool = False

    @property
    def limit(self) -> sa.ColumnElement[int]:
        """The number itself: PostgreSQL does not plan for one page where it is a parameter."""
        return sa.literal_column(str(self.size), sa.Integer())

    @property
    def may_be_few(self) -> bool:
        """Whether the order's index may have to be searched for long until it has a page of a range."""
        return (self.begins or self.ends) and not self.is_by_time

    @property
    def is_by_time(self) -> bool:
        """Whether the order is that of starts, or of moments of booking."""
        keys = ORDERS[self.sort][0]
        return keys is _START or keys is _CREATED

    @property
    def walks(self) -> bool:
        """Whether bookings with a frequent word may be found by reading in order. Names that begin with it are in one
        place of their order, and several words may hardly ever come together.
        """
        return self.words == 1 and ORDERS[self.sort][0] is not BY_NAME

    @property
    def has_window(self) -> bool:
        """Whether reading in order has an edge. A status has an order of its own."""
        return self.walks and self.is_by_time and not (self.has_status or self.has_payment)

    def plain(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """A column that is not looked up in an index. SQLite has no statistics and would choose a wrong one."""
        if self.dialect != "sqlite":
            return column
        return sa.literal_column(f"+bookings.{column.name}", type_=column.type)

    @property
    def index(self) -> str:
        """The hint at the index to read, for SQLite."""
        if not self.has_time:
            return ""
        keys = _START if self.few else ORDERS[self.sort][0]
        filters = (
            "" if self.few else f"{'_type' * self.has_type}{'_state' * (self.has_status or self.has_payment)}"
        )
        return f"INDEXED BY ix_bookings_by_{_KEYS_OF_INDEX[keys]}{filters}"

    def select(self, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """From the table of bookings, by that index; few that have all words are found by their ids."""
        found = sa.select(*columns)
        by_words = self.few and self.words
        return found if by_words or not self.index else found.with_hint(_BOOKINGS, self.index, "sqlite")


@lru_cache(500)
def page_statement(shape: Shape) -> sa.Select[Any]:
    """Reads a page; the values that its parameters have are named in :mod:`bookingapp.dashboard.listing`."""
    keys, descends = ORDERS[shape.sort][0], _descends(shape)
    if shape.few:
        order = [_directed(shape.plain(key), descends=descends) for key in keys]
        return shape.select(*_LISTED).where(*_few(shape)).order_by(*order).limit(shape.limit)
    order = [_directed(key, descends=descends) for key in keys]
    wheres = [(*_in_order(shape), *half, *place) for half in _halves(shape) for place in _places(shape, keys)]
    if len(wheres) == 1:
        return shape.select(*_LISTED).where(*wheres[0]).order_by(*order).limit(shape.limit)
    # Each of the places in the index has a beginning of the page.
    parts = [
        shape.select(*keys).where(*where).order_by(*order).limit(shape.limit).subquery() for where in wheres
    ]
    every = sa.union_all(*(sa.select(part) for part in parts)).subquery()
    first = [_directed(every.c[key.name], descends=descends) for key in keys]
    picked = sa.select(every.c.id).order_by(*first).limit(shape.limit).subquery()
    return sa.select(*_LISTED).join(picked, picked.c.id == _B.id).order_by(*order)


@lru_cache(500)
def count_statement(shape: Shape) -> sa.Select[Any]:
    """How many rows of a range ``few`` would read, up to one too many."""
    found = sa.select(_B.id).where(*_of_builder(shape), *_range(shape, _B.starts_at))
    return _count(found, FEW)


@lru_cache(500)
def words_statement(shape: Shape) -> sa.Select[Any]:
    """How many bookings each word has, up to one too many; then the columns of the order at the edge of the window,
    None where it has none.
    """
    counts: list[sa.ColumnElement[Any]] = [
        _count(sa.select(_W.booking_id).where(*_begin_with(_W, number)), FEW_FOUND).scalar_subquery()
        for number in range(shape.words)
    ]
    if shape.has_window:
        counts += _edge(shape)
    return sa.select(*counts)


def _count(found: sa.Select[Any], most: int) -> sa.Select[Any]:
    cut = found.limit(sa.literal_column(str(most + 1))).subquery()
    return sa.select(sa.func.count()).select_from(cut)


def _edge(shape: Shape) -> Iterator[sa.ColumnElement[Any]]:
    whole = replace(shape, words=0, has_status=False, has_payment=False)
    keys, descends = ORDERS[shape.sort][0], _descends(shape)
    order = [_directed(key, descends=descends) for key in keys]
    (place,) = _places(whole, keys)
    for key in keys:
        found = whole.select(key).where(*_in_order(whole), *place).order_by(*order)
        yield found.limit(sa.literal_column("1")).offset(sa.literal_column(str(WINDOW))).scalar_subquery()


def _directed(column: sa.ColumnElement[Any], *, descends: bool) -> sa.ColumnElement[Any]:
    return column.desc() if descends else column.asc()


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
    yield from _range(shape, keys[0] if leads else shape.plain(_B.starts_at), leads=leads)
    yield from _time(shape)
    for number in range(shape.words):
        yield _has_word(_B.id, number)
    if shape.is_cut:
        row, edge = sa.tuple_(*keys), sa.tuple_(*_parameters("edge", keys))
        yield row >= edge if _descends(shape) else row <= edge


def _few(shape: Shape) -> Iterator[sa.ColumnElement[bool]]:
    """The conditions for reading all matches of the words, or of the range."""
    if shape.words:
        yield _is_among(shape, _with_words(shape))
        at = shape.plain(_B.created_at if shape.sort in BY_CREATION else _B.starts_at)
        yield from _range(shape, at)
        yield (
            shape.plain(_B.starts_at).is_not(None) if shape.has_time else shape.plain(_B.starts_at).is_(None)
        )
    else:
        yield from _of_builder(shape)
        yield from _range(shape, _B.starts_at)
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
        yield _behind(shape, keys)


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


def _range(
    shape: Shape, at: sa.ColumnElement[Any], *, leads: bool = False
) -> Iterator[sa.ColumnElement[bool]]:
    """The bounds of ``at``. Where it leads the order, a place takes the place of the bound that it lies behind."""
    passed = None
    if leads and shape.cursor is not None:
        passed = "ends" if _descends(shape) else "begins"
    if shape.begins and passed != "begins":
        yield at >= sa.bindparam("begins")
    if shape.ends and passed != "ends":
        yield at < sa.bindparam("ends")


def _time(shape: Shape) -> Iterator[sa.ColumnElement[bool]]:
    """What is ahead or past now, more exactly than by its start."""
    end = sa.func.coalesce(_B.ends_at, _B.starts_at)
    if shape.sort is Sort.NEXT:
        yield end > sa.bindparam("now")
        if not shape.has_status:
            yield shape.plain(_B.status).not_in(_OVER)
    elif shape.sort is Sort.PAST:
        yield end <= sa.bindparam("now")


def _places(shape: Shape, keys: _Columns) -> list[list[sa.ColumnElement[bool]]]:
    """Conditions for what lies behind the page's place; several are read separately."""
    if shape.cursor is None:
        return [[]]
    if shape.dialect != "sqlite" or shape.is_by_time:
        return [[_behind(shape, keys)]]
    # SQLite finds no place by an id, and many have the same amount or name.
    same = [key == sa.bindparam(f"place{number}", type_=key.type) for number, key in enumerate(keys[:-1])]
    place = sa.bindparam(f"place{len(same)}", type_=keys[-1].type)
    is_behind = keys[-1] < place if _descends(shape) else keys[-1] > place
    return [[*same, is_behind], [_behind(shape, keys[:-1])]]


def _behind(shape: Shape, keys: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[bool]:
    row, place = sa.tuple_(*keys), sa.tuple_(*_parameters("place", keys))
    return row < place if _descends(shape) else row > place


def _parameters(name: str, keys: Sequence[sa.ColumnElement[Any]]) -> list[sa.BindParameter[Any]]:
    return [sa.bindparam(f"{name}{number}", type_=key.type) for number, key in enumerate(keys)]


def _descends(shape: Shape) -> bool:
    """Whether the index is read from its end, for this order or for the page before."""
    return ORDERS[shape.sort][1] ^ bool(shape.cursor)


def _with_words(shape: Shape) -> sa.Select[Any]:
    """The ids of the bookings that have all words, found by one of them, or by each where all are frequent."""
    if shape.driver is None:
        each = (sa.select(_W.booking_id).where(*_begin_with(_W, one)) for one in range(shape.words))
        return sa.select(sa.intersect(*each).subquery().c.booking_id)
    word = _W_TABLE.alias().c
    others = [number for number in range(shape.words) if number != shape.driver]
    return sa.select(word.booking_id).where(
        *_begin_with(word, shape.driver), *(_has_word(word.booking_id, number) for number in others)
    )


def _is_among(shape: Shape, ids: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """PostgreSQL gets the ids as an array, so that it reads them first whatever it expects."""
    if shape.dialect == "sqlite":
        return _B.id.in_(ids)
    return _B.id == sa.any_(sa.func.array(ids.scalar_subquery()))


def _has_word(booking_id: sa.ColumnElement[int], number: int) -> sa.ColumnElement[bool]:
    return _any(_W.booking_id == booking_id, *_begins(_W, number))


def _begin_with(word: Any, number: int) -> Iterator[sa.ColumnElement[bool]]:
    yield word.builder_id == sa.bindparam("builder")
    yield from _begins(word, number)


def _begins(word: Any, number: int) -> Iterator[sa.ColumnElement[bool]]:
    yield word.word >= sa.bindparam(f"from{number}")
    yield word.word < sa.bindparam(f"to{number}")
