"""Session types as people see them: what Calendly says, joined with the price list, and nothing invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from zlib import crc32

import nh3
import sqlalchemy as sa
from markupsafe import Markup, escape
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.core.db import end_request_read
from bookingapp.core.errors import Conflict, Invalid, NotFound
from bookingapp.core.money import PriceError, parse_price
from bookingapp.integrations.calendly import CalendlyClient, CalendlyUnauthorized, EventType
from bookingapp.session_types.models import Category, SessionType, asks_for_sign_in

COLORS = 8
UNNAMED = "Session"  # Calendly allows an event type without a name.
LAST = 1_000_000  # Where a type stands whose builder has put it nowhere.
# A booking is decided by an answer of this very moment; those who press Book together share one. Only where half
# of Calendly's rate limit of this minute is spent does an answer of half a minute do, so that nobody can spend all of
# it by pressing Book.
SPARE_BUDGET = 0.5
BOOKING_ANSWER, SPARING_ANSWER = timedelta(0), timedelta(seconds=30)
PAUSED = (
    "Booking is paused just now: the connection to this builder's calendar is being renewed. What is booked stays "
    "booked. Please look in again soon."
)
_DOWN = "Calendly does not answer us just now, so we cannot take a booking. Please try again in a minute."
_TAGS = {"p", "br", "ul", "ol", "li", "strong", "b", "em", "i", "a"}


@dataclass(frozen=True)
class Card:
    """One session type on a page. ``id`` is the event type's id; money is in minor units.

    A ``secret`` one is on no list: only who has its address finds it.
    """

    id: str
    event_type_uri: str
    title: str
    duration_minutes: int
    description: Markup
    scheduling_url: str
    category: Category
    is_group: bool
    secret: bool
    price_minor: int | None
    currency: str | None
    why_not: str | None
    order: tuple[int, int, str]
    session_type: SessionType | None
    direct_url: str | None = None
    """Calendly's own page for it, where we cannot take the booking because Calendly does not answer us."""

    @property
    def bookable(self) -> bool:
        """Whether a client can book it now; ``why_not`` is the reason in words where not."""
        return self.why_not is None

    @property
    def requires_sign_in(self) -> bool:
        """Whether a client has to verify their e-mail address before they book it."""
        return self.session_type is not None and self.session_type.requires_sign_in

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
    """A builder's cards, and when Calendly said so where that is not just now.

    ``paused`` says that Calendly takes no token for this builder: then nothing can be booked, and there may be
    no card at all.
    """

    cards: Sequence[Card]
    as_of: datetime | None
    paused: bool = False

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
        """``inactive``, ``poll``, ``unpriced``, ``hidden`` or ``published``."""
        if not self.event_type.active or self.event_type.deleted_at:
            return "inactive"
        if not is_offered(self.event_type):
            return "poll"
        if self.session_type is None:
            return "unpriced"
        return "published" if self.session_type.published else "hidden"

    @property
    def order(self) -> tuple[int, int, int, int, str]:
        """Where it stands in its builder's own list: as on the profile, and what is on no profile behind that."""
        event_type, row = self.event_type, self.session_type
        return (
            self.state in ("inactive", "poll"),
            list(Category).index(row.category if row else Category.OTHER),
            row.display_order if row else LAST,
            event_type.position or 0,
            event_type.name or UNNAMED,
        )


def is_offered(event_type: EventType) -> bool:
    """Whether Calendly takes a booking of it on the spot: it is switched on, not deleted, and not a poll."""
    return event_type.active and event_type.deleted_at is None and event_type.booking_method == "instant"


def fetch_catalog(session: Session, calendly: CalendlyClient, builder: Builder) -> Catalog:
    """The cards of a builder's profile. Ends the session's reading before it asks Calendly.

    Raises the client's errors where there is neither an answer nor a last good one.
    """
    offered = _offered(session, calendly, builder)
    calendly.note_interest(str(builder.id))
    return replace(offered, cards=[card for card in offered.cards if not card.secret])


def fetch_card(
    session: Session,
    calendly: CalendlyClient,
    builder: Builder,
    event_type_id: str,
    *,
    deciding: bool = False,
) -> Card:
    """One card, a secret one too. Raises :class:`NotFound` where this builder offers no such session type (any
    more), :class:`Conflict` where nothing of theirs can be booked. What is shown may be a few
    minutes old; ``deciding`` asks for Calendly's word of this moment, see BOOKING_ANSWER.
    """
    offered = _offered(session, calendly, builder, deciding=deciding)
    for found in offered.cards:
        if found.id == event_type_id:
            return found
    if offered.paused:
        raise Conflict(PAUSED)
    raise NotFound("This session is not offered any more.")


