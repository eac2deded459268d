"""What the page of session types shows: each event type with its price form, and those that Calendly lists no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.core.money import AmountError, format_money, parse_price, price_text
from bookingapp.dashboard.words import checks as check_words
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.session_types import order
from bookingapp.session_types import service as session_types
from bookingapp.session_types.forms import PriceForm
from bookingapp.session_types.models import Category, PriceState, SessionType, Ways
from bookingapp.session_types.service import Card, Priced

NOT_PAID_YET = (Status.PENDING, Status.SCHEDULED)
HOLDING_A_TIME = (Status.SCHEDULED, Status.PAID, Status.CONFIRMED)


@dataclass(frozen=True)
class Item:
    """One event type. ``direct_url`` is the page of a secret type that is published; ``place`` is the heading under
    which it can be moved up and down; ``card`` is what its form makes of it, None without a price that can be charged;
    ``kept`` says which open bookings keep a price of their own.
    """

    id: str
    title: str
    duration_minutes: int
    secret: bool
    state: PriceState
    state_label: str
    form: PriceForm
    note: str | None
    direct_url: str | None
    card: Card | None
    kept: list[str]
    saved: bool = False
    place: str | None = None
    can_move_up: bool = False
    can_move_down: bool = False

    @property
    def can_be_offered(self) -> bool:
        """Whether clients could book it if it had a price and were published."""
        return self.state not in (PriceState.INACTIVE, PriceState.POLL)

    @property
    def preview_title(self) -> str:
        """The heading over its card."""
        if self.state is not PriceState.PUBLISHED:
            return gettext("What clients will see once it is published")
        return gettext("What clients with the link see") if self.secret else gettext("What clients see")


class OpenPrice(NamedTuple):
    """How many bookings that are not paid yet keep this price, in minor units."""

    bookings: int
    minor: int
    currency: str


OpenPrices = Mapping[int, Sequence[OpenPrice]]
"""By session type."""


@dataclass(frozen=True)
class VanishedType:
    """A priced session type that Calendly does not list any more, under the title of its newest booking; ``ahead`` is
    how many booked sessions are still to come.
    """

    id: str
    title: str
    ahead: int
    price_minor: int
    currency: str


def list_open_prices(session: Session, builder: Builder) -> OpenPrices:
    """The prices that open bookings keep, whatever the price list says."""
    of_booking = (Booking.session_type_id, Booking.price_minor, Booking.currency)
    query = (
        sa.select(*of_booking, sa.func.count())
        .where(Booking.builder_id == builder.id, Booking.status.in_(NOT_PAID_YET))
        .where(Booking.price_minor > 0)
        .group_by(*of_booking)
        .order_by(*of_booking)
    )
    found: dict[int, list[OpenPrice]] = {}
    for type_id, minor, currency, number in session.execute(query):
        found.setdefault(type_id, []).append(OpenPrice(number, minor, currency))
    return found


def describe_kept_prices(prices: Sequence[OpenPrice], new: SessionType | None = None) -> list[str]:
    """A sentence for each price that open bookings keep; only for those that differ from a ``new`` one."""
    return [
        ngettext(
            "%(num)s open booking keeps its price of %(price)s.",
            "%(num)s open bookings keep their price of %(price)s.",
            one.bookings,
            price=format_money(one.minor, one.currency),
        )
        for one in prices
        if new is None or (one.minor, one.currency) != (new.price_minor, new.currency)
    ]


def describe_item(
    priced: Priced,
    form: PriceForm,
    link: Callable[[str], str],
    *,
    open_prices: OpenPrices,
    saved: bool = False,
) -> Item:
    """One event type with ``form``; ``link`` gives the address of its page by its id."""
    row = priced.session_type
    event_type = priced.event_type
    has_link = event_type.secret and priced.state is PriceState.PUBLISHED
    return Item(
        id=event_type.id,
        title=title_of(priced),
        duration_minutes=event_type.duration,
        secret=event_type.secret,
        state=priced.state,
        state_label=check_words.price_state(priced.state),
        form=form,
        note=check_words.session_type_note(
            priced.state, priced.session_type, secret=event_type.secret, is_paid=event_type.is_paid
        ),
        direct_url=link(event_type.id) if has_link else None,
        card=_draft_card(priced, form),
        kept=describe_kept_prices(open_prices.get(row.id, ()) if row else (), row if saved else None),
        saved=saved,
    )


def describe_items(
    items: Sequence[Priced],
    builder: Builder,
    link: Callable[[str], str],
    *,
    open_prices: OpenPrices,
    typed: tuple[str, PriceForm] | None = None,
) -> list[Item]:
    """All of a builder's event types; ``typed`` is the form of one (by its id) that was refused as it was typed."""
    shown = []
    for priced in items:
        form = typed[1] if typed and typed[0] == priced.event_type.id else _filled_form(priced, builder)
        before, after = order.find_neighbors(items, priced.event_type.id)
        up, down = before is not None, after is not None
        place = priced.session_type.category.label if priced.session_type and (up or down) else None
        item = describe_item(priced, form, link, open_prices=open_prices)
        shown.append(replace(item, place=place, can_move_up=up, can_move_down=down))
    return shown


def title_of(priced: Priced) -> str:
    """The event type's name; Calendly allows one without."""
    return priced.event_type.name or session_types.UNNAMED


def list_vanished_types(
    session: Session, calendly: CalendlyClient, builder: Builder, items: Sequence[Priced], *, now: datetime
) -> list[VanishedType]:
    """The priced types that are not among ``items``, which are all that Calendly lists."""
    rows = session_types.list_vanished(session, calendly, builder, items)
    ahead = sa.func.count().filter(Booking.status.in_(HOLDING_A_TIME), Booking.ends_at > now)
    grouped = (
        sa.select(sa.func.max(Booking.id).label("newest"), ahead.label("ahead"))
        .where(Booking.session_type_id.in_([row.id for row in rows]))
        .group_by(Booking.session_type_id)
        .subquery()
    )
    query = sa.select(Booking.session_type_id, Booking.title, grouped.c.ahead)
    found = session.execute(query.join(grouped, grouped.c.newest == Booking.id))
    booked = {type_id: (title, number) for type_id, title, number in found}
    return [
        VanishedType(
            row.event_type_uri.rpartition("/")[2],
            *booked.get(row.id, (gettext("A session type that was never booked"), 0)),
            row.price_minor,
            row.currency,
        )
        for row in rows
    ]


def _draft_card(priced: Priced, form: PriceForm) -> Card | None:
    """The card with what the form says, saved or not."""
    currency, row = form.currency.data or "", priced.session_type
    try:
        minor = parse_price(form.price.data or "", currency)
    except AmountError:
        return None
    is_refused = row is not None and (row.price_minor, row.currency) == (minor, currency)
    draft = SessionType(
        price_minor=minor,
        currency=currency,
        category=Category.OTHER,
        display_order=0,
        refusal=row.refusal if row and is_refused else None,
    )
    return session_types.make_card(priced.event_type, draft)


def _filled_form(priced: Priced, builder: Builder) -> PriceForm:
    """The form as the stored price fills it in."""
    row = priced.session_type
    return PriceForm(
        formdata=None,
        prefix=priced.event_type.id,
        data={
            "price": price_text(row.price_minor, row.currency) if row else "",
            "currency": row.currency if row else builder.default_currency,
            "category": (row.category if row else Category.OTHER).value,
            "sign_in": PriceForm.sign_in_choice(row),
            "ways": (row.ways if row else Ways.BOTH).value,
            "allows_guests": row.allows_guests if row else False,
            "published": row.published if row else True,
        },
    )
