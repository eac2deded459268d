"""Erases everything of one e-mail address, at the wish of the person who has verified it.

What other systems have is asked for before our own rows are erased, so that a crash in between forgets no one: the
person, who can still see what is left, asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings import service as bookings
from bookingapp.bookings.addresses import opens_for
from bookingapp.bookings.attention import flag
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Actor, Booking, UnattachedInvitee
from bookingapp.bookings.states import Status
from bookingapp.bookings.unattached import erase_unattached, is_ahead, of_address
from bookingapp.clients.models import SignIn
from bookingapp.core.db import end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import enqueue
from bookingapp.payments.models import Payment
from bookingapp.privacy.erasure import Obstacle, erase_booking, find_obstacle
from bookingapp.privacy.models import ErasureRequest

log = structlog.get_logger(__name__)

ERASE_IN_CALENDLY_JOB = "privacy.erase_in_calendly"
SEARCH_BODIES_JOB = "privacy.search_bodies"
MOST_NAMED = 20
"""How many bookings or payments a flag names."""


@dataclass(frozen=True)
class Plan:
    """What an erasure would do: the bookings, oldest first, those in the way with the reason, how many bookings of
    others name the address beside theirs, and how many times ahead it has booked in Calendly directly.
    """

    bookings: Sequence[Booking]
    obstacles: Sequence[tuple[Booking, Obstacle]]
    beside: int
    direct: int

    @property
    def is_possible(self) -> bool:
        """Whether nothing is in the way."""
        return not self.obstacles


def plan_erasure(session: Session, email: str, *, now: datetime) -> Plan:
    """What the erasure of a (normalized) address would do now."""
    query = sa.select(Booking).where(opens_for(email)).options(joinedload(Booking.builder))
    found = session.scalars(query.order_by(Booking.id)).all()
    obstacles = [(one, why) for one in found if (why := find_obstacle(session, one)) is not None]
    beside = session.scalar(sa.select(sa.func.count()).select_from(Booking).where(_is_beside(email))) or 0
    ahead = sa.select(sa.func.count()).select_from(UnattachedInvitee).where(of_address(email), is_ahead(now))
    return Plan(found, obstacles, beside, direct=session.scalar(ahead) or 0)


def erase_address(session: Session, email: str, *, now: datetime) -> int:
    """Erase everything of a (normalized) address that its holder has verified. Returns how many bookings. A transaction
    for each booking.

    Raises :class:`Conflict` while a booking has an obstacle.
    """
    plan = plan_erasure(session, email, now=now)
    found = [one.id for one in plan.bookings]
    end_read(session)
    if not plan.is_possible:
        raise _refusal()
    with transaction(session):
        _ask_elsewhere(session, email, found, now=now)
    for booking_id in found:
        with transaction(session):
            booking = bookings.lock_booking(session, booking_id)
            if find_obstacle(session, booking) is not None:
                raise _refusal()
            erase_booking(session, booking, Actor.CLIENT, now=now)
    with transaction(session):
        _forget_address(session, email, now=now)
    log.info("address_erased", bookings=len(found))
    return len(found)


def _refusal() -> Conflict:
    return Conflict(
        gettext(
            "Something has changed: a booking is open, or its money is on the way. Please load the page again to "
            "see which."
        )
    )


def _ask_elsewhere(session: Session, email: str, booking_ids: Sequence[int], *, now: datetime) -> None:
    """Enqueue the erasure in each Calendly account and in the bodies of deliveries; flag what to redact in Stripe."""
    by_builder: dict[int, list[int]] = {}
    for booking_id in booking_ids:
        booking = session.get_one(Booking, booking_id)
        if booking.invitee_uri is not None or booking.canceled_invitees:
            by_builder.setdefault(booking.builder_id, []).append(booking_id)
    for found in by_builder.values():
        _enqueue(session, ERASE_IN_CALENDLY_JOB, email, booking_id=found[-1], others=found[:-1], now=now)
    direct = sa.select(UnattachedInvitee.builder_id).where(
        of_address(email), UnattachedInvitee.builder_id.not_in(by_builder)
    )
    for builder_id in session.scalars(direct.distinct()).all():
        _enqueue(session, ERASE_IN_CALENDLY_JOB, email, booking_id=None, builder_id=builder_id, now=now)
    _enqueue(session, SEARCH_BODIES_JOB, email, booking_id=None, now=now)
    query = sa.select(Payment.booking_id, Payment.checkout_session_id, Payment.payment_intent_id).where(
        Payment.booking_id.in_(booking_ids), Payment.checkout_session_id.is_not(None)
    )
    paid = session.execute(query.order_by(Payment.id)).all()
    if paid:
        ids = [str(row.payment_intent_id or row.checkout_session_id) for row in paid[-MOST_NAMED:]]
        flag(session.get_one(Booking, paid[-1].booking_id), FlagCode.ERASE_IN_STRIPE, now=now, payments=ids)


def _enqueue(
    session: Session,
    job: str,
    email: str,
    *,
    booking_id: int | None,
    others: Sequence[int] = (),
    builder_id: int | None = None,
    now: datetime,
) -> None:
    request = ErasureRequest(booking_id=booking_id, address=email, asked_at=now)
    session.add(request)
    session.flush()
    args: dict[str, object] = {"request_id": request.id, "booking_id": booking_id}
    args |= {"others": list(others[-MOST_NAMED:]), "builder_id": builder_id}
    enqueue(session, job, key=f"erase:{request.id}", args=args, run_at=now, now=now)


def _is_beside(email: str) -> sa.ColumnElement[bool]:
    """The ended bookings that name the address as one of two, of which it has not been proved to be the client's."""
    ended = Booking.status.in_([one for one in Status if one.is_final])
    names = sa.or_(Booking.invitee_email == email, Booking.client_email == email)
    return sa.and_(ended, names, sa.not_(opens_for(email)))


def _forget_address(session: Session, email: str, *, now: datetime) -> None:
    """What names the address beside its bookings: bookings of others, times booked in Calendly alone, sign-ins."""
    for booking in session.scalars(sa.select(Booking).where(_is_beside(email))):
        if booking.client_email == email and booking.invitee_email is not None:
            booking.client_email = booking.invitee_email
        booking.invitee_email = None
    erase_unattached(session, email, now=now)
    sign_ins = sa.delete(SignIn).where(SignIn.email == email)
    session.execute(sign_ins.execution_options(synchronize_session=False))
