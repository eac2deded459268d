"""Builders' profiles."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bookingapp.accounts.models import Account
from bookingapp.core.db import Model, code_column
from bookingapp.core.i18n import N_, gettext
from bookingapp.integrations.calendly import CalendlyUnauthorized
from bookingapp.text import words

HUES = 8
LONGEST_SLUG = 64


class Tier(enum.StrEnum):
    """How far a builder's work has been validated; set by the operator only."""

    ENTRY = "entry"
    ESTABLISHED = "established"
    EXPERT = "expert"

    @property
    def label(self) -> str:
        """The word on the badge."""
        return gettext(_TIERS[self])

    @property
    def explained(self) -> str:
        """The word with what it means."""
        return gettext(_EXPLAINED[self])


_EXPLAINED = {
    Tier.ENTRY: N_("Entry: new here"),
    Tier.ESTABLISHED: N_("Established: we know their work"),
    Tier.EXPERT: N_("Expert: we know their work very well"),
}
_TIERS = {Tier.ENTRY: N_("Entry"), Tier.ESTABLISHED: N_("Established"), Tier.EXPERT: N_("Expert")}


class Availability(enum.StrEnum):
    """How much time a builder has, by their own account."""

    AVAILABLE = "available"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"

    @property
    def label(self) -> str:
        """The words on the badge."""
        return gettext(_AVAILABILITIES[self])


_AVAILABILITIES = {
    Availability.AVAILABLE: N_("Available"),
    Availability.LIMITED: N_("A few places left"),
    Availability.UNAVAILABLE: N_("Fully booked"),
}


class Way(enum.StrEnum):
    """A way of choosing a time. Settings and addresses have these words."""

    WIDGET = "widget"  # Calendly's calendar.
    TIMES = "times"  # Our own list.

    @property
    def label(self) -> str:
        """The words of the choice."""
        return gettext(_WAYS[self])


_WAYS = {Way.WIDGET: N_("Calendly's calendar"), Way.TIMES: N_("The list of times")}


class Closure(enum.StrEnum):
    """Why nothing new can be booked with a builder. Booked sessions still take place."""

    SUSPENDED = "suspended"  # By an operator.
    UNCONNECTED = "unconnected"  # They have no Calendly user yet.
    DISCONNECTED = "disconnected"  # Calendly accepts no token for them.


def skill_key(name: str) -> str:
    """By what two spellings of one skill are found equal: ``C++`` and ``c++``, ``Node.js`` and ``node js``."""
    return " ".join(words(name)) or name.casefold().strip()


