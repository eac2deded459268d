"""Keeps the directory's entries true: each flush that writes a builder writes the entry with it.

A statement that updates builders without loading them would pass this by, so one that sets what an entry is made of is
refused. After a change from outside of the application, ``flask builders reindex`` makes every entry anew.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, joinedload, selectinload

from bookingapp.builders.models import Builder, DirectoryEntry, Tier
from bookingapp.text import words

FIELDS = "abcd"
"""The fields of an entry by rank: a is the name, b that and the headline, c these and the skills, d all and the bio."""
SOURCES = frozenset(
    (
        "slug", "display_name", "headline", "bio", "skill_rows", "tier", "availability", "featured_at",
        "listed", "suspended_at", "calendly_user_uri",
    )
)  # fmt: skip
"""The attributes of a builder that entries are made of."""
LONGEST_NAME = 60
BATCH = 200
_TIERS = {tier: position for position, tier in enumerate(reversed(Tier))}


class StaleEntries(RuntimeError):
    """A statement would have changed builders and not their entries in the directory."""


def field_words(text: str) -> list[str]:
    """The words of ``text`` as both databases index them: ASCII alone, so that no tokenizer splits them its own way."""
    return ["".join(part if part.isascii() else f"x{ord(part):05x}" for part in word) for word in words(text)]


def make_words(builder: Builder) -> str:
    """Every word of an entry, once for each field that has it, behind the field's letter."""
    texts = (builder.display_name, builder.headline, " ".join(builder.skills), builder.bio)
    fields = accumulate(map(field_words, texts))
    by_letter = zip(FIELDS, fields, strict=True)
    return " ".join(f"{letter}{word}" for letter, found in by_letter for word in dict.fromkeys(found))


def make_place(builder: Builder) -> str:
    """Where the entry stands: featured builders first, then the most validated, then by name. Never the same twice."""
    name = ".".join(words(builder.display_name))[:LONGEST_NAME]
    return f"{0 if builder.featured_at else 1}{_TIERS[builder.tier]}-{name}-{builder.slug}"


def write_entry(builder: Builder) -> None:
    """Make the builder's entry say what the builder says."""
    if not builder.belongs_in_directory:
        builder.entry = None
        return
    values = {
        "place": make_place(builder),
        "tier": builder.tier,
        "availability": builder.availability,
        "words": make_words(builder),
    }
    if builder.entry is None:
        builder.entry = DirectoryEntry(**values)
        return
    for name, value in values.items():
        setattr(builder.entry, name, value)


def reindex(session: Session) -> int:
    """Make every builder's entry anew, in the caller's transaction. Returns how many builders there are."""
    count, last = 0, 0
    query = sa.select(Builder).options(selectinload(Builder.skill_rows), joinedload(Builder.entry))
    while found := session.scalars(query.where(Builder.id > last).order_by(Builder.id).limit(BATCH)).all():
        for builder in found:
            write_entry(builder)
        count, last = count + len(found), found[-1].id
        session.flush()
        session.expunge_all()
    return count


@event.listens_for(Session, "before_flush")
def _write_entries(session: Session, *_: Any) -> None:
    for one in [*session.new, *session.dirty]:
        if isinstance(one, Builder) and (one in session.new or _has_changed(one)):
            write_entry(one)


def _has_changed(builder: Builder) -> bool:
    attributes = sa.inspect(builder).attrs
    return any(attributes[name].history.has_changes() for name in SOURCES)


@event.listens_for(Session, "do_orm_execute")
def _refuse_to_pass_by(state: ORMExecuteState) -> None:
    mapper = state.bind_mapper
    if not isinstance(state.statement, sa.Update) or mapper is None or mapper.class_ is not Builder:
        return
    given = state.parameters if isinstance(state.parameters, dict) else {}
    set_here = {getattr(one, "key", one) for one in state.statement._values or ()}  # noqa: SLF001 - no other way.
    if passed_by := SOURCES & {*set_here, *given}:
        raise StaleEntries(
            f"load the builders and set {', '.join(sorted(passed_by))} on each: see {__name__}"
        )
