"""Session types as people see them: Calendly's event types joined with the price list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from zlib import crc32

import nh3
import sqlalchemy as sa
from markupsafe import Markup, escape
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder, Closure
from bookingapp.builders.service import lock_builder
from bookingapp.core.db import end_request_read
from bookingapp.core.errors import Conflict, Invalid, NotFound
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.core.money import AmountError, parse_price
from bookingapp.integrations.calendly import CalendlyClient, CalendlyUnauthorized, EventType
from bookingapp.session_types.models import (
    Category,
    NotBookable,
    PriceState,
    SaleRefusal,
    SessionType,
    Ways,
    asks_for_sign_in,
)
from bookingapp.session_types.words import why_not_bookable

COLORS = 8
UNNAMED = lazy_gettext("Session")  # The title of an event type that has no name in Calendly.
LAST = 1_000_000  # The place of a type that its builder has not put in order.
# A booking is decided by a fresh answer of Calendly, shared by all who press Book at that moment. Where half of
# Calendly's rate limit for this minute is spent, the answer may be half a minute old: pressing Book again and again
# must not spend all of it.
SPARE_BUDGET = 0.5
BOOKING_ANSWER, SPARING_ANSWER = timedelta(0), timedelta(seconds=30)
_TAGS = {"p", "br", "ul", "ol", "li", "strong", "b", "em", "i", "a"}
# What nh3 makes of a link whose address it refuses; links are never inside of each other.
_LINK_TO_NOWHERE = re.compile(r'<a rel="noopener noreferrer">(.*?)</a>', re.DOTALL)


@dataclass(frozen=True)
class Card:
    """One session type on a page; money is in minor units. A ``secret`` one is on no list."""

    id: str
    event_type_uri: str
    title: str
    duration_minutes: int
    description: Markup
    scheduling_url: str
    category: Category
    is_group: bool
    secret: bool
    price_minor: int
    currency: str
    why_not: NotBookable | None
    order: tuple[int, int, str]
    session_type: SessionType
    direct_url: str | None = None
    """Calendly's own page for it, while Calendly does not answer us."""

    @property
    def bookable(self) -> bool:
        """Whether a client can book it now; if not, ``why_not`` says why."""
        return self.why_not is None

    @property
    def requires_sign_in(self) -> bool:
        """Whether clients confirm their e-mail address before they book it: also for a seat that is paid for after it
        was taken, because Calendly cannot release one. On our list of times it is paid for first.
        """
        is_paid_later = not self.is_free and self.session_type.ways is not Ways.TIMES
        return self.session_type.requires_sign_in or (self.is_group and is_paid_later)

    @property
    def is_free(self) -> bool:
        """Whether its price is 0."""
        return self.price_minor == 0

    @property
    def color(self) -> int:
        """Its color, as a number of the stylesheet's."""
        return crc32(self.id.encode()) % COLORS


@dataclass(frozen=True)
class Catalog:
    """A builder's cards. ``as_of`` is the time of Calendly's answer where that is outdated. ``why_closed`` is set while
    nothing can be booked with this builder; then there may be no card.
    """

    cards: Sequence[Card]
    as_of: datetime | None
    why_closed: NotBookable | None = None

    @property
    def groups(self) -> list[tuple[str, list[Card]]]:
        """The cards under their categories' headings, in the categories' order."""
        groups = [
            (category.label, [c for c in self.cards if c.category is category]) for category in Category
        ]
        return [(label, cards) for label, cards in groups if cards]


@dataclass(frozen=True)
class Priced:
    """One event type with its row of the price list; ``session_type`` is None until it has a price."""

    event_type: EventType
    session_type: SessionType | None

    @property
    def state(self) -> PriceState:
        """How it is in the list."""
        if not self.event_type.active or self.event_type.deleted_at:
            return PriceState.INACTIVE
        if not is_offered(self.event_type):
            return PriceState.POLL
        if self.session_type is None:
            return PriceState.UNPRICED
        return PriceState.PUBLISHED if self.session_type.published else PriceState.HIDDEN

    @property
    def order(self) -> tuple[int, int, int, int, str]:
        """Its place in the builder's list: as on the profile, then what is on no profile."""
        event_type, row = self.event_type, self.session_type
        return (
            self.state in (PriceState.INACTIVE, PriceState.POLL),
            list(Category).index(row.category if row else Category.OTHER),
            row.display_order if row else LAST,
            event_type.position or 0,
            event_type.name or str(UNNAMED),
        )


