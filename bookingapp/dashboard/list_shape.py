"""What a list of bookings is read by: its order, its filters, and how they become conditions."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from bookingapp.bookings.models import Booking
from bookingapp.core.db import table_of


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
_START, _CREATED = (_B.starts_at, _B.id), (_B.created_at, _B.id)
_AMOUNT, BY_NAME = (_B.currency, _B.price_minor, _B.id), (_B.name_key, _B.id)
_KEYS_OF_INDEX = {_START: "start", _CREATED: "created", _AMOUNT: "amount", BY_NAME: "name"}
Columns = tuple[sa.Column[Any], ...]
ORDERS: Final[Mapping[Sort, tuple[Columns, bool]]] = {
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


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a statement depends on; each is built once. ``few`` matches are read and sorted, others read in order.
    ``driver`` is the number of the word whose bookings these few are, None where each word has many. ``is_cut`` says
    that reading in order ends at a window's edge. ``in_weeks``: the few are those of the nearest weeks, and where
    ``is_cut`` the first of them alone.
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
    in_weeks: bool = False

    @property
    def descends(self) -> bool:
        """Whether the index is read from its end, for this order or for the page before."""
        return ORDERS[self.sort][1] ^ bool(self.cursor)

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
        return self.walks and self.is_by_time and not (self.has_status or self.has_payment or self.has_weeks)

    @property
    def has_weeks(self) -> bool:
        """Whether the bookings with these words may be found week by week. One word and a filter are read in order."""
        is_filtered = self.has_status or self.has_payment or self.has_type
        by_start = self.has_time and ORDERS[self.sort][0] is _START
        return by_start and (self.words > 1 or (self.words == 1 and not is_filtered))

    @property
    def has_first_week(self) -> bool:
        """Whether a place or a bound says in which week the page begins."""
        return self.cursor is not None or (self.ends if self.descends else self.begins)

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


def has_row(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether there is such a row. PostgreSQL would read the whole table of an ``EXISTS`` to answer it for one page."""
    return (
        sa.select(sa.literal_column("1"))
        .where(*conditions)
        .limit(sa.literal_column("1"))
        .scalar_subquery()
        .is_not(None)
    )


def directed(column: sa.ColumnElement[Any], *, descends: bool) -> sa.ColumnElement[Any]:
    """The column as a part of an order."""
    return column.desc() if descends else column.asc()


def in_range(
    shape: Shape, at: sa.ColumnElement[Any], *, leads: bool = False
) -> Iterator[sa.ColumnElement[bool]]:
    """The bounds of ``at``. Where it leads the order, a place takes the place of the bound that it lies behind."""
    passed = None
    if leads and shape.cursor is not None:
        passed = "ends" if shape.descends else "begins"
    if shape.begins and passed != "begins":
        yield at >= sa.bindparam("begins")
    if shape.ends and passed != "ends":
        yield at < sa.bindparam("ends")


def behind(shape: Shape, keys: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[bool]:
    """Whether a row lies behind the page's place."""
    row, place = sa.tuple_(*keys), sa.tuple_(*parameters("place", keys))
    return row < place if shape.descends else row > place


def parameters(name: str, keys: Sequence[sa.ColumnElement[Any]]) -> list[sa.BindParameter[Any]]:
    """The parameters that hold values of these columns."""
    return [sa.bindparam(f"{name}{number}", type_=key.type) for number, key in enumerate(keys)]