class BuilderSkill(Model):
    """One skill of a builder, as typed, with what it is compared by. Assigning ``Builder.skills`` writes these rows."""

    __tablename__ = "builder_skills"
    __table_args__ = (sa.Index("ix_builder_skills_key_builder_id", "key", "builder_id"),)

    builder_id: Mapped[int] = mapped_column(
        sa.ForeignKey("builders.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    position: Mapped[int]


class DirectoryEntry(Model):
    """What the directory searches and sorts by. A builder has one exactly while the directory lists them; it is
    written with the builder (:mod:`bookingapp.builders.entries`), and by nothing else.

    What each database adds for full text is in its migration: on SQLite the FTS5 table ``directory_search`` with the
    triggers that fill it, on PostgreSQL the generated column ``document`` with a GIN index (``is_full_text``).
    """

    __tablename__ = "directory_entries"
    __table_args__ = (sa.Index("ix_directory_entries_place", "place", "tier", "availability", unique=True),)

    builder_id: Mapped[int] = mapped_column(
        sa.ForeignKey("builders.id", ondelete="CASCADE"), primary_key=True
    )
    # Where in the directory: entries are sorted by it, by code points on both databases. Its text is in addresses.
    place: Mapped[str] = mapped_column(sa.Text().with_variant(sa.Text(collation="C"), "postgresql"))
    tier: Mapped[Tier] = mapped_column(code_column(Tier))
    availability: Mapped[Availability] = mapped_column(code_column(Availability))
    # Every word with the letter of its field before it; see ``entries.py``.
    words: Mapped[str] = mapped_column(sa.Text, deferred=True)


_FULL_TEXT = frozenset(("document", "ix_directory_entries_document"))


def is_full_text(name: str | None) -> bool:
    """Whether a table, column or index is what only one of the databases has, so that no model has it. FTS5 keeps
    tables whose names begin with its own.
    """
    return name in _FULL_TEXT or (name or "").startswith("directory_search")


class Builder(Model):
    """A person who builds apps with AI and teaches it; bookable through their Calendly user."""

    __tablename__ = "builders"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), unique=True)
    slug: Mapped[str] = mapped_column(sa.String(LONGEST_SLUG), unique=True)
    display_name: Mapped[str] = mapped_column(sa.String(120))
    headline: Mapped[str] = mapped_column(sa.String(160), default="")
    bio: Mapped[str] = mapped_column(sa.Text, default="")  # Markdown, as typed.
    # The bio as HTML, rendered when it was saved; None for plain text of before (see ``about``).
    bio_html: Mapped[str | None] = mapped_column(sa.Text)
    links: Mapped[dict[str, Any]] = mapped_column(default=dict)  # {label: https address}
    # The digest of their picture (``builder_pictures``), and its description for those who cannot see it.
    picture: Mapped[str | None] = mapped_column(sa.String(32))
    picture_alt: Mapped[str] = mapped_column(sa.String(160), default="", server_default="")
    # Steps of their cancellation policy (``builders/policy.py``); None: the usual ones.
    refund_steps: Mapped[list[dict[str, Any]] | None]
    timezone: Mapped[str] = mapped_column(sa.String(64), default="UTC")
    default_currency: Mapped[str] = mapped_column(sa.String(3), default="GBP")
    # None until the builder has connected an account, or an operator has chosen a user of the platform's organization.
    calendly_user_uri: Mapped[str | None] = mapped_column(sa.String(255), unique=True)
    tier: Mapped[Tier] = mapped_column(default=Tier.ENTRY)
    availability: Mapped[Availability] = mapped_column(default=Availability.AVAILABLE)
    # With which way of choosing a time the schedule page opens; None: as the installation says.
    scheduling_first: Mapped[Way | None] = mapped_column(code_column(Way))
    # The builder's own choice; ``belongs_in_directory`` decides what the directory lists.
    listed: Mapped[bool] = mapped_column(default=True)
    # Since when an operator shows them first in the directory.
    featured_at: Mapped[datetime | None]
    # Since when an operator has suspended the builder, and why, in words for the builder.
    suspended_at: Mapped[datetime | None]
    suspension_reason: Mapped[str | None] = mapped_column(sa.String(300))
    is_demo: Mapped[bool] = mapped_column(default=False)
    # Raised when Calendly says that an event type changed. It is part of the cache's key (see ``tenant``), so every
    # process fetches the types again at once.
    catalog_version: Mapped[int] = mapped_column(default=0)
    # Since when Calendly accepts no token for this builder. While it is set, nothing can be booked; bookings stay as
    # they are.
    disconnected_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    account: Mapped[Account] = relationship(lazy="raise_on_sql")
    skill_rows: Mapped[list[BuilderSkill]] = relationship(
        cascade="all, delete-orphan", order_by="BuilderSkill.position"
    )
    entry: Mapped[DirectoryEntry | None] = relationship(cascade="all, delete-orphan")

    def __init__(self, **values: Any) -> None:
        # As the columns' defaults, which come only with the INSERT: the entry is made before.
        defaults = {"headline": "", "bio": "", "listed": True, "tier": Tier.ENTRY}
        super().__init__(**{**defaults, "availability": Availability.AVAILABLE, **values})

    @property
    def skills(self) -> list[str]:
        """What they are good at, as typed and in that order."""
        return [row.name for row in self.skill_rows]

    @skills.setter
    def skills(self, names: Sequence[str]) -> None:
        """Replace them. Of several that compare alike the first is kept."""
        wanted = {skill_key(name): name for name in reversed(names) if name.strip()}
        known = {row.key: row for row in self.skill_rows}
        keys = sorted(wanted, key=lambda key: names.index(wanted[key]))
        self.skill_rows = [known.get(key) or BuilderSkill(key=key) for key in keys]
        for position, row in enumerate(self.skill_rows):
            row.name, row.position = wanted[row.key], position

    @property
    def belongs_in_directory(self) -> bool:
        """Whether the directory lists them: they want it, are connected, and not suspended."""
        return self.listed and self.suspended_at is None and self.calendly_user_uri is not None

    @property
    def closure(self) -> Closure | None:
        """Why nothing new can be booked now; None where it can. Every guard asks here."""
        return closure_of(self.suspended_at, self.calendly_user_uri, self.disconnected_at)

    @property
    def calendly_user(self) -> str:
        """The URI of their Calendly user. Raises :class:`CalendlyUnauthorized` while they have none."""
        if self.calendly_user_uri is None:
            raise CalendlyUnauthorized(f"builder {self.id} has no Calendly user yet; nothing was sent")
        return self.calendly_user_uri

    @property
    def tenant(self) -> str:
        """The name of this builder's token and cache in the Calendly client."""
        return f"builder:{self.id}-{self.catalog_version}"

    @property
    def initials(self) -> str:
        """The first letters of the first and the last name, for the avatar."""
        return initials_of(self.display_name)

    @property
    def hue(self) -> int:
        """The avatar's color, as a number of the stylesheet's: always the same for one builder."""
        return hue_of(self.slug)

    @property
    def about(self) -> Markup:
        """The bio as HTML. Plain text of before is split at its empty lines."""
        if self.bio_html is not None:
            return Markup(self.bio_html)  # noqa: S704 - cleaned when it was rendered (builders/bio.py)
        parts = self.bio.replace("\r\n", "\n").split("\n\n")
        return Markup().join(Markup("<p>{}</p>").format(part.strip()) for part in parts if part.strip())


