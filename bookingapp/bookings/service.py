"""What happens to a booking. Every function is part of its caller's transaction and commits nothing.

What Calendly says (a slot) and what Stripe says (money) are recorded as facts; the status follows from them,
and :func:`transition` is the only writer of it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings import policy
from bookingapp.bookings.attention import flag, unflag
from bookingapp.bookings.facts import SlotFacts, hear_again, is_older, note_source, write_slot
from bookingapp.bookings.mails import Cancellation, announce
from bookingapp.bookings.models import Actor, Booking, HistoryEntry, Slot
from bookingapp.bookings.states import Event, Refusal, Status, decide
from bookingapp.builders.models import Builder
from bookingapp.core.db import changed_rows
from bookingapp.core.errors import Conflict, NotFound
from bookingapp.core.queue import enqueue
from bookingapp.session_types.models import SessionType

log = structlog.get_logger(__name__)

EXPIRE_JOB = "bookings.expire"
CANCEL_EVENT_JOB = "calendly.cancel_event"
COMPLETE_JOB = "bookings.complete"
FIND_TIME_JOB = "calendly.find_time"
FIND_AFTER = (timedelta(0), timedelta(minutes=1), timedelta(minutes=4), timedelta(minutes=10))
"""When Calendly is asked for the time of a booking that is paid and has none; after the last a person is."""

NO_TIME_YET = "Paid, but Calendly has not told us of a time yet."
HALF_MOVED = "The time was moved in Calendly, and Calendly does not say to when. Nothing was refunded."
ASKING_AGAIN = "Paid after the hold had ended: we are asking Calendly whether the time can still be had."
TOO_LATE = "Paid after the booking had ended: the money goes back by itself."
WRONG_EVENT_TYPE = (
    "A time was picked for a different session type than the one that was booked; it is given back."
)


class Raced(RuntimeError):
    """Somebody else moved the booking between our look and our write; the whole step has to be done again."""


@dataclass(frozen=True)
class Cause:
    """Why a booking changes: who did it, in a few words, and the inbox row that said so, if one did."""

    actor: Actor
    text: str
    inbox_id: int | None = None

    @property
    def is_told(self) -> bool:
        """Whether a delivery said so, and not an answer to a question of ours."""
        return self.inbox_id is not None


@dataclass(frozen=True)
class Client:
    """Who books."""

    name: str
    email: str
    timezone: str


@dataclass(frozen=True)
class Offer:
    """What is booked, in Calendly's words at this moment."""

    title: str
    duration_minutes: int
    scheduling_url: str


def create(
    session: Session,
    *,
    builder: Builder,
    session_type: SessionType,
    offer: Offer,
    client: Client,
    pending: timedelta,
    now: datetime,
) -> Booking:
    """Make a pending booking with a snapshot of price, currency and policy."""
    booking = Booking(
        ref=secrets.token_hex(16),  # 128 bits, and never taken for an option on a command line.
        tracking_id=secrets.token_urlsafe(12),
        builder_id=builder.id,
        session_type_id=session_type.id,
        status=Status.PENDING,
        slot=Slot.NONE,
        canceled_invitees=[],
        client_name=client.name,
        client_email=client.email,
        client_timezone=client.timezone,
        title=offer.title,
        duration_minutes=offer.duration_minutes,
        event_type_uri=session_type.event_type_uri,
        scheduling_url=offer.scheduling_url,
        price_minor=session_type.price_minor,
        currency=session_type.currency,
        policy=policy.snapshot(),
        created_at=now,
        updated_at=now,
    )
    session.add(booking)
    session.flush()
    cause = Cause(Actor.CLIENT, "picked a session type")
    session.add(_history(booking, None, Status.PENDING, None, cause, now))
    set_hold(session, booking, now + pending, now=now)
    return booking


# Built once: nearly whatever happens to a booking begins with it.
_LOCK = (
    sa.select(Booking)
    .where(Booking.id == sa.bindparam("booking_id"))
    .with_for_update(of=Booking)
    .options(joinedload(Booking.builder))
    .execution_options(populate_existing=True)
)


def find(session: Session, ref: str) -> Booking:
    """The booking with that reference and its builder, for reading. Raises :class:`NotFound`."""
    query = sa.select(Booking).where(Booking.ref == ref).options(joinedload(Booking.builder))
    booking = session.scalar(query)
    if booking is None:
        raise NotFound
    return booking


def lock(session: Session, booking_id: int) -> Booking:
    """The booking, held against every other writer until the transaction ends."""
    booking = session.scalar(_LOCK, {"booking_id": booking_id})
    if booking is None:
        raise NotFound
    return booking


