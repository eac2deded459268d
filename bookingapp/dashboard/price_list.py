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
from bookingapp.dashboard import check_words
from bookingapp.dashboard.service import HOLDING_A_TIME
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.session_types import order
from bookingapp.session_types import service as session_types
from bookingapp.session_types.forms import PriceForm
from bookingapp.session_types.models import Category, PriceState, SessionType
from bookingapp.session_types.service import Priced


@dataclass(frozen=True)
class Item:
    """One event type. ``state`` is that of :class:`Priced`; ``direct_url`` is the page of a secret type that is
    published; ``place`` is the heading under which it can be moved up and down.
    """

    id: str
    title: str
    duration_minutes: int
    secret: bool
    state: PriceState
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
    price_minor: int
    currency: str
    ahead: int


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
        form=form,
        note=check_words.session_type_note(
            priced.state, secret=event_type.secret, is_paid=event_type.is_paid
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


def list_vanished(
    session: Session, calendly: CalendlyClient, builder: Builder, items: Sequence[Priced], *, now: datetime
) -> list[VanishedType]:
    """The priced types that are not among ``items``, which are all that Calendly lists."""
    rows = session_types.list_vanished(session, calendly, builder, items)
    titles, ahead = _newest_titles(session, rows), _count_ahead(session, rows, now)
    return [
        VanishedType(
            id=row.event_type_uri.rpartition("/")[2],
            title=titles.get(row.id) or gettext("A session type that was never booked"),
            price_minor=row.price_minor,
            currency=row.currency,
            ahead=ahead.get(row.id, 0),
        )
        for row in rows
    ]


def _newest_titles(session: Session, rows: Sequence[SessionType]) -> dict[int, str]:
    newest = sa.select(sa.func.max(Booking.id)).where(_booked_as(rows)).group_by(Booking.session_type_id)
    query = sa.select(Booking.session_type_id, Booking.title).where(Booking.id.in_(newest))
    return dict(session.execute(query).all())


def _count_ahead(session: Session, rows: Sequence[SessionType], now: datetime) -> dict[int, int]:
    query = sa.select(Booking.session_type_id, sa.func.count()).where(
        _booked_as(rows), Booking.status.in_(HOLDING_A_TIME), Booking.ends_at > now
    )
    return dict(session.execute(query.group_by(Booking.session_type_id)).all())


def _booked_as(rows: Sequence[SessionType]) -> sa.ColumnElement[bool]:
    return Booking.session_type_id.in_([row.id for row in rows])


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
            "published": row.published if row else True,
        },
    )
