"""The directory's search and filters, as the address has them and as they are applied.

A value that means nothing does not filter, and the page says so.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bookingapp.builders.entries import FIELDS, field_words
from bookingapp.builders.models import Availability, Tier, skill_key
from bookingapp.core.i18n import N_, gettext
from bookingapp.core.money import CURRENCIES, AmountError, maximum_minor, parse_amount
from bookingapp.text import read_code

LONGEST = 100
LONGEST_CURSOR = 240
FREE_SOON = "week"


class Field(enum.StrEnum):
    """A field of the form, by its name in the address."""

    Q = "q"
    SKILL = "skill"
    TIER = "tier"
    AVAILABILITY = "availability"
    CURRENCY = "currency"
    FROM = "from"
    TO = "to"
    FREE = "free"

    @property
    def label(self) -> str:
        """What the form calls it."""
        return gettext(_LABELS[self])


_LABELS = {
    Field.Q: N_("Search"),
    Field.SKILL: N_("Skill"),
    Field.TIER: N_("Experience"),
    Field.AVAILABILITY: N_("Availability"),
    Field.CURRENCY: N_("Currency"),
    Field.FROM: N_("Price from"),
    Field.TO: N_("Price to"),
    Field.FREE: N_("Free times"),
}


@dataclass(frozen=True)
class Cursor:
    """Where a page of the directory begins: after that place, or with ``backwards`` before it. In a search the first
    letter is the field of the entry at that place.
    """

    place: str
    backwards: bool = False


@dataclass(frozen=True)
class Filters:
    """What is applied; amounts are in minor units of ``currency``. ``typed`` is what the form shows, and
    ``not_applied`` which of it means nothing. ``is_lost``: the address names a page that this list does not have.
    """

    typed: Mapping[Field, str]
    words: tuple[str, ...] = ()
    skill: str = ""
    tier: Tier | None = None
    availability: Availability | None = None
    currency: str = ""
    at_least: int | None = None
    at_most: int | None = None
    is_free_soon: bool = False
    cursor: Cursor | None = None
    is_lost: bool = False
    not_applied: tuple[Field, ...] = ()

    @property
    def has_price(self) -> bool:
        """Whether builders are filtered by a price."""
        return self.at_least is not None or self.at_most is not None

    @property
    def are_set(self) -> bool:
        """Whether anything is searched or filtered."""
        return bool(self.words) or self.count > 0

    @property
    def count(self) -> int:
        """How many filters are applied besides the search."""
        return sum(map(bool, (self.skill, self.tier, self.availability, self.has_price, self.is_free_soon)))

    @property
    def address(self) -> dict[str, str]:
        """The parameters of an address that shows the same: those that are applied, as typed."""
        kept = {name: text for name, text in self.typed.items() if text and name not in self.not_applied}
        if not self.has_price:
            kept.pop(Field.CURRENCY, None)
        return {str(name): text for name, text in kept.items()}

    def at(self, cursor: Cursor) -> dict[str, str]:
        """The parameters of the address of another page of the same."""
        return {**self.address, "before" if cursor.backwards else "after": cursor.place}


def read_filters(args: Mapping[str, str], *, is_skill: Callable[[str], bool], currency: str) -> Filters:
    """The filters of an address. ``is_skill`` says whether a builder has the skill of that key; prices without a
    currency are in ``currency``.
    """
    typed = {name: args.get(name, "").strip()[:LONGEST] for name in Field}
    words = tuple(field_words(typed[Field.Q]))
    skill = skill_key(typed[Field.SKILL]) if typed[Field.SKILL] else ""
    tier, availability = (
        read_code(Tier, typed[Field.TIER]),
        read_code(Availability, typed[Field.AVAILABILITY]),
    )
    money = typed[Field.CURRENCY].upper()
    known = money if money in CURRENCIES else currency
    at_least, at_most = _amount(typed[Field.FROM], known), _amount(typed[Field.TO], known)
    if at_least is not None and at_most is not None and at_least > at_most:
        at_least = at_most = None
    read = {
        Field.Q: words,
        Field.SKILL: skill and is_skill(skill),
        Field.TIER: tier,
        Field.AVAILABILITY: availability,
        Field.CURRENCY: money in CURRENCIES,
        Field.FROM: at_least is not None,
        Field.TO: at_most is not None,
        Field.FREE: typed[Field.FREE] == FREE_SOON,
    }
    cursor, is_lost = _read_cursor(args, is_search=bool(words))
    return Filters(
        typed=typed,
        words=words,
        skill=skill if read[Field.SKILL] else "",
        tier=tier,
        availability=availability,
        currency=known,
        at_least=at_least,
        at_most=at_most,
        is_free_soon=bool(read[Field.FREE]),
        cursor=cursor,
        is_lost=is_lost,
        not_applied=tuple(name for name, text in typed.items() if text and not read[name]),
    )


def _amount(text: str, currency: str) -> int | None:
    if not text:
        return None
    try:
        return min(parse_amount(text, currency), maximum_minor(currency))
    except AmountError:
        return None


def _read_cursor(args: Mapping[str, str], *, is_search: bool) -> tuple[Cursor | None, bool]:
    """The cursor of an address, and whether it has one that belongs to no such list."""
    for name in ("after", "before"):
        place = args.get(name, "")
        if place and len(place) <= LONGEST_CURSOR and (place[0] in FIELDS) is is_search:
            return Cursor(place, backwards=name == "before"), False
    return None, "after" in args or "before" in args