def is_offered(event_type: EventType) -> bool:
    """Whether Calendly lets clients book it at once: it is switched on, not deleted, and not a meeting poll."""
    return event_type.active and event_type.deleted_at is None and event_type.booking_method == "instant"


def fetch_catalog(session: Session, calendly: CalendlyClient, builder: Builder) -> Catalog:
    """The cards of a builder's profile. Ends the session's reading. Raises :class:`CalendlyError`."""
    offered = _fetch_offered_cards(session, calendly, builder)
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
    """One card, secret ones included; ``deciding`` asks Calendly for a fresh answer. Raises :class:`NotFound` where it
    is not offered (any more), :class:`Conflict` where nothing can be booked with the builder and nothing is known, and
    :class:`CalendlyError`.
    """
    offered = _fetch_offered_cards(session, calendly, builder, deciding=deciding)
    for found in offered.cards:
        if found.id == event_type_id:
            return found
    if offered.why_closed is not None:
        raise Conflict(why_not_bookable(offered.why_closed))
    raise NotFound(gettext("This session is not offered any more."))


def _fetch_offered_cards(
    session: Session, calendly: CalendlyClient, builder: Builder, *, deciding: bool = False
) -> Catalog:
    """Every card that has an address here: of the types that their builder has priced and published. With the link, a
    client may also book one that is secret in Calendly.
    """
    if builder.closure in (Closure.SUSPENDED, Closure.UNCONNECTED):
        return Catalog((), None, NotBookable.CLOSED)
    try:
        items, as_of = _fetch_types(session, calendly, builder, deciding=deciding)
    except CalendlyUnauthorized:
        return Catalog((), None, NotBookable.PAUSED)
    shown = [
        make_card(item.event_type, item.session_type)
        for item in items
        if item.session_type is not None and item.state is PriceState.PUBLISHED
    ]
    why_closed = NotBookable.PAUSED if builder.closure else None
    if why_closed:
        shown = [replace(card, why_not=why_closed) for card in shown]
    elif as_of:
        shown = [_without_booking(card) for card in shown]
    return Catalog(sorted(shown, key=lambda card: card.order), as_of, why_closed)


def _without_booking(card: Card) -> Card:
    """The card while Calendly does not answer: it leads to Calendly's own page."""
    if not card.bookable:
        return card
    return replace(card, why_not=NotBookable.CALENDLY_DOWN, direct_url=card.scheduling_url)


def fetch_price_list(
    session: Session, calendly: CalendlyClient, builder: Builder
) -> tuple[list[Priced], datetime | None]:
    """All of a builder's event types with their prices, and the time of Calendly's answer where that is outdated. Ends
    the session's reading. Raises :class:`CalendlyError`.
    """
    items, as_of = _fetch_types(session, calendly, builder)
    return sorted(items, key=lambda item: item.order), as_of


def _fetch_types(
    session: Session, calendly: CalendlyClient, builder: Builder, *, deciding: bool = False
) -> tuple[list[Priced], datetime | None]:
    """As :func:`fetch_price_list`, in Calendly's order; ``deciding`` as for :func:`fetch_card`."""
    if builder.calendly_user_uri is None:
        return [], None
    rows = list_prices(session, builder)
    tenant, user_uri, at_most = builder.tenant, builder.calendly_user_uri, None
    end_request_read()
    if deciding:
        at_most = BOOKING_ANSWER if calendly.budget_left(tenant) >= SPARE_BUDGET else SPARING_ANSWER
    fetched = calendly.list_event_types(tenant, user_uri, at_most=at_most)
    items = [Priced(one, rows.get(calendly.canonical_event_type_uri(one.uri))) for one in fetched.value]
    return items, fetched.as_of if fetched.stale else None


