"""Finds one page of the directory. The number of statements does not grow with the number of builders.

Pages are found by the place of an entry, never by counting rows. In a search the field of an entry comes before its
place: a builder whose name has all the words comes before one whose headline is needed for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.entries import FIELDS
from bookingapp.builders.models import (
    Availability,
    Builder,
    BuilderSkill,
    DirectoryEntry,
    Tier,
    hue_of,
    initials_of,
)
from bookingapp.directory.filters import Cursor, Field, Filters, read_filters
from bookingapp.directory.fulltext import matching
from bookingapp.directory.options import Options, OptionsCache
from bookingapp.session_types.free_times import SOON, TRUE_FOR
from bookingapp.session_types.models import FreeTime, SessionType, is_on_sale

PER_PAGE = 24
COUNTED = 100
"""Up to how many builders are counted."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a builder sells, and when they are free next. Prices are in minor units; ``price_minor`` is the lowest that
    is not 0. ``next_at`` is the next free time as known at ``checked_at``; ``knows_times`` says that Calendly was asked
    lately.
    """

    has_free: bool = False
    price_minor: int | None = None
    currency: str | None = None
    next_at: datetime | None = None
    checked_at: datetime | None = None
    knows_times: bool = False

    @property
    def is_known_full(self) -> bool:
        """Whether no time is free, as Calendly said lately; what builders say of themselves may be old."""
        return self.knows_times and self.next_at is None

    def checked_seconds(self, now: datetime) -> int:
        """How old the fact about the next free time is."""
        return int((now - self.checked_at).total_seconds()) if self.checked_at else 0


@dataclass(frozen=True, kw_only=True)
class Card(Offer):
    """One builder in the directory."""

    slug: str
    name: str
    headline: str
    tier: Tier
    availability: Availability
    timezone: str
    is_demo: bool
    is_paused: bool
    skills: Sequence[str]
    picture: str | None = None
    picture_alt: str = ""

    @property
    def initials(self) -> str:
        """The letters of the avatar."""
        return initials_of(self.name)

    @property
    def hue(self) -> int:
        """The avatar's color."""
        return hue_of(self.slug)


@dataclass(frozen=True)
class Page:
    """One page of the directory. ``total`` is known on the first page: up to ``COUNTED``, and one more for more.
    ``before`` and ``after`` are where its neighbors begin; None where there is none.
    """

    cards: Sequence[Card]
    filters: Filters
    options: Options
    total: int | None
    before: Cursor | None
    after: Cursor | None

    @property
    def skills(self) -> list[tuple[str, str]]:
        """What the form offers, with the skill that is chosen; pairs of key and name."""
        chosen = (self.filters.skill, self.filters.typed[Field.SKILL])
        is_offered = not chosen[0] or chosen[0] in dict(self.options.skills)
        return [*self.options.skills, *([] if is_offered else [chosen])]

    @property
    def currencies(self) -> list[str]:
        """What the form offers, with the currency that is chosen."""
        return list(dict.fromkeys([*self.options.currencies, self.filters.currency]))


@dataclass(frozen=True)
class _Found:
    key: str
    builder_id: int


def find_page(session: Session, args: Mapping[str, str], cache: OptionsCache, *, now: datetime) -> Page:
    """The page that an address names. An unknown page of a list is its first."""
    options = cache.load(session)
    known = {key for key, _ in options.skills}
    filters = read_filters(
        args, is_skill=lambda key: key in known or _is_skill(session, key), currency=options.currency
    )
    cursor = filters.cursor
    found = _find(session, filters, cursor, now)
    if cursor is not None and cursor.backwards and len(found) <= PER_PAGE:
        # Nothing is further ahead: this is the first page, and it is shown whole.
        cursor = None
        found = _find(session, filters, None, now)
    shown = found[:PER_PAGE]
    if cursor is not None and cursor.backwards:
        shown = shown[::-1]
    has_more = len(found) > PER_PAGE
    is_backwards = cursor is not None and cursor.backwards
    return Page(
        cards=_load_cards(
            session,
            [one.builder_id for one in shown],
            currency=filters.currency if filters.has_price else None,
            now=now,
        ),
        filters=filters,
        options=options,
        total=len(found) if cursor is None else None,
        before=Cursor(shown[0].key, backwards=True) if shown and cursor is not None else None,
        after=Cursor(shown[-1].key) if shown and (has_more or is_backwards) else None,
    )


def _is_skill(session: Session, key: str) -> bool:
    return (
        session.scalar(sa.select(BuilderSkill.builder_id).where(BuilderSkill.key == key).limit(1)) is not None
    )


def _find(session: Session, filters: Filters, cursor: Cursor | None, now: datetime) -> list[_Found]:
    """The keys of one page and one more; without a cursor as many as are counted and one more. With a cursor that goes
    backwards, the nearest comes first.
    """
    entry, dialect = DirectoryEntry, session.get_bind().dialect.name
    query = sa.select(entry.place, entry.builder_id).where(*_conditions(filters, now))
    order: list[Any] = [entry.place]
    if filters.words:
        nearer, last = FIELDS[:-1], FIELDS[-1]
        in_field = {field: entry.builder_id.in_(matching(dialect, filters.words, field)) for field in FIELDS}
        rank = sa.case(*((in_field[field], field) for field in nearer), else_=last).label("field")
        query = query.add_columns(rank).where(in_field[last])
        order.insert(0, rank)
    if cursor is not None:
        query = query.where(_beyond(order, cursor))
    descending = cursor is not None and cursor.backwards
    query = query.order_by(*(one.desc() if descending else one for one in order))
    most = COUNTED if cursor is None else PER_PAGE
    rows = session.execute(query.limit(most + 1))
    return [_Found("".join((*row[2:], row[0])), row[1]) for row in rows]


