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

from bookingapp.builders.models import (
    Availability,
    Builder,
    BuilderSkill,
    Tier,
    hue_of,
    initials_of,
)
from bookingapp.core.db import table_of
from bookingapp.directory.filters import Cursor, Field, Filters, read_filters
from bookingapp.directory.options import Options, OptionsCache
from bookingapp.directory.places import find_places
from bookingapp.session_types.free_times import TRUE_FOR
from bookingapp.session_types.models import FreeTime, SessionType, is_on_sale

PER_PAGE = 24
COUNTED = 100
"""Up to how many builders are counted."""


# Of some builders, each built once: building them takes longer than executing them.
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_B, _S, _P, _F = (table_of(model).c for model in (Builder, BuilderSkill, SessionType, FreeTime))
_BUILDERS = sa.select(
    _B.id, _B.slug, _B.display_name, _B.headline, _B.tier, _B.availability, _B.timezone, _B.is_demo,
    _B.disconnected_at, _B.default_currency, _B.picture, _B.picture_alt,
).where(_B.id.in_(_IDS))  # fmt: skip
_SKILLS = (
    sa.select(_S.builder_id, _S.name).where(_S.builder_id.in_(_IDS)).order_by(_S.builder_id, _S.position)
)
# What they sell, each the cheapest first, with the facts about free times.
_PRICED = (
    sa.select(_P.builder_id, _P.price_minor, _P.currency, _F.next_at, _F.checked_at)
    .join_from(table_of(SessionType), table_of(FreeTime), _F.session_type_id == _P.id, isouter=True)
    .where(_P.builder_id.in_(_IDS), is_on_sale())
    .order_by(_P.builder_id, _P.price_minor)
)


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


def find_page(session: Session, args: Mapping[str, str], cache: OptionsCache, *, now: datetime) -> Page:
    """The page that an address names. An unknown page of a list is its first."""
    options = cache.load(session)
    known = {key for key, _ in options.skills}
    filters = read_filters(
        args, is_skill=lambda key: key in known or _is_skill(session, key), currency=options.currency
    )
    cursor = filters.cursor
    sizes = {"size": PER_PAGE + 1, "counted": COUNTED + 1}
    found, total = find_places(session, filters, cursor, now=now, **sizes)
    if cursor is not None and cursor.backwards and len(found) <= PER_PAGE:
        # Nothing is further ahead: this is the first page, and it is shown whole.
        cursor = None
        found, total = find_places(session, filters, None, now=now, **sizes)
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
        total=total,
        before=Cursor(shown[0].key, backwards=True) if shown and cursor is not None else None,
        after=Cursor(shown[-1].key) if shown and (has_more or is_backwards) else None,
    )


def _is_skill(session: Session, key: str) -> bool:
    return (
        session.scalar(sa.select(BuilderSkill.builder_id).where(BuilderSkill.key == key).limit(1)) is not None
    )


def find_offer(session: Session, builder: Builder, *, now: datetime) -> Offer:
    """What one builder sells, by our own price list and facts: one statement."""
    types = session.execute(_PRICED, {"ids": [builder.id]}).all()
    return Offer(**_price(types, builder.default_currency), **_next_free(types, now))


def _load_cards(session: Session, ids: Sequence[int], *, currency: str | None, now: datetime) -> list[Card]:
    """The cards of these builders, in this order: three statements. Prices are in ``currency`` where there is one, else
    in the builder's own.
    """
    if not ids:
        return []
    whose = {"ids": ids}
    builders = {row.id: row for row in session.execute(_BUILDERS, whose)}
    skills, types = (_grouped(session, statement, whose) for statement in (_SKILLS, _PRICED))
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


def _grouped(session: Session, query: sa.Executable, values: Mapping[str, Any]) -> dict[int, list[Any]]:
    return {key: list(rows) for key, rows in groupby(session.execute(query, values), key=lambda row: row[0])}


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