def list_vanished(
    session: Session, calendly: CalendlyClient, builder: Builder, items: Sequence[Priced]
) -> list[SessionType]:
    """The rows of the price list whose event type is gone from Calendly. ``items`` are all that Calendly lists."""
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
    ways: Ways | None = None,
    allows_guests: bool | None = None,
) -> SessionType:
    """Price an event type. ``price`` is as typed; ``0`` is free. Without ``requires_sign_in`` the category decides;
    ``ways`` and ``allows_guests`` stay as they are where they are not given.
    Raises :class:`Invalid` where the price cannot be charged.
    """
    try:
        minor = parse_price(price, currency)
    except AmountError as error:
        raise Invalid(str(error)) from None
    # The row may be made by another press of the button at this moment.
    lock_builder(session, builder.id)
    query = sa.select(SessionType).where(
        SessionType.builder_id == builder.id, SessionType.event_type_uri == event_type_uri
    )
    row = session.scalar(query.with_for_update())
    if row is None:
        row = SessionType(
            builder_id=builder.id, event_type_uri=event_type_uri, ways=Ways.BOTH, allows_guests=False
        )
        row.display_order = _next_display_order(session, builder)
        session.add(row)
    row.price_minor, row.currency, row.category = minor, currency, category
    row.requires_sign_in = asks_for_sign_in(category) if requires_sign_in is None else requires_sign_in
    row.ways = row.ways if ways is None else ways
    row.allows_guests = row.allows_guests if allows_guests is None else allows_guests
    # Saving it again is how a builder says that Stripe and Calendly will accept it now.
    row.published, row.refusal, row.list_refusal, row.updated_at = published, None, None, now
    session.flush()
    return row


def refuse_sale(
    session: Session, session_type_id: int, refusal: SaleRefusal, *, price: tuple[int, str]
) -> None:
    """Take a type off sale that Stripe refuses to sell for ``price`` (minor units and currency), in the caller's
    transaction. One that has another price by now stays on sale.
    """
    row = session.get_one(SessionType, session_type_id, with_for_update=True)
    if (row.price_minor, row.currency) == price:
        row.refusal = refusal


def _next_display_order(session: Session, builder: Builder) -> int:
    """The last place once the builder has put the types in order; until then Calendly's order holds."""
    query = sa.select(sa.func.max(SessionType.display_order)).where(SessionType.builder_id == builder.id)
    highest = session.scalar(query)
    return highest + 1 if highest else 0


def invalidate_event_types(session: Session, *, event_type_uri: str, owner: str | None) -> bool:
    """Make every process fetch the event types again of the builder whose type changed. ``owner`` is the user's URI,
    where Calendly names it. Returns whether there is such a builder.
    """
    of_type = sa.select(SessionType.builder_id).where(SessionType.event_type_uri == event_type_uri)
    whose = sa.or_(Builder.calendly_user_uri == (owner or ""), Builder.id.in_(of_type))
    found = session.scalars(sa.select(Builder).where(whose).with_for_update()).all()
    for builder in found:
        builder.catalog_version += 1
    return bool(found)


def make_card(event_type: EventType, row: SessionType) -> Card:
    """The card of an event type for this price, published or not."""
    return Card(
        id=event_type.id,
        event_type_uri=event_type.uri,
        title=event_type.name or str(UNNAMED),
        duration_minutes=event_type.duration,
        description=_clean_description(event_type.description_html, event_type.description_plain),
        scheduling_url=event_type.scheduling_url,
        category=row.category,
        is_group=event_type.is_group,
        secret=event_type.secret,
        price_minor=row.price_minor,
        currency=row.currency,
        why_not=_find_obstacle(event_type, row),
        order=(row.display_order, event_type.position or 0, event_type.name or str(UNNAMED)),
        session_type=row,
    )


def _find_obstacle(event_type: EventType, row: SessionType) -> NotBookable | None:
    if row.refusal is not None:
        return NotBookable.REFUSED_BY_STRIPE
    return NotBookable.PAID_IN_CALENDLY if event_type.is_paid else None


@lru_cache(maxsize=512)
def _clean_description(html: str | None, plain: str | None) -> Markup:
    """The host's HTML, reduced to harmless elements; else the plain text."""
    if html:
        clean = nh3.clean(html, tags=_TAGS, attributes={"a": {"href"}}, url_schemes={"https", "mailto"})
        clean = _LINK_TO_NOWHERE.sub(r"\1", clean)
        return Markup(clean)  # noqa: S704 - nh3 has just cleaned it
    return escape(plain or "")