def transition(
    session: Session,
    booking: Booking,
    event: Event,
    cause: Cause,
    *,
    now: datetime,
    cancellation: Cancellation | None = None,
) -> bool:
    """Move the booking by the table of :mod:`bookingapp.bookings.states`; the only writer of ``status``.

    The write names the status it starts from, and the history row and the mails that the change asks for stand
    in the same commit; ``cancellation`` is what those of a cancellation promise. Returns False
    where the event has nothing (more) to change. Raises :class:`Conflict` for an illegal move and
    :class:`Raced` when somebody else was faster.
    """
    decision = decide(booking.status, event)
    if decision is Refusal.FORBIDDEN:
        raise Conflict(f"That is not possible: this booking is {booking.status.value}.")
    if isinstance(decision, Refusal):
        log.info(
            "transition_refused", booking=booking.id, status=booking.status, event_name=event, why=decision
        )
        return False
    before = booking.status
    session.flush()
    statement = (
        sa.update(Booking)
        .where(Booking.id == booking.id, Booking.status == before)
        .values(status=decision, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    if changed_rows(session, statement) != 1:
        raise Raced
    session.refresh(booking, ["status", "updated_at"])
    session.add(_history(booking, before, decision, event, cause, now))
    if decision.is_final or decision in (Status.PAID, Status.CONFIRMED):
        booking.hold_expires_at = None
    log.info(
        "transition", booking=booking.id, before=before, after=decision, event_name=event, actor=cause.actor
    )
    announce(session, booking, before=before, event=event, cancellation=cancellation, now=now)
    return True


def take_slot(
    session: Session, booking: Booking, facts: SlotFacts, cause: Cause, *, hold: timedelta, now: datetime
) -> bool:
    """Calendly has an active invitee for this booking. Returns whether that was news.

    Whoever says it first (webhook, browser, reconciler) records it; a later telling changes nothing, and
    deliveries may come in any order: the newest invitee of a reschedule is the one that counts. A second time
    that was picked beside the first, or one that comes after the booking ended, is given back to Calendly.
    """
    if booking.invitee_uri == facts.invitee_uri:
        hear_again(booking, facts, told=cause.is_told, now=now)
        return False
    if facts.invitee_uri in booking.canceled_invitees:
        return False
    event = _event_of(booking, facts)
    if _is_unwanted(booking, facts, event):
        give_back(session, booking, facts.event_uri, facts.invitee_uri, now=now)
        return False
    # Once: nobody keeps an unpaid time for ever by moving it. A longer hold (money on its way) stays as well.
    keeps_hold = event is Event.SLOT_MOVED and _was_moved(session, booking)
    write_slot(booking, facts)
    note_source(booking, told=cause.is_told, now=now)
    unflag(booking, HALF_MOVED, ASKING_AGAIN)
    transition(session, booking, event, cause, now=now)
    if not settle(session, booking, cause, now=now):
        if booking.status is Status.CONFIRMED:
            _owe_completion(session, booking, now=now)
        elif booking.status is Status.SCHEDULED and event is Event.SLOT_TAKEN:
            set_hold(session, booking, now + hold, now=now)
        elif booking.status is Status.SCHEDULED and not keeps_hold:
            extend_hold(session, booking, now + hold, now=now)
    return True


def _is_unwanted(booking: Booking, facts: SlotFacts, event: Event) -> bool:
    """Whether the booking has no use for that time."""
    if is_older(booking, facts):
        # Replaced before we heard of it, and gone in Calendly; or picked in another tab, and kept by nobody.
        return True
    # Calendly may leave out the type of an event whose type is deleted: then our signed reference has to do.
    if facts.event_type_uri and facts.event_type_uri != booking.event_type_uri:
        flag(booking, WRONG_EVENT_TYPE)
        return True
    return isinstance(decide(booking.status, event), Refusal)


def _event_of(booking: Booking, facts: SlotFacts) -> Event:
    if booking.status is Status.EXPIRED and booking.restoring_since is not None:
        return Event.RESTORED
    is_move = facts.replaces is not None and booking.slot is Slot.ACTIVE
    return Event.SLOT_MOVED if is_move else Event.SLOT_TAKEN


def _was_moved(session: Session, booking: Booking) -> bool:
    query = sa.select(HistoryEntry.id).where(
        HistoryEntry.booking_id == booking.id, HistoryEntry.event == Event.SLOT_MOVED
    )
    return session.scalar(query.limit(1)) is not None


def lose_slot(
    session: Session,
    booking: Booking,
    invitee_uri: str,
    cause: Cause,
    *,
    now: datetime,
    cancellation: Cancellation | None = None,
) -> bool:
    """The invitee was canceled in Calendly, and not because it was moved. Returns whether that was news."""
    if booking.invitee_uri != invitee_uri:
        # Its creation may still be on its way to us; then it must not take the booking with it.
        if invitee_uri not in booking.canceled_invitees:
            booking.canceled_invitees = [*booking.canceled_invitees, invitee_uri]
        return False
    was, booking.slot = booking.slot, Slot.CANCELED
    booking.moving_since = booking.moving_to = None
    note_source(booking, told=cause.is_told, now=now)
    if was in (Slot.CANCELED, Slot.RELEASING):
        return False
    if decide(booking.status, Event.SLOT_LOST) is Refusal.LATE:
        flag(booking, "The time was canceled in Calendly after it was paid or had passed.")
        return True
    transition(session, booking, Event.SLOT_LOST, cause, now=now, cancellation=cancellation)
    return True


def receive_payment(session: Session, booking: Booking, cause: Cause, *, now: datetime) -> bool:
    """Stripe says that the price is paid in full. Returns whether that was news."""
    if booking.paid_at is not None:
        return False
    booking.paid_at = now
    if decide(booking.status, Event.PAYMENT_RECEIVED) is Refusal.LATE:
        flag(booking, TOO_LATE)
        return True
    transition(session, booking, Event.PAYMENT_RECEIVED, cause, now=now)
    if not settle(session, booking, cause, now=now):
        for number, wait in enumerate(FIND_AFTER):
            args = {"booking_id": booking.id, "last": wait == FIND_AFTER[-1]}
            key = f"find-time:{booking.id}:{number}"
            enqueue(session, FIND_TIME_JOB, key=key, args=args, run_at=now + wait, now=now)
    return True


def settle(session: Session, booking: Booking, cause: Cause, *, now: datetime) -> bool:
    """Confirm the booking when both facts are in: a time is taken, and nothing is owed."""
    if not booking.is_settled or booking.status not in (Status.SCHEDULED, Status.PAID):
        return False
    unflag(booking, NO_TIME_YET)
    transition(session, booking, Event.SETTLED, cause, now=now)
    _owe_completion(session, booking, now=now)
    return True


def begin_release(booking: Booking) -> None:
    """Say that we are about to cancel the booking's event in Calendly, so that its echo moves nothing."""
    if booking.slot is Slot.ACTIVE:
        booking.slot = Slot.RELEASING


def see_to(session: Session, booking: Booking, cause: Cause, *, now: datetime) -> None:
    """Somebody has seen to what the booking was flagged for. The history keeps each reason."""
    for reason in booking.reasons:
        seen = Cause(cause.actor, f"{cause.text}: {reason}"[:200], cause.inbox_id)
        session.add(_history(booking, booking.status, booking.status, None, seen, now))
    booking.attention = None


def give_back(session: Session, booking: Booking, event_uri: str, invitee_uri: str, *, now: datetime) -> None:
    """Owe Calendly the cancellation of an event whose invitee this booking does not keep."""
    enqueue(
        session,
        CANCEL_EVENT_JOB,
        key=f"cancel-event:{booking.id}:{invitee_uri.rsplit('/', 1)[-1]}",
        args={"booking_id": booking.id, "event_uri": event_uri, "invitee_uri": invitee_uri},
        run_at=now,
        now=now,
    )


def extend_hold(session: Session, booking: Booking, until: datetime, *, now: datetime) -> None:
    """Keep the slot longer: a delayed payment is on its way."""
    if booking.hold_expires_at is None or booking.hold_expires_at < until:
        set_hold(session, booking, until, now=now)


def set_hold(session: Session, booking: Booking, until: datetime, *, now: datetime) -> None:
    """Keep the booking's place until then, and owe its end."""
    booking.hold_expires_at = until
    stamp = int(until.timestamp())
    enqueue(
        session,
        EXPIRE_JOB,
        key=f"expire:{booking.id}:{stamp}",
        args={"booking_id": booking.id},
        run_at=until,
        now=now,
    )


def _owe_completion(session: Session, booking: Booking, *, now: datetime) -> None:
    if booking.ends_at is None:
        return
    enqueue(
        session,
        COMPLETE_JOB,
        key=f"complete:{booking.id}:{int(booking.ends_at.timestamp())}",
        args={"booking_id": booking.id},
        run_at=booking.ends_at,
        now=now,
    )


def _history(
    booking: Booking, before: Status | None, after: Status, event: Event | None, cause: Cause, now: datetime
) -> HistoryEntry:
    return HistoryEntry(
        booking_id=booking.id,
        from_status=before,
        to_status=after,
        event=event,
        actor=cause.actor,
        cause=cause.text,
        inbox_id=cause.inbox_id,
        at=now,
    )
