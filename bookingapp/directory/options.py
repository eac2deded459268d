"""What the directory's form offers to choose from: counted at most once a minute in each process, because counting
reads the skills and prices of everybody.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.builders.models import BuilderSkill, DirectoryEntry
from bookingapp.session_types.models import SessionType, is_on_sale

MOST_SKILLS = 40
FRESH_SECONDS = 60.0
FALLBACK_CURRENCY = "GBP"


@dataclass(frozen=True)
class Options:
    """The most frequent skills, by name, and the currencies of prices, the most frequent first."""

    skills: Sequence[tuple[str, str]]
    """Pairs of key and name."""
    currencies: Sequence[str]

    @property
    def currency(self) -> str:
        """The currency that is chosen until the visitor chooses another one."""
        return self.currencies[0] if self.currencies else FALLBACK_CURRENCY


class OptionsCache:
    """The options of one application. Safe for threads: at worst two of them count at once."""

    def __init__(self) -> None:
        self._read: tuple[float, Options] | None = None

    def load(self, session: Session) -> Options:
        """The options, at most a minute old."""
        now = time.monotonic()
        if self._read is None or now - self._read[0] >= FRESH_SECONDS:
            self._read = now, _read(session)
        return self._read[1]


def _read(session: Session) -> Options:
    """In one statement, because it comes before those of a page."""
    uses = sa.func.count().label("uses")
    skills = (
        sa.select(BuilderSkill.key, sa.func.min(BuilderSkill.name).label("name"), uses)
        .join(DirectoryEntry, DirectoryEntry.builder_id == BuilderSkill.builder_id)
        .group_by(BuilderSkill.key)
        .order_by(uses.desc(), BuilderSkill.key)
        .limit(MOST_SKILLS)
        .subquery()
    )
    currencies = (
        sa.select(SessionType.currency, sa.null().label("name"), uses)
        .where(is_on_sale(), SessionType.price_minor > 0)
        .group_by(SessionType.currency)
        .subquery()
    )
    both = sa.union_all(sa.select(skills), sa.select(currencies))
    found = session.execute(both).all()
    named = [(key, name) for key, name, _ in found if name is not None]
    priced = sorted((-used, currency) for currency, name, used in found if name is None)
    return Options(sorted(named, key=lambda pair: pair[1].casefold()), [currency for _, currency in priced])