def closure_of(
    suspended_at: datetime | None, calendly_user_uri: str | None, disconnected_at: datetime | None
) -> Closure | None:
    """:attr:`Builder.closure`, of the columns that decide it."""
    if suspended_at is not None:
        return Closure.SUSPENDED
    if calendly_user_uri is None:
        return Closure.UNCONNECTED
    return Closure.DISCONNECTED if disconnected_at is not None else None


class PictureSize(enum.StrEnum):
    """For what a copy of a picture is made."""

    CARD = "card"
    PAGE = "page"


class BuilderPicture(Model):
    """A builder's picture in one size."""

    __tablename__ = "builder_pictures"
    __table_args__ = (sa.Index("ix_builder_pictures_digest", "digest", "size"),)

    builder_id: Mapped[int] = mapped_column(sa.ForeignKey("builders.id"), primary_key=True)
    size: Mapped[PictureSize] = mapped_column(code_column(PictureSize), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(32))
    content: Mapped[bytes] = mapped_column(sa.LargeBinary)  # WebP.


def is_in_directory() -> sa.ColumnElement[bool]:
    """The condition for builders whom the directory lists."""
    return Builder.id.in_(sa.select(DirectoryEntry.builder_id))


def initials_of(name: str) -> str:
    """The first letters of the first and the last name."""
    parts = name.split()
    return "".join(part[0] for part in (parts[:1] + parts[1:][-1:])).upper() or "?"


def hue_of(slug: str) -> int:
    """The color of an avatar, as a number of the stylesheet's."""
    return crc32(slug.encode()) % HUES
