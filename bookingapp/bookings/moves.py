"""Reschedules of a booking, each with who made it: the refund policy asks for that.

Recording the new time itself is in :mod:`bookingapp.bookings.slot`. Writers are part of their caller's transaction.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Actor, Booking, Move


def record_move(
    session: Session,
    booking: Booking,
    old_invitee: str,
    *,
    at: datetime,
    by: Actor | None = None,
    to_start: datetime | None = None,
) -> None:
    """Record one half of a reschedule of the invitee ``old_invitee``; what the other half said stays.

    The first half counts the booking's present start as the old one, so an invitee that is not the booking's own is
    ignored until its half is known.
    """
    move = session.scalar(
        sa.select(Move).where(Move.booking_id == booking.id, Move.old_invitee == old_invitee)
    )
    if move is None:
        if booking.invitee_uri != old_invitee or booking.starts_at is None:
            return
        move = Move(booking_id=booking.id, old_invitee=old_invitee, from_start=booking.starts_at, at=at)
        session.add(move)
    move.by = move.by or by
    move.to_start = move.to_start or to_start


def find_moved_from(session: Session, booking: Booking) -> datetime | None:
    """The start before the reschedule to the booking's present one; None without such a reschedule."""
    latest = next(
        (move for move in reversed(list_moves(session, booking)) if move.to_start is not None), None
    )
    return latest.from_start if latest is not None and latest.to_start == booking.starts_at else None


def list_moves(session: Session, booking: Booking) -> list[Move]:
    """The booking's reschedules, the oldest first."""
    query = sa.select(Move).where(Move.booking_id == booking.id).order_by(Move.at, Move.id)
    return list(session.scalars(query))
