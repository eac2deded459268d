"""Builder profiles."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bookingapp.accounts.models import Account
from bookingapp.core.db import Model

HUES = 8


class Tier(enum.StrEnum):
    """How far a builder's work has been validated; set by the operator only."""

    ENTRY = "entry"
    ESTABLISHED = "established"
    EXPERT = "expert"

    @property
    def label(self) -> str:
        """The word on the badge."""
        return self.value.capitalize()


class Availability(enum.StrEnum):
    """What a builder says of their own time, for the directory."""

    AVAILABLE = "available"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"

    @property
    def label(self) -> str:
        """The words on the badge."""
        return {"available": "Available", "limited": "A few places left", "unavailable": "Fully booked"}[
            self.value
        ]


class Builder(Model):
    """Somebody who builds apps with AI and teaches others to; bookable through their Calendly user."""

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
    calendly_user_uri: Mapped[str] = mapped_column(sa.String(255), unique=True)
    tier: Mapped[Tier] = mapped_column(default=Tier.ENTRY)
    availability: Mapped[Availability] = mapped_column(default=Availability.AVAILABLE)
    listed: Mapped[bool] = mapped_column(default=True)
    is_demo: Mapped[bool] = mapped_column(default=False)
    # Raised when Calendly says that an event type changed: it is part of the name under which answers are
    # kept, so every process asks anew at once, whichever of them was told.
    catalog_version: Mapped[int] = mapped_column(default=0)
    # Since when Calendly takes no token that serves this builder. While it is set, nothing can be booked; what
    # is booked stays as it is.
    disconnected_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    account: Mapped[Account] = relationship(lazy="raise_on_sql")

    @property
    def tenant(self) -> str:
        """The name under which the Calendly client keeps this builder's token and cache apart."""
        return f"builder:{self.id}-{self.catalog_version}"

    @property
    def tier_label(self) -> str:
        """The word on the tier's badge."""
        return self.tier.label

    @property
    def availability_label(self) -> str:
        """The words on the availability badge."""
        return self.availability.label

    @property
    def initials(self) -> str:
        """Two letters for the avatar."""
        words = self.display_name.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"

    @property
    def hue(self) -> int:
        """Which of the avatar's colors is this builder's: the same on every page and every day."""
        return crc32(self.slug.encode()) % HUES

    @property
    def paragraphs(self) -> list[str]:
        """The bio, split where it has an empty line."""
        return [part.strip() for part in self.bio.replace("\r\n", "\n").split("\n\n") if part.strip()]
