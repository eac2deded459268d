"""Lists disputes over all builders: the open ones by their last day, the others by when they ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings.models import Booking
from bookingapp.builders.models import Builder
from bookingapp.core.errors import NotFound
from bookingapp.payments.models import DISPUTES_ENDED, Dispute


class ListedDispute(NamedTuple):
    """A dispute with its booking and its builder."""

    dispute: Dispute
    tracking_id: str
    title: str
    client_name: str
    builder: str


Place = tuple[datetime, int]
"""Where a page begins: the last day, or the end, and the id of the dispute before it."""


def list_disputes(
    session: Session, *, is_open: bool, after: Place | None, limit: int
) -> Sequence[ListedDispute]:
    """At most ``limit`` disputes behind the place ``after``."""
    query = (
        sa.select(Dispute, Booking.tracking_id, Booking.title, Booking.client_name, Builder.display_name)
        .join(Booking, Booking.id == Dispute.booking_id)
        .join(Builder, Builder.id == Booking.builder_id)
    )
    # One that has no last day was just opened, and has some weeks.
    order = sa.func.coalesce(Dispute.due_by, Dispute.created_at) if is_open else Dispute.updated_at
    place = sa.tuple_(order, Dispute.id)
    if is_open:
        query = query.where(Dispute.status.not_in(DISPUTES_ENDED)).order_by(order, Dispute.id)
        query = query if after is None else query.where(place > sa.tuple_(*after))
    else:
        query = query.where(Dispute.status.in_(DISPUTES_ENDED)).order_by(order.desc(), Dispute.id.desc())
        query = query if after is None else query.where(place < sa.tuple_(*after))
    return [ListedDispute(*row) for row in session.execute(query.limit(limit))]


def get_dispute(session: Session, dispute_id: int) -> tuple[Dispute, Booking]:
    """One dispute and its booking, which has its builder loaded. Raises :class:`NotFound`."""
    query = sa.select(Dispute, Booking).join(Booking, Booking.id == Dispute.booking_id)
    query = query.where(Dispute.id == dispute_id).options(joinedload(Booking.builder))
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound
    return found[0], found[1]


def place_of(dispute: Dispute, *, is_open: bool) -> Place:
    """The place of a dispute in its list."""
    return (dispute.due_by or dispute.created_at) if is_open else dispute.updated_at, dispute.id
