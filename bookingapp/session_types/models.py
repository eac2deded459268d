"""The price list, and the codes of what a session type is. Title, duration and description are only in Calendly."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookingapp.core.db import MINOR_UNITS, Model, code_column
from bookingapp.core.i18n import N_, gettext


class Category(enum.StrEnum):
    """What kind of session it is."""

    FREE = "free"
    PATHWAY = "pathway"
    SPECIALIZED = "specialized"
    OTHER = "other"

    @property
    def label(self) -> str:
        """The heading of its cards."""
        return gettext(_CATEGORIES[self])


_CATEGORIES = {
    Category.FREE: N_("Get started"),
    Category.PATHWAY: N_("Pathway sessions"),
    Category.SPECIALIZED: N_("Specialized sessions"),
    Category.OTHER: N_("Sessions"),
}


class Pathway(enum.StrEnum):
    """What somebody wants from a pathway session."""

    ACCELERATE = "accelerate"
    PIVOT = "pivot"
    PLAY = "play"

    @property
    def label(self) -> str:
        """Its name, with what it means."""
        return gettext(_PATHWAYS[self])


_PATHWAYS = {
    Pathway.ACCELERATE: N_("Accelerate: get further in the work I do"),
    Pathway.PIVOT: N_("Pivot: change to other work"),
    Pathway.PLAY: N_("Play: try things out"),
}


def asks_for_pathway(category: Category) -> bool:
    """Whether clients of this category choose a pathway when they book."""
    return category is Category.PATHWAY


class NotBookable(enum.StrEnum):
    """Why a client cannot book a session type that is shown. ``words.py`` has the sentences."""

    PAID_IN_CALENDLY = "paid_in_calendly"  # Calendly itself asks for a payment; the client would pay twice.
    REFUSED_BY_STRIPE = "refused_by_stripe"  # Its price cannot be paid, until the builder changes it.
    PAUSED = "paused"  # Calendly accepts no token for this builder.
    CLOSED = "closed"  # The builder is suspended, or has no Calendly user yet.
    CALENDLY_DOWN = "calendly_down"  # What we know may be outdated, so nothing is sold by it.


class SaleRefusal(enum.StrEnum):
    """Why Stripe does not sell a type for its price. ``words.py`` has the sentences."""

    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    CURRENCY = "currency"  # The account cannot take this currency.
    ACCOUNT = "account"  # Stripe names no detail of the price: the account has no way to be paid like this.


class Ways(enum.StrEnum):
    """In which ways clients choose a time: on our list, where a price is paid first, or in Calendly's calendar."""

    BOTH = "both"
    TIMES = "times"
    WIDGET = "widget"

    @property
    def label(self) -> str:
        """The words of the choice."""
        return gettext(_WAYS[self])


_WAYS = {
    Ways.BOTH: N_("In both ways"),
    Ways.TIMES: N_("On the list of times only"),
    Ways.WIDGET: N_("In Calendly's calendar only"),
}


class PriceState(enum.StrEnum):
    """How an event type is in its builder's price list."""

    INACTIVE = "inactive"  # Switched off or deleted in Calendly.
    POLL = "poll"  # A meeting poll, which cannot be booked at once.
    UNPRICED = "unpriced"
    HIDDEN = "hidden"  # Priced, not published.
    PUBLISHED = "published"


def asks_for_sign_in(category: Category) -> bool:
    """Whether clients of this category confirm their e-mail address first, where the builder has set no other rule."""
    return category is Category.PATHWAY


def _sale_indexes() -> Iterator[sa.Index]:
    """What is on sale (:func:`is_on_sale`), by builder and by price: for the directory."""
    price = ("price_minor", "currency")
    for name, columns in (("", ("builder_id", *price)), ("_price", (*price, "builder_id"))):
        yield sa.Index(
            f"ix_session_types_on_sale{name}",
            *columns,
            sqlite_where=sa.text("published = 1 AND refusal IS NULL"),
            postgresql_where=sa.text("published AND refusal IS NULL"),
        )


class SessionType(Model):
    """One row of the price list: an event type that its builder has priced, identified by the event type's URI."""

    __tablename__ = "session_types"
    __table_args__ = (
        sa.UniqueConstraint("builder_id", "event_type_uri"),
        sa.CheckConstraint("price_minor >= 0", name="price_not_negative"),
        *_sale_indexes(),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    builder_id: Mapped[int] = mapped_column(sa.ForeignKey("builders.id"))
    event_type_uri: Mapped[str] = mapped_column(sa.String(255))
    price_minor: Mapped[int] = mapped_column(MINOR_UNITS)
    currency: Mapped[str] = mapped_column(sa.String(3))
    category: Mapped[Category] = mapped_column(default=Category.OTHER)
    published: Mapped[bool] = mapped_column(default=True)
    # Whether clients confirm their e-mail address before they book; see :func:`asks_for_sign_in`.
    requires_sign_in: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    # Stripe refused to sell it for this price. It is not offered until its builder saves it again.
    refusal: Mapped[SaleRefusal | None] = mapped_column(code_column(SaleRefusal))
    ways: Mapped[Ways] = mapped_column(code_column(Ways), default=Ways.BOTH, server_default=Ways.BOTH)
    # Whether clients may name others whom Calendly invites.
    allows_guests: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    # Why Calendly refused a time of our list, and when: the list is not offered until the builder saves the type.
    list_refusal: Mapped[str | None] = mapped_column(sa.String(32))
    display_order: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]


class FreeTime(Model):
    """When a session type is free next, as Calendly said at ``checked_at``; None for not within the next month, and
    for not known.
    """

    __tablename__ = "free_times"

    session_type_id: Mapped[int] = mapped_column(
        sa.ForeignKey("session_types.id", ondelete="CASCADE"), primary_key=True
    )
    next_at: Mapped[datetime | None] = mapped_column(index=True)
    checked_at: Mapped[datetime]


def is_on_sale() -> sa.ColumnElement[bool]:
    """The condition for session types that clients can book for their price."""
    return sa.and_(SessionType.published, SessionType.refusal.is_(None))
