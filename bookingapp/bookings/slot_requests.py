"""The time that a client chose on our own list, from the choice to Calendly's answer.

It is committed before Calendly is asked, so that no crash loses or repeats it. Asking Calendly is in
:mod:`bookingapp.checkout.take_time`. Every function is part of its caller's transaction and commits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.models import Booking, RequestState, SlotRequest
from bookingapp.builders.service import lock_builder
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext

LEASE = timedelta(seconds=60)
"""How long one process may ask Calendly before another may."""


@dataclass(frozen=True)
class Choice:
    """What a client chose: a start (aware UTC), and what Calendly's API needs with it.

    ``place`` has ``kind`` and, where it has one, ``location``; each of ``answers`` has ``question``, ``answer`` and
    ``position``; ``guests`` are e-mail addresses.
    """

    starts_at: datetime
    place: Mapping[str, str] | None = None
    answers: tuple[Mapping[str, Any], ...] = ()
    guests: tuple[str, ...] = field(default=())

    @property
    def details(self) -> dict[str, Any]:
        """Everything but the start, as the row keeps it."""
        return {
            "place": dict(self.place) if self.place else None,
            "answers": [dict(one) for one in self.answers],
            "guests": list(self.guests),
        }


class TimeBeingTaken(RuntimeError):
    """Calendly is being asked for this time by another process; try again in a moment."""

    retryable = True
    retry_after = 2


_BY_BOOKING = sa.select(SlotRequest).where(SlotRequest.booking_id == sa.bindparam("booking_id"))


def find_request(session: Session, booking_id: int) -> SlotRequest | None:
    """The time that the booking's client chose on our list last, or None."""
    return session.scalar(_BY_BOOKING, {"booking_id": booking_id})


def record_choice(session: Session, booking: Booking, choice: Choice, *, now: datetime) -> SlotRequest:
    """Record what the client chose, in the place of an earlier choice. Raises :class:`Conflict` while Calendly is asked
    for that one.
    """
    request = find_request(session, booking.id)
    if request is None:
        request = SlotRequest(booking_id=booking.id, number=0)
        session.add(request)
    elif request.state is RequestState.ASKING:
        raise Conflict(
            gettext(
                "We are booking the time that you chose before. Please wait a moment, then reload the page."
            )
        )
    request.number += 1
    request.state, request.refusal = RequestState.CHOSEN, None
    request.starts_at, request.details = choice.starts_at, choice.details
    request.asked_at = request.leased_until = None
    request.chosen_at = request.updated_at = now
    session.flush()
    return request


def start_asking(session: Session, booking: Booking, request: SlotRequest, *, now: datetime) -> bool:
    """Mark that Calendly is asked for the time from now on. Returns whether it may have been asked before, so that an
    invitee has to be looked for first. Raises :class:`TimeBeingTaken` while another process asks for it, or another
    booking for the same time: all but the first would be refused, and each spends one of Calendly's few bookings.
    """
    # Two bookings of one builder begin one after the other.
    lock_builder(session, booking.builder_id)
    same = (
        sa.select(SlotRequest.id)
        .join(Booking, Booking.id == SlotRequest.booking_id)
        .where(
            Booking.builder_id == booking.builder_id,
            SlotRequest.state == RequestState.ASKING,
            SlotRequest.starts_at == request.starts_at,
            SlotRequest.leased_until > now,
        )
    )
    if session.scalar(same.limit(1)) is not None:
        raise TimeBeingTaken
    was_asked = request.asked_at is not None
    request.state, request.updated_at = RequestState.ASKING, now
    request.asked_at, request.leased_until = request.asked_at or now, now + LEASE
    return was_asked


def end_request(
    request: SlotRequest, state: RequestState, *, refusal: str | None = None, now: datetime
) -> None:
    """End a request with that state; one that has ended stays as it is."""
    if request.state.is_open:
        request.state, request.refusal = state, refusal
        request.leased_until, request.updated_at = None, now


def is_held(request: SlotRequest | None, number: int, lease: datetime) -> bool:
    """Whether Calendly is still asked for the ``number``-th choice by the process whose lease ends then."""
    is_asked = request is not None and request.number == number and request.state is RequestState.ASKING
    return request is not None and is_asked and request.leased_until == lease


def renew_lease(request: SlotRequest, lease: datetime, *, now: datetime) -> datetime:
    """Make a lease longer by another; the end of the new one."""
    request.leased_until, request.updated_at = lease + LEASE, now
    return lease + LEASE


def end_lease(request: SlotRequest, *, now: datetime) -> None:
    """Let another process ask Calendly: this one got no answer."""
    request.leased_until, request.updated_at = None, now


def record_slot_taken(session: Session, booking: Booking, *, now: datetime) -> None:
    """End the request of a booking that has a time now: its own, or another from Calendly's calendar."""
    request = find_request(session, booking.id)
    if request is None:
        return
    is_its_own = request.starts_at == booking.starts_at
    if is_its_own and request.state is RequestState.REFUSED:
        # Calendly had made it, and its answer was lost.
        request.state, request.refusal, request.updated_at = RequestState.TAKEN, None, now
    end_request(request, RequestState.TAKEN if is_its_own else RequestState.DROPPED, now=now)
