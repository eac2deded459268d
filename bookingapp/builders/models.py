"""Builders' profiles."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bookingapp.accounts.models import Account
from bookingapp.core.db import Model, code_column
from bookingapp.core.i18n import N_, gettext
from bookingapp.integrations.calendly import CalendlyUnauthorized

HUES = 8


class Tier(enum.StrEnum):
    """How far a builder's work has been validated; set by the operator only."""

    ENTRY = "entry"
    ESTABLISHED = "established"
    EXPERT = "expert"

    @property
    def label(self) -> str:
        """The word on the badge."""
        return gettext(_TIERS[self])


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
    """Why nothing new can be booked with a builder. What is booked stays booked."""

    SUSPENDED = "suspended"  # By an operator.
    UNCONNECTED = "unconnected"  # They have no Calendly user yet.
    DISCONNECTED = "disconnected"  # Calendly accepts no token for them.


class Builder(Model):
    """A person who builds apps with AI and teaches it; bookable through their Calendly user."""

    __tablename__ = "builders"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), unique=True)
    slug: Mapped[str] = mapped_column(sa.String(64), unique=True)
    display_name: Mapped[str] = mapped_column(sa.String(120))
    headline: Mapped[str] = mapped_column(sa.String(160), default="")
    bio: Mapped[str] = mapped_column(sa.Text, default="")  # Plain text; an empty line begins a paragraph.
    skills: Mapped[list[str]] = mapped_column(default=list)
    links: Mapped[dict[str, Any]] = mapped_column(default=dict)  # {label: https address}
    timezone: Mapped[str] = mapped_column(sa.String(64), default="UTC")
    default_currency: Mapped[str] = mapped_column(sa.String(3), default="GBP")
    # None until the builder has connected an account, or an operator has chosen a user of the platform's organization.
    calendly_user_uri: Mapped[str | None] = mapped_column(sa.String(255), unique=True)
    tier: Mapped[Tier] = mapped_column(default=Tier.ENTRY)
    availability: Mapped[Availability] = mapped_column(default=Availability.AVAILABLE)
    # With which way of choosing a time the schedule page opens; None: as the installation says.
    scheduling_first: Mapped[Way | None] = mapped_column(code_column(Way))
    # The builder's own choice; ``is_in_directory`` decides what the directory lists.
    listed: Mapped[bool] = mapped_column(default=True)
    # Since when an operator shows them first in the directory.
    featured_at: Mapped[datetime | None]
    # Since when an operator lets nobody book them, and why, as the builder reads it.
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

    @property
    def closure(self) -> Closure | None:
        """Why nothing new can be booked now; None where it can. Every guard asks here."""
        if self.suspended_at is not None:
            return Closure.SUSPENDED
        if self.calendly_user_uri is None:
            return Closure.UNCONNECTED
        return Closure.DISCONNECTED if self.disconnected_at is not None else None

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
        words = self.display_name.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"

    @property
    def hue(self) -> int:
        """The avatar's color, as a number of the stylesheet's: always the same for one builder."""
        return crc32(self.slug.encode()) % HUES

    @property
    def paragraphs(self) -> list[str]:
        """The bio, split at its empty lines."""
        return [part.strip() for part in self.bio.replace("\r\n", "\n").split("\n\n") if part.strip()]


def is_in_directory() -> sa.ColumnElement[bool]:
    """The condition for builders whom the directory lists: published by themselves, connected, and not suspended."""
    return sa.and_(Builder.listed, Builder.suspended_at.is_(None), Builder.calendly_user_uri.is_not(None))