def _beyond(order: Sequence[Any], cursor: Cursor) -> sa.ColumnElement[bool]:
    *field, place = order
    value = cursor.place[len(field) :]
    is_beyond: sa.ColumnElement[bool] = place < value if cursor.backwards else place > value
    if not field:
        return is_beyond
    rank, of_cursor = field[0], cursor.place[0]
    is_ahead = rank < of_cursor if cursor.backwards else rank > of_cursor
    return sa.or_(is_ahead, sa.and_(rank == of_cursor, is_beyond))


def _conditions(filters: Filters, now: datetime) -> list[sa.ColumnElement[bool]]:
    entry = DirectoryEntry
    found: list[sa.ColumnElement[bool]] = []
    if filters.skill:
        skilled = sa.select(BuilderSkill.builder_id).where(BuilderSkill.key == filters.skill)
        found.append(entry.builder_id.in_(skilled))
    if filters.tier:
        found.append(entry.tier == filters.tier)
    if filters.availability:
        found.append(entry.availability == filters.availability)
    if filters.has_price:
        found.append(
            sa.exists().where(SessionType.builder_id == entry.builder_id, is_on_sale(), _costs(filters))
        )
    if filters.is_free_soon:
        found.append(entry.builder_id.in_(_free_soon(now)))
    return found


def _costs(filters: Filters) -> sa.ColumnElement[bool]:
    """The price is in the range. What costs nothing costs 0 in every currency."""
    price, low = SessionType.price_minor, filters.at_least or 0
    in_range = sa.and_(SessionType.currency == filters.currency, price >= low)
    if filters.at_most is not None:
        in_range = sa.and_(in_range, price <= filters.at_most)
    return in_range if low else sa.or_(in_range, price == 0)


def _free_soon(now: datetime) -> sa.Select[Any]:
    return (
        sa.select(SessionType.builder_id)
        .join(FreeTime, FreeTime.session_type_id == SessionType.id)
        .join(Builder, Builder.id == SessionType.builder_id)
        .where(is_on_sale(), FreeTime.next_at > now, FreeTime.next_at <= now + SOON)
        .where(FreeTime.checked_at > now - TRUE_FOR, Builder.disconnected_at.is_(None))
    )


def find_offer(session: Session, builder: Builder, *, now: datetime) -> Offer:
    """What one builder sells, by our own price list and facts: one statement."""
    types = session.execute(_priced([builder.id])).all()
    return Offer(**_price(types, builder.default_currency), **_next_free(types, now))


def _load_cards(session: Session, ids: Sequence[int], *, currency: str | None, now: datetime) -> list[Card]:
    """The cards of these builders, in this order: three statements. Prices are in ``currency`` where there is one, else
    in the builder's own.
    """
    if not ids:
        return []
    columns = (
        Builder.id, Builder.slug, Builder.display_name, Builder.headline, Builder.tier, Builder.availability,
        Builder.timezone, Builder.is_demo, Builder.disconnected_at, Builder.default_currency,
        Builder.picture, Builder.picture_alt,
    )  # fmt: skip
    builders = {row.id: row for row in session.execute(sa.select(*columns).where(Builder.id.in_(ids)))}
    named = sa.select(BuilderSkill.builder_id, BuilderSkill.name).where(BuilderSkill.builder_id.in_(ids))
    skills = _grouped(session, named.order_by(BuilderSkill.builder_id, BuilderSkill.position))
    types = _grouped(session, _priced(ids))
    return [
        Card(
            slug=row.slug,
            name=row.display_name,
            headline=row.headline,
            tier=row.tier,
            availability=row.availability,
            timezone=row.timezone,
            is_demo=row.is_demo,
            is_paused=row.disconnected_at is not None,
            skills=[skill.name for skill in skills.get(row.id, ())],
            picture=row.picture,
            picture_alt=row.picture_alt,
            **_price(types.get(row.id, ()), currency or row.default_currency),
            **({} if row.disconnected_at else _next_free(types.get(row.id, ()), now)),
        )
        for row in (builders[one] for one in ids)
    ]


def _priced(ids: Sequence[int]) -> sa.Select[Any]:
    """What these builders sell, each the cheapest first, with the facts about free times."""
    price, fact = SessionType, FreeTime
    columns: tuple[Any, ...] = (
        price.builder_id,
        price.price_minor,
        price.currency,
        fact.next_at,
        fact.checked_at,
    )
    query = sa.select(*columns)
    query = query.outerjoin(FreeTime, FreeTime.session_type_id == SessionType.id)
    query = query.where(SessionType.builder_id.in_(ids), is_on_sale())
    return query.order_by(SessionType.builder_id, SessionType.price_minor)


def _grouped(session: Session, query: sa.Executable) -> dict[int, list[Any]]:
    return {key: list(rows) for key, rows in groupby(session.execute(query), key=lambda row: row[0])}


def _price(types: Sequence[Any], currency: str) -> dict[str, Any]:
    """The lowest price, in ``currency`` where there is one."""
    priced = [one for one in types if one.price_minor]
    lowest = next((one for one in priced if one.currency == currency), priced[0] if priced else None)
    found = {"has_free": len(priced) < len(types)}
    return found | ({"price_minor": lowest.price_minor, "currency": lowest.currency} if lowest else {})


def _next_free(types: Sequence[Any], now: datetime) -> dict[str, Any]:
    """The earliest time that is still ahead, of facts that are young enough to be true."""
    young = [one for one in types if one.checked_at and one.checked_at > now - TRUE_FOR]
    ahead = [one for one in young if one.next_at and one.next_at > now]
    first = min(ahead, key=lambda one: one.next_at, default=None)
    found = {"next_at": first.next_at, "checked_at": first.checked_at} if first else {}
    return {"knows_times": bool(young), **found}
