"""What we keep of a builder's event type. Title, duration and description are Calendly's and stay there."""

from __future__ import annotations

import enum
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import Model


class Category(enum.StrEnum):
    """What kind of session it is."""

    FREE = "free"
    PATHWAY = "pathway"
    SPECIALIZED = "specialized"
    OTHER = "other"

    @property
    def label(self) -> str:
        """The heading under which the cards stand."""
        return {
            "free": "Get started",
            "pathway": "Pathway sessions",
            "specialized": "Specialized sessions",
            "other": "Sessions",
        }[self.value]


def asks_for_sign_in(category: Category) -> bool:
    """The rule where the builder has not set another: pathway sessions are for clients who are known."""
    return category is Category.PATHWAY


class SessionType(Model):
    """The price list: one row for each event type that its builder has priced, keyed by the event type's URI."""

    __tablename__ = "session_types"
    __table_args__ = (
        sa.UniqueConstraint("builder_id", "event_type_uri"),
        sa.CheckConstraint("price_minor >= 0", name="price_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    builder_id: Mapped[int] = mapped_column(sa.ForeignKey("builders.id"), index=True)
    event_type_uri: Mapped[str] = mapped_column(sa.String(255))
    price_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(sa.String(3))
    category: Mapped[Category] = mapped_column(default=Category.OTHER)
    published: Mapped[bool] = mapped_column(default=True)
    # Whether a client has to verify their e-mail address before they book; see :func:`asks_for_sign_in`.
    requires_sign_in: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    display_order: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]