def _offered(
    session: Session, calendly: CalendlyClient, builder: Builder, *, deciding: bool = False
) -> Catalog:
    """Everything that has an address here. What is secret in Calendly has one once it is priced and published:
    that is its builder's word that whoever has the link may book it.
    """
    rows = list_prices(session, builder)
    tenant, user_uri = builder.tenant, builder.calendly_user_uri
    end_request_read()
    try:
        at_most = None
        if deciding:
            at_most = BOOKING_ANSWER if calendly.budget_left(tenant) >= SPARE_BUDGET else SPARING_ANSWER
        fetched = calendly.list_event_types(tenant, user_uri, at_most=at_most)
    except CalendlyUnauthorized:
        return Catalog((), None, paused=True)
    cards = [
        _card(event_type, rows.get(calendly.canonical_event_type_uri(event_type.uri)))
        for event_type in fetched.value
        if is_offered(event_type)
    ]
    shown = [c for c in cards if (c.session_type.published if c.session_type else not c.secret)]
    paused = builder.disconnected_at is not None
    if paused:
        shown = [replace(card, why_not=PAUSED) for card in shown]
    elif fetched.stale:
        shown = [_without_booking(card) for card in shown]
    ordered = sorted(shown, key=lambda card: card.order)
    return Catalog(ordered, fetched.as_of if fetched.stale else None, paused)


def _without_booking(card: Card) -> Card:
    """The card while Calendly does not answer us: what it says may be over, so nothing is sold by it."""
    return replace(card, why_not=_DOWN, direct_url=card.scheduling_url) if card.bookable else card


def fetch_price_list(
    session: Session, calendly: CalendlyClient, builder: Builder
) -> tuple[list[Priced], datetime | None]:
    """All of a builder's event types, whether they can be booked or not, for the dashboard."""
    rows = list_prices(session, builder)
    tenant, user_uri = builder.tenant, builder.calendly_user_uri
    end_request_read()
    fetched = calendly.list_event_types(tenant, user_uri)
    items = [
        Priced(event_type, rows.get(calendly.canonical_event_type_uri(event_type.uri)))
        for event_type in fetched.value
    ]
    items.sort(key=lambda item: item.order)
    return items, fetched.as_of if fetched.stale else None


def list_vanished(
    session: Session, calendly: CalendlyClient, builder: Builder, items: Sequence[Priced]
) -> list[SessionType]:
    """The rows of a builder's price list that Calendly does not list any more."""
    listed = {calendly.canonical_event_type_uri(item.event_type.uri) for item in items}
    return [row for uri, row in list_prices(session, builder).items() if uri not in listed]


def list_prices(session: Session, builder: Builder) -> dict[str, SessionType]:
    """A builder's price list by event type URI."""
    query = sa.select(SessionType).where(SessionType.builder_id == builder.id)
    return {row.event_type_uri: row for row in session.scalars(query)}


def publish_type(
    session: Session,
    *,
    builder: Builder,
    event_type_uri: str,
    price: str,
    currency: str,
    category: Category,
    published: bool,
    now: datetime,
    requires_sign_in: bool | None = None,
) -> SessionType:
    """Price an event type. ``price`` is as typed, ``0`` is free; where ``requires_sign_in`` says nothing, the
    category decides. Raises :class:`Invalid` in words.
    """
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
        row.display_order = _place_for_new(session, builder)
        session.add(row)
    row.price_minor, row.currency, row.category = minor, currency, category
    row.requires_sign_in = asks_for_sign_in(category) if requires_sign_in is None else requires_sign_in
    row.published, row.updated_at = published, now
    session.flush()
    return row


def _place_for_new(session: Session, builder: Builder) -> int:
    """Behind the others once their builder has put them in order; until then Calendly's order holds."""
    query = sa.select(sa.func.max(SessionType.display_order)).where(SessionType.builder_id == builder.id)
    highest = session.scalar(query)
    return highest + 1 if highest else 0


def invalidate_event_types(session: Session, *, event_type_uri: str, owner: str | None) -> bool:
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
        event_type_uri=event_type.uri,
        title=event_type.name or UNNAMED,
        duration_minutes=event_type.duration,
        description=_description(event_type.description_html, event_type.description_plain),
        scheduling_url=event_type.scheduling_url,
        category=row.category if row else Category.OTHER,
        is_group=event_type.is_group,
        secret=event_type.secret,
        price_minor=row.price_minor if row else None,
        currency=row.currency if row else None,
        why_not=_why_not(event_type, row),
        order=(row.display_order if row else LAST, event_type.position or 0, event_type.name or UNNAMED),
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
        return Markup(clean)  # noqa: S704 - nh3 has just cleaned it
    return escape(plain or "")
