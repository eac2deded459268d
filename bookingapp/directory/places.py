"""Finds the places of one page of the directory, at a cost that does not grow with the number of builders.

A filter is a set of builders, and so are those who have the words of a search in a field. Each set is counted first, as
far as it is small. Small ones are read and sorted. For the others, entries are read in the order of their places until
the page is full, and of each is asked whether it is in the set: there are many, so a page is soon full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.entries import FIELDS
from bookingapp.builders.models import Builder, BuilderSkill, DirectoryEntry
from bookingapp.core.db import UTCDateTime, table_of
from bookingapp.core.money import maximum_minor
from bookingapp.directory import fulltext
from bookingapp.directory.filters import Cursor, Filters
from bookingapp.session_types.free_times import SOON, TRUE_FOR
from bookingapp.session_types.models import FreeTime, SessionType, is_on_sale

FEW = 500
"""Up to so many builders are a small set."""
SAMPLE = 40
"""So many places show whether a search is frequent. Where they mislead, a page is the same and costs more."""

_ENTRIES = table_of(DirectoryEntry)
_E = _ENTRIES.c
_BY_PLACE = "INDEXED BY ix_directory_entries_place"
_SKILL, _PRICE, _FREE = "skill", "price", "free"
Condition = sa.ColumnElement[bool]


@dataclass(frozen=True)
class Found:
    """Where an entry is in its list: in a search, the letter of its field comes before the place."""

    key: str
    builder_id: int


class _Shape(NamedTuple):
    """What statements depend on; each is built once. ``sets`` are the names of filters."""

    dialect: str
    sets: tuple[str, ...]
    has_tier: bool
    has_availability: bool
    words: int
    most: int
    is_backwards: bool

    @property
    def filters(self) -> int:
        """How many things an entry is asked."""
        return len(self.sets) + self.has_tier + self.has_availability + bool(self.words)


class _Part(NamedTuple):
    """A part of a list, with the ranks that it has: fields of a search. ``few`` is the small set that it is read from:
    a filter, or the last of these fields. Without one, the index of places is read; then builders of the field before
    are left out, whose set may be small (``is_small``).
    """

    ranks: str
    few: str = ""
    before: str = ""
    is_small: bool = False


def find_places(
    session: Session, filters: Filters, cursor: Cursor | None, *, now: datetime, size: int, counted: int
) -> tuple[list[Found], int | None]:
    """At most so many places behind a cursor, or from the beginning. With a cursor that goes backwards, the nearest
    comes first. Then from the beginning how many there are, at most ``counted``; else None.
    """
    shape = _Shape(
        session.get_bind().dialect.name,
        tuple(_names(filters)),
        filters.tier is not None,
        filters.availability is not None,
        len(filters.words),
        size,
        cursor is not None and cursor.backwards,
    )
    values = _values(shape, filters, cursor, now)
    small, total = _find_small(session, shape, values, 0 if cursor else counted)
    if cursor is not None or total is not None:
        return _read(session, shape, small, cursor, values), total
    found = _read(session, shape._replace(most=counted), small, None, values)
    return found[:size], len(found)


def _read(
    session: Session,
    shape: _Shape,
    small: Mapping[str, int],
    cursor: Cursor | None,
    values: Mapping[str, Any],
) -> list[Found]:
    parts = [*_parts(shape, small)]
    found: list[Found] = []
    for part in reversed(parts) if shape.is_backwards else parts:
        bound = _bound(shape, part, cursor)
        if bound is not None and len(found) < shape.most:
            rows = session.execute(_statement(shape, part, bound), values)
            found += [Found("".join((*row[2:], row[0])), row[1]) for row in rows]
    return found[: shape.most]


def _names(filters: Filters) -> Iterator[str]:
    for name, is_set in (
        (_SKILL, filters.skill),
        (_PRICE, filters.has_price),
        (_FREE, filters.is_free_soon),
    ):
        if is_set:
            yield name


def _values(shape: _Shape, filters: Filters, cursor: Cursor | None, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "skill": filters.skill,
        "low": filters.at_least or 0,
        "high": maximum_minor(filters.currency) if filters.at_most is None else filters.at_most,
        "currency": filters.currency,
        "now": now,
        "soon": now + SOON,
        "young": now - TRUE_FOR,
        "tier": filters.tier,
        "availability": filters.availability,
    }
    for field in FIELDS if shape.words else "":
        values |= fulltext.values(shape.dialect, filters.words, field)
    if cursor is not None:
        split = 1 if shape.words else 0
        values |= {"rank": cursor.place[:split], "place": cursor.place[split:]}
    return values


def _find_small(
    session: Session, shape: _Shape, values: Mapping[str, Any], counted: int
) -> tuple[dict[str, int], int | None]:
    """How many builders each of the small sets has: filters, and fields of a search. Then how many are found, at most
    ``counted``, where that is asked for and known: of sets that are not small.
    """
    names = [*shape.sets, *(FIELDS if shape.words else "")]
    if not names:
        return {}, None
    counts = session.execute(_counting(shape, counted), values).one()
    small = {name: count for name, count in zip(names, counts, strict=False) if count <= FEW}
    total: int | None = counts[-1] if len(counts) > len(names) else None
    if total is not None and total < shape.most:
        # No page is full, so the builders with the skill are read instead of all.
        small[_SKILL] = FEW
    # Of prices one builder may have many; everybody has a skill or the words once.
    if shape.filters == 1 and names[-1] in (_SKILL, FIELDS[-1]) and counts[-1] == FEW + 1 >= counted > 0:
        total = counted
    return small, total


def _parts(shape: _Shape, small: Mapping[str, int]) -> Iterator[_Part]:
    """The parts of a list, in its order: one, or in a search with frequent words one for each field that has many."""
    ranks = FIELDS if shape.words else ""
    driver = min(small.keys() & shape.sets, key=lambda name: small[name], default=None)
    if driver is not None or not ranks:
        yield _Part(ranks, driver or "")
        return
    few = "".join(field for field in ranks if field in small)
    if few:
        yield _Part(few, few[-1])
    for before, field in zip(("", *ranks), ranks, strict=False):
        if field not in small:
            yield _Part(field, before=before, is_small=before in small)


def _bound(shape: _Shape, part: _Part, cursor: Cursor | None) -> str | None:
    """By which of its columns the cursor bounds a part: none, the place, or rank and place; None where nothing of the
    part lies behind the cursor.
    """
    if cursor is None:
        return ""
    if not part.ranks:
        return "place"
    rank = cursor.place[0]
    first, last = (part.ranks[-1], part.ranks[0]) if shape.is_backwards else (part.ranks[0], part.ranks[-1])
    if rank == first == last:
        return "place"
    if (last > rank) if shape.is_backwards else (last < rank):
        return None
    return "" if ((first < rank) if shape.is_backwards else (first > rank)) else "rank"


@lru_cache(500)
def _counting(shape: _Shape, counted: int) -> sa.Select[Any]:
    numbers: list[Any] = [_size_of(shape, name) for name in shape.sets]
    if shape.words:
        numbers += _of_fields(shape)
    if not counted or shape.filters == 1 or _SKILL not in shape.sets:
        return sa.select(*numbers)
    # Who has the skill is asked for the rest, in no order: cheaper than to read so many in theirs.
    of_all = numbers[: len(shape.sets)] + numbers[-1:]
    are_many = sa.and_(*(one > _number(FEW) for one in of_all))
    return sa.select(*numbers, sa.case((are_many, _count(_with_skill(shape), counted))))


def _of_fields(shape: _Shape) -> Iterator[sa.ColumnElement[int]]:
    """How many have the words in each field. Who has them in one has them in the next. So where few have them in the
    last one, no other is counted; and where many have, none of the next.
    """
    many = _number(FEW + 1)
    *first, last = (_known(f"of_{field}", _size_of(shape, field)) for field in FIELDS)
    for position, number in enumerate(first):
        before = [one > _number(FEW) for one in first[:position]]
        yield sa.case((last < many, last), *([(sa.or_(*before), many)] if before else []), else_=number)
    yield last


def _known(name: str, number: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """A number that is found once, where it is asked for."""
    return sa.select(sa.select(number.label("number")).cte(name).c.number).scalar_subquery()


def _size_of(shape: _Shape, name: str) -> sa.ColumnElement[int]:
    """How many a set has, up to one more than few; one more still where a sample alone says that they are many. Of a
    beginning that very many words have, GIN reads each before it finds the first builder.
    """
    number = _count(_ids(shape, name), FEW + 1)
    if name not in FIELDS or shape.dialect == "sqlite":
        return number
    first = sa.select(fulltext.matches(name).label("has")).select_from(_ENTRIES).order_by(_E.place)
    sample = first.limit(_number(SAMPLE)).subquery()
    have = sa.select(sa.func.count()).where(sample.c.has).scalar_subquery()
    everybody = _count(sa.select(_E.builder_id), FEW + 1)
    are_many = sa.and_(have >= _number(SAMPLE // 4), everybody > _number(FEW))
    return sa.case((are_many, _number(FEW + 2)), else_=number)


def _count(found: sa.Select[Any], most: int) -> sa.ColumnElement[int]:
    cut = found.limit(_number(most)).subquery()
    return sa.select(sa.func.count()).select_from(cut).scalar_subquery()


def _with_skill(shape: _Shape) -> sa.Select[Any]:
    """Who has the skill and is in every other set, asked of one after the other: PostgreSQL would read all entries."""
    others = _others(shape, _Part(FIELDS if shape.words else "", _SKILL))
    entry = sa.select(_E.builder_id).where(_E.builder_id == BuilderSkill.builder_id, *others)
    is_in = entry.correlate(table_of(BuilderSkill)).limit(_number(1)).scalar_subquery().is_not(None)
    return _ids(shape, _SKILL).where(is_in)


@lru_cache(1000)
def _statement(shape: _Shape, part: _Part, bound: str) -> sa.Select[Any]:
    query = sa.select(_E.place, _E.builder_id).where(*_conditions(shape, part))
    order: list[Any] = [_E.place]
    if not part.few:
        query = query.with_hint(_ENTRIES, _BY_PLACE, "sqlite")
    elif shape.dialect == "sqlite":
        # It has no statistics, and would read the index of places.
        order = [sa.literal_column("+directory_entries.place")]
    rank = _rank(shape, part)
    if rank is not None:
        query = query.add_columns(rank.label("rank"))
        order[:0] = [sa.literal_column("rank")] if len(part.ranks) > 1 else []
    if bound:
        place = sa.bindparam("place", type_=_E.place.type)
        is_behind: Condition = _E.place < place if shape.is_backwards else _E.place > place
        if bound == "rank" and rank is not None:
            of_cursor = sa.bindparam("rank", type_=sa.String())
            is_ahead = rank < of_cursor if shape.is_backwards else rank > of_cursor
            is_behind = sa.or_(is_ahead, sa.and_(rank == of_cursor, is_behind))
        query = query.where(is_behind)
    if shape.is_backwards:
        order = [one.desc() for one in order]
    return query.order_by(*order).limit(_number(shape.most))


def _conditions(shape: _Shape, part: _Part) -> Iterator[Condition]:
    if len(part.ranks) > 1 and part.few in part.ranks and shape.dialect == "postgresql":
        # The order begins with the rank, which no index has: PostgreSQL reads these entries first anyway.
        yield fulltext.matches(part.few)
    elif part.few:
        yield _among(shape, part.few)
    yield from _others(shape, part)


def _others(shape: _Shape, part: _Part) -> Iterator[Condition]:
    if shape.has_tier:
        yield _E.tier == sa.bindparam("tier")
    if shape.has_availability:
        yield _E.availability == sa.bindparam("availability")
    for name in shape.sets:
        if name != part.few:
            yield _is_in(shape, name)
    if part.ranks and part.few in ("", *shape.sets):
        yield _is_in(shape, part.ranks[-1])
    if part.before:
        yield ~(_among if part.is_small else _is_in)(shape, part.before)


def _rank(shape: _Shape, part: _Part) -> sa.ColumnElement[str] | None:
    """The letter of the first of its fields that has the words."""
    if not part.ranks:
        return None
    *nearer, last = list(part.ranks)
    if not nearer:
        return _literal(last)
    # Of a filter's few builders, fields are read; small fields are looked up.
    test = _is_in if part.few in shape.sets else _among
    return sa.case(*((test(shape, field), _literal(field)) for field in nearer), else_=_literal(last))


def _ids(shape: _Shape, name: str) -> sa.Select[Any]:
    """The builders of a set."""
    if name == _SKILL:
        return sa.select(BuilderSkill.builder_id).where(BuilderSkill.key == sa.bindparam("skill"))
    if name == _PRICE:
        return sa.select(SessionType.builder_id).where(*_costs())
    return _free_soon() if name == _FREE else fulltext.matching(shape.dialect, name)


def _among(shape: _Shape, name: str) -> Condition:
    """That an entry is of a small set. PostgreSQL gets its ids as an array, so that it reads them first whatever it
    expects.
    """
    ids = _ids(shape, name)
    if shape.dialect == "sqlite":
        return _E.builder_id.in_(ids)
    return _E.builder_id == sa.any_(sa.func.array(ids.scalar_subquery()))


def _is_in(shape: _Shape, name: str) -> Condition:
    """That an entry is of a set, asked of this entry alone: PostgreSQL might make a set of an ``EXISTS``."""
    if name == _SKILL:
        whose = BuilderSkill.builder_id
    elif name in (_PRICE, _FREE):
        whose = SessionType.builder_id
    else:
        return fulltext.contains(shape.dialect, name, shape.words)
    one = _ids(shape, name).where(whose == _E.builder_id).limit(_number(1))
    return one.correlate(_ENTRIES).scalar_subquery().is_not(None)


def _costs() -> Iterator[Condition]:
    """The price is in the range. What costs nothing costs 0 in every currency."""
    price = SessionType.price_minor
    yield is_on_sale()
    yield price.between(sa.bindparam("low"), sa.bindparam("high"))
    yield sa.or_(SessionType.currency == sa.bindparam("currency"), price == 0)


def _free_soon() -> sa.Select[Any]:
    now, soon, young = (sa.bindparam(name, type_=UTCDateTime()) for name in ("now", "soon", "young"))
    return (
        sa.select(SessionType.builder_id)
        .join(FreeTime, FreeTime.session_type_id == SessionType.id)
        .join(Builder, Builder.id == SessionType.builder_id)
        .where(is_on_sale(), FreeTime.next_at > now, FreeTime.next_at <= soon)
        .where(FreeTime.checked_at > young, Builder.disconnected_at.is_(None))
    )


def _literal(letter: str) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{letter}'", sa.String())


def _number(value: int) -> sa.ColumnElement[int]:
    return sa.literal_column(str(value), sa.Integer())
