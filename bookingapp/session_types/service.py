"""Session types as people see them: what Calendly says, joined with the price list, and nothing invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zlib import crc32

import nh3
import sqlalchemy as sa
from markupsafe import Markup, escape
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.core.db import end_reading
from bookingapp.core.errors import Invalid, NotFound
from bookingapp.core.money import PriceError, parse_price
from bookingapp.integrations.calendly import CalendlyClient, EventType
from bookingapp.session_types.models import Category, SessionType

COLORS = 8
UNNAMED = "Session"  # Calendly allows an event type without a name.
_TAGS = {"p", "br", "ul", "ol", "li", "strong", "b", "em", "i", "a"}


@dataclass(frozen=True)
class Card:
    """One session type on a page. ``id`` is the event type's id; money is in minor units."""

    id: str
    title: str
    duration_minutes: int
    description: Markup
    scheduling_url: str
    category: Category
    is_group: bool
    price_minor: int | None
    currency: str | None
    why_not: str | None
    order: tuple[int, int, str]
    session_type: SessionType | None

    @property
    def bookable(self) -> bool:
        """Whether a client can book it now; ``why_not`` is the reason in words where not."""
        return self.why_not is None

    @property
    def is_free(self) -> bool:
        """Priced at nothing, which is not the same as not priced."""
        return self.price_minor == 0

    @property
    def color(self) -> int:
        """Which of the stylesheet's card colors it has."""
        return crc32(self.id.encode()) % COLORS


@dataclass(frozen=True)
class Catalog:
    """A builder's cards, and when Calendly said so where that is not just now."""

    cards: Sequence[Card]
    as_of: datetime | None

    @property
    def groups(self) -> list[tuple[str, list[Card]]]:
        """The cards under their categories' headings, in the categories' order."""
        groups = [
            (category.label, [c for c in self.cards if c.category is category]) for category in Category
        ]
        return [(label, cards) for label, cards in groups if cards]


@dataclass(frozen=True)
class Priced:
    """One event type in its builder's price list; ``session_type`` is None until it has a price."""

    event_type: EventType
    session_type: SessionType | None

    @property
    def state(self) -> str:
        """``inactive``, ``unpriced``, ``hidden`` or ``published``."""
        if not self.event_type.active or self.event_type.deleted_at:
            return "inactive"
        if self.session_type is None:
            return "unpriced"
        return "published" if self.session_type.published else "hidden"


def catalog(session: Session, calendly: CalendlyClient, builder: Builder) -> Catalog:
    """The cards of a builder's profile. Ends the session's reading before it asks Calendly.

    Raises the client's errors where there is neither an answer nor a last good one.
    """
    rows = prices(session, builder)
    tenant, user_uri = builder.tenant, builder.calendly_user_uri
    end_reading()
    fetched = calendly.list_event_types(tenant, user_uri)
    listed = (event_type for event_type in fetched.value if event_type.listed)
    cards = [
        _card(event_type, rows.get(calendly.canonical_event_type_uri(event_type.uri)))
        for event_type in listed
    ]
    shown = [card for card in cards if card.session_type is None or card.session_type.published]
    return Catalog(sorted(shown, key=lambda card: card.order), fetched.as_of if fetched.stale else None)


def card(session: Session, calendly: CalendlyClient, builder: Builder, event_type_id: str) -> Card:
    """One card. Raises :class:`NotFound` where this builder offers no such session type (any more)."""
    for found in catalog(session, calendly, builder).cards:
        if found.id == event_type_id:
            return found
    raise NotFound("This session is not offered any more.")


def price_list(
    session: Session, calendly: CalendlyClient, builder: Builder
) -> tuple[list[Priced], datetime | None]:
    """All of a builder's event types, whether they can be booked or not, for the dashboard."""
    rows = prices(session, builder)
    tenant, user_uri = builder.tenant, builder.calendly_user_uri
    end_reading()
    fetched = calendly.list_event_types(tenant, user_uri)
    items = [
        Priced(event_type, rows.get(calendly.canonical_event_type_uri(event_type.uri)))
        for event_type in fetched.value
    ]
    items.sort(
        key=lambda item: (
            item.state == "inactive",
            item.event_type.position or 0,
            item.event_type.name or UNNAMED,
        )
    )
    return items, fetched.as_of if fetched.stale else None


def prices(session: Session, builder: Builder) -> dict[str, SessionType]:
    """A builder's price list by event type URI."""
    query = sa.select(SessionType).where(SessionType.builder_id == builder.id)
    return {row.event_type_uri: row for row in session.scalars(query)}


def publish(
    session: Session,
    *,
    builder: Builder,
    event_type_uri: str,
    price: str,
    currency: str,
    category: Category,
    published: bool,
    now: datetime,
) -> SessionType:
    """Price an event type. ``price`` is as typed, ``0`` is free. Raises :class:`Invalid` in words."""
    try:
        minor = parse_price(price, currency)
    except PriceError as error:
        raise Invalid(str(error)) from None
    query = sa.select(SessionType).where(
        SessionType.builder_id == builder.id, SessionType.event_type_uri == event_type_uri
    )
    row = session.scalar(query.with_for_update())
    if row is None:
        row = SessionType(builder_id=builder.id, event_type_uri=event_type_uri)
        session.add(row)
    row.price_minor, row.currency, row.category = minor, currency, category
    row.published, row.updated_at = published, now
    session.flush()
    return row


def forget_answers(session: Session, *, event_type_uri: str, owner: str | None) -> bool:
    """Make every process ask Calendly anew for the types of the builder whose event type changed, in the
    caller's transaction. Returns whether there is such a builder.
    """
    of_type = sa.select(SessionType.builder_id).where(SessionType.event_type_uri == event_type_uri)
    whose = sa.or_(Builder.calendly_user_uri == (owner or ""), Builder.id.in_(of_type))
    found = session.scalars(sa.select(Builder).where(whose).with_for_update()).all()
    for builder in found:
        builder.catalog_version += 1
    return bool(found)


def _card(event_type: EventType, row: SessionType | None) -> Card:
    return Card(
        id=event_type.id,
        title=event_type.name or UNNAMED,
        duration_minutes=event_type.duration,
        description=_description(event_type.description_html, event_type.description_plain),
        scheduling_url=event_type.scheduling_url,
        category=row.category if row else Category.OTHER,
        is_group=event_type.is_group,
        price_minor=row.price_minor if row else None,
        currency=row.currency if row else None,
        why_not=_why_not(event_type, row),
        order=(row.display_order if row else 0, event_type.position or 0, event_type.name or UNNAMED),
        session_type=row,
    )


def _why_not(event_type: EventType, row: SessionType | None) -> str | None:
    if row is None:
        return "Not open for booking yet: its price has not been set."
    if event_type.is_paid:
        return "Not open for booking: Calendly itself asks for a payment here, and nobody should pay twice."
    return None


@lru_cache(maxsize=512)
def _description(html: str | None, plain: str | None) -> Markup:
    """Host-written HTML with only harmless elements left, or the plain text."""
    if html:
        clean = nh3.clean(html, tags=_TAGS, attributes={"a": {"href"}}, url_schemes={"https", "mailto"})
        return Markup(clean)  # noqa: S704  # nosec B704 - nh3 has just cleaned it
    return escape(plain or "")
