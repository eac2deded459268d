"""What the rows of a list of bookings say, and what its form offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import OPERATORS_FLAGS
from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.bookings.states import Status
from bookingapp.checkout.words import STATUS_LABELS, payment_label
from bookingapp.core.clock import Agenda, clock, day, iso
from bookingapp.core.db import table_of
from bookingapp.core.i18n import gettext, translated
from bookingapp.core.money import format_money
from bookingapp.dashboard.listing import Found
from bookingapp.dashboard.words.bookings import flag_sentence
from bookingapp.session_types.models import SessionType

_B = table_of(Booking).c
_S = table_of(SessionType).c
_F = table_of(AttentionFlag).c

_FLAGS = (
    sa.select(_F.booking_id, _F.code, _F.facts)
    .where(_F.booking_id.in_(sa.bindparam("ids", expanding=True)), _F.resolved_at.is_(None))
    .where(_F.code.not_in(OPERATORS_FLAGS))
    .order_by(_F.id)
)
_TITLE = (
    sa.select(_B.title)
    .where(_B.builder_id == _S.builder_id, _B.session_type_id == _S.id, _B.starts_at.is_not(None))
    .order_by(_B.created_at.desc(), _B.id.desc())
    .limit(1)
    .scalar_subquery()
)
_TYPES = (
    sa.select(_S.id, _S.event_type_uri, _TITLE.label("title"))
    .where(_S.builder_id == sa.bindparam("builder"))
    .order_by(_S.display_order, _S.id)
)


class Row(NamedTuple):
    """One booking in a list. ``attention`` has a code and a sentence for each open flag; times are in one zone, and
    ``start`` is the same for programs: empty where there is none.
    """

    tracking_id: str
    title: str
    client_name: str
    starts_at: datetime | None
    start: str
    when: str
    time: str
    amount: str
    is_free: bool
    status: str
    status_label: str
    payment_status: str
    payment_label: str
    attention: list[tuple[str, str]]


class BookedType(NamedTuple):
    """A session type that was booked: its row's id, Calendly's id, and the title of its newest booking."""

    id: int
    key: str
    title: str


def describe_rows(session: Session, found: Sequence[Found], timezone: str) -> list[Row]:
    """The rows of a list, with times in that zone. One statement where a booking needs a person, else none."""
    flags = _load_flags(session, [one.id for one in found if one.is_flagged])
    status_labels, free = translated(STATUS_LABELS), gettext("Free")
    written = Agenda(timezone)
    return [_describe(one, timezone, written, flags.get(one.id, []), status_labels, free) for one in found]


def list_booked_types(session: Session, builder_id: int) -> list[BookedType]:
    """The builder's session types that have a booking with a time, in their order."""
    rows = session.execute(_TYPES, {"builder": builder_id})
    return [BookedType(row.id, row.event_type_uri.rpartition("/")[2], row.title) for row in rows if row.title]


def _load_flags(session: Session, ids: list[int]) -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = {}
    if ids:
        for row in session.execute(_FLAGS, {"ids": ids}):
            found.setdefault(row.booking_id, []).append((row.code, flag_sentence(row.code, row.facts)))
    return found


def _describe(
    one: Found,
    timezone: str,
    agenda: Agenda,
    attention: list[tuple[str, str]],
    status_labels: Mapping[Status, str],
    free: str,
) -> Row:
    if one.starts_at is None:
        when = gettext("No time yet")
        time = gettext("Opened %(day)s", day=day(one.created_at, timezone))
    elif one.ends_at is None:
        when, time = day(one.starts_at, timezone), clock(one.starts_at, timezone)
    else:
        when, time = agenda.write(one.starts_at, one.ends_at)
    is_free = one.price_minor == 0
    return Row(
        one.tracking_id,
        one.title,
        one.client_name,
        one.starts_at,
        iso(one.starts_at) if one.starts_at else "",
        when,
        time,
        free if is_free else format_money(one.price_minor, one.currency),
        is_free,
        one.status.value,
        status_labels[one.status],
        one.payment_status.value,
        payment_label(
            one.payment_status, is_free=is_free, was_released=one.was_released, in_calendly=one.in_calendly
        ),
        attention,
    )
