"""Which booking it is that a provider speaks of."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status

_BOOKINGS = sa.inspect(Booking).local_table.c
# Built once: each delivery asks one of them, and to build one costs more than to execute it.
_BY_TRACKING, _BY_REF, _BY_INVITEE = (
    sa.select(_BOOKINGS.id).where(column == sa.bindparam("value"))
    for column in (_BOOKINGS.tracking_id, _BOOKINGS.ref, _BOOKINGS.invitee_uri)
)


def find_id_by_tracking(session: Session, tracking_id: str) -> int | None:
    """The booking that a genuine ``utm_content`` belongs to."""
    return session.scalar(_BY_TRACKING, {"value": tracking_id})


def find_id_by_ref(session: Session, ref: str) -> int | None:
    """The booking with that reference, where there is one."""
    return session.scalar(_BY_REF, {"value": ref}) if ref.isprintable() else None


def find_id_by_invitee(session: Session, invitee_uri: str) -> int | None:
    """The booking whose slot that invitee is."""
    return session.scalar(_BY_INVITEE, {"value": invitee_uri})


def list_ended_invitees(session: Session, invitee_uris: list[str]) -> set[str]:
    """Which of these invitees belong to bookings that expired or were canceled."""
    query = sa.select(Booking.invitee_uri).where(
        Booking.invitee_uri.in_(invitee_uris), Booking.status.in_((Status.CANCELED, Status.EXPIRED))
    )
    return {uri for uri in session.scalars(query) if uri is not None}
