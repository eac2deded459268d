"""What the page of session types shows: each event type with its price form, and those that Calendly lists no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.builders.models import Builder
from bookingapp.core.i18n import gettext
from bookingapp.core.money import price_text
from bookingapp.dashboard.service import HOLDING_A_TIME
from bookingapp.dashboard.words import checks as check_words
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.session_types import order
from bookingapp.session_types import service as session_types
from bookingapp.session_types.forms import PriceForm
from bookingapp.session_types.models import Category, PriceState, Ways
from bookingapp.session_types.service import Priced


@dataclass(frozen=True)
class Item:
    """One event type. ``direct_url`` is the page of a secret type that is
    published; ``place`` is the heading under which it can be moved up and down.
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
    saved: bool = False
    place: str | None = None
    can_move_up: bool = False
    can_move_down: bool = False


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


def describe_item(
    priced: Priced, form: PriceForm, link: Callable[[str], str], *, saved: bool = False
) -> Item:
    """One event type with ``form``; ``link`` gives the address of its page by its id."""
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
        saved=saved,
    )


def describe_items(
    items: Sequence[Priced],
    builder: Builder,
    link: Callable[[str], str],
    *,
    typed: tuple[str, PriceForm] | None = None,
) -> list[Item]:
    """All of a builder's event types; ``typed`` is the form of one (by its id) that was refused as it was typed."""
    shown = []
    for priced in items:
        form = typed[1] if typed and typed[0] == priced.event_type.id else _filled_form(priced, builder)
        before, after = order.find_neighbors(items, priced.event_type.id)
        up, down = before is not None, after is not None
        place = priced.session_type.category.label if priced.session_type and (up or down) else None
        item = describe_item(priced, form, link)
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
