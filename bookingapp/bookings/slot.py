"""A booking's slot in Calendly: recording that a time was scheduled, rescheduled or canceled, with its facts.

Every function is part of its caller's transaction and commits nothing. Reading invitees from Calendly is in
:mod:`bookingapp.checkout.calendly_invitees`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.addresses import record_invitee_email
from bookingapp.bookings.attention import flag, resolve
from bookingapp.bookings.calendar_revision import revising
from bookingapp.bookings.codes import ATTENDANCE_FLAGS, RELEASE_FLAGS, FlagCode
from bookingapp.bookings.holds import limit_hold_of_client
from bookingapp.bookings.mail_triggers import CancellationTerms
from bookingapp.bookings.models import Booking, HistoryEntry, Slot, Source
from bookingapp.bookings.moves import record_move
from bookingapp.bookings.reminders import enqueue_reminders
from bookingapp.bookings.service import (
    CANCEL_EVENT_JOB,
    Cause,
    confirm_if_settled,
    enqueue_completion,
    extend_hold,
    limit_hold,
    set_hold,
    transition,
)
from bookingapp.bookings.states import Event, Refusal, Status, decide
from bookingapp.core.queue import enqueue


@dataclass(frozen=True)
class Seats:
    """How many seats of a group event are taken, and how many there are."""

    taken: int
    limit: int

    @property
    def are_shared(self) -> bool:
        """Whether anybody else has one."""
        return self.taken > 1


@dataclass(frozen=True)
class Person:
    """An invitee as Calendly knows them, as far as it can be used: one line of a name, a normalized address, an IANA
    time zone.
    """

    name: str | None = None
    email: str | None = None
    timezone: str | None = None


@dataclass(frozen=True)
class SlotFacts:
    """One invitee in Calendly: canonical URIs, aware UTC times, links that only the client may see.

    ``since`` is when the invitee was created; ``replaces`` is the old invitee of a reschedule; ``seats`` are those of a
    group event. ``hosts`` are the users who hold the session, none where Calendly does not say. ``is_link_pending``
    says that the conference has no link of its own yet.
    """

    event_uri: str
    invitee_uri: str
    event_type_uri: str
    since: datetime
    starts_at: datetime
    ends_at: datetime
    join_url: str | None = None
    cancel_url: str | None = None
    reschedule_url: str | None = None
    replaces: str | None = None
    paid_in_calendly: bool = False
    seats: Seats | None = None
    person: Person = Person()
    answers: tuple[tuple[str, str], ...] = ()
    place_kind: str | None = None
    place: str | None = None
    is_link_pending: bool = False
    hosts: tuple[str, ...] = ()
    host_names: tuple[str, ...] = ()


def is_replaced(booking: Booking, facts: SlotFacts) -> bool:
    """Whether the facts belong to an invitee older than the booking's own: replaced before its webhook arrived."""
    since = booking.invitee_since
    if booking.slot is not Slot.ACTIVE or since is None or facts.replaces == booking.invitee_uri:
        return False
    return facts.since <= since


def record_source(booking: Booking, *, from_webhook: bool, now: datetime) -> None:
    """Record where the slot's facts come from, a webhook or Calendly's API, and when."""
    booking.slot_source = Source.WEBHOOK if from_webhook else Source.FETCHED
    booking.slot_checked_at = now


def set_slot(booking: Booking, facts: SlotFacts) -> None:
    """Give the booking this time, and clear everything that belonged to another one."""
    booking.slot = Slot.ACTIVE
    booking.event_uri = facts.event_uri
    booking.invitee_uri = facts.invitee_uri
    booking.invitee_since = facts.since
    booking.starts_at = facts.starts_at
    booking.ends_at = facts.ends_at
    booking.join_url, booking.cancel_url, booking.reschedule_url = None, None, None
    booking.moving_since, booking.moving_to, booking.restoring_since = None, None, None
    booking.no_show_at, booking.no_show_uri, booking.no_show_denied_at = None, None, None
    booking.absence_claim, booking.absence_claimed_at = None, None
    if facts.replaces is not None and facts.replaces not in booking.canceled_invitees:
        booking.canceled_invitees = [*booking.canceled_invitees, facts.replaces]
    refresh_links(booking, facts)
    record_seats(booking, facts.seats)
    record_details(booking, facts)


def record_details(booking: Booking, facts: SlotFacts) -> None:
    """Record what Calendly knows better than our form and the event type: who the invitee is, the place, the length."""
    if facts.place_kind is not None:
        if facts.place_kind != booking.place_kind:
            # The link led to another kind of place.
            booking.join_url = facts.join_url
        booking.place_kind, booking.place = facts.place_kind, facts.place
    booking.client_name = facts.person.name or booking.client_name
    booking.client_timezone = facts.person.timezone or booking.client_timezone
    record_invitee_email(booking, facts.person.email)
    if facts.answers:
        booking.answers = [{"question": question, "answer": answer} for question, answer in facts.answers]
    booking.ends_at = facts.ends_at
    length = round((facts.ends_at - facts.starts_at) / timedelta(minutes=1))
    booking.duration_minutes = length if length > 0 else booking.duration_minutes


def refresh_known_slot(booking: Booking, facts: SlotFacts, *, from_webhook: bool, now: datetime) -> None:
    """Update a slot that is recorded already. Only an API answer counts as a new check: a webhook may be old, and adds
    only links that are missing.
    """
    record_seats(booking, facts.seats)
    if from_webhook:
        booking.join_url = booking.join_url or facts.join_url
        booking.cancel_url = booking.cancel_url or facts.cancel_url
        booking.reschedule_url = booking.reschedule_url or facts.reschedule_url
    else:
        refresh_links(booking, facts)
        if facts.starts_at == booking.starts_at:
            record_details(booking, facts)
        record_source(booking, from_webhook=False, now=now)


def record_seats(booking: Booking, seats: Seats | None) -> None:
    """Record how many seats of its group event are taken."""
    booking.seats_taken, booking.seats_limit = (
        (seats.taken, seats.limit) if seats is not None else (None, None)
    )


def find_seats(session: Session, booking: Booking) -> Seats | None:
    """The seats of the booking's group event, as the newest report of any of its bookings counts them. None for an
    event with one seat, and for a booking that has ended.
    """
    if booking.seats_limit is None or booking.event_uri is None or booking.status.is_final:
        return None
    counted = sa.select(Booking).where(
        Booking.event_uri == booking.event_uri, Booking.seats_limit.is_not(None)
    )
    newest = session.scalars(
        counted.order_by(Booking.slot_checked_at.desc(), Booking.id.desc()).limit(1)
    ).one()
    # Calendly counts a seat until it is removed there; those of ended bookings are free for us.
    ended = sa.select(sa.func.count()).where(
        Booking.event_uri == booking.event_uri,
        Booking.slot != Slot.CANCELED,
        Booking.status.in_((Status.CANCELED, Status.EXPIRED)),
    )
    left = session.scalar(ended) or 0
    return Seats(max((newest.seats_taken or 0) - left, 1), newest.seats_limit or 0)


def refresh_links(booking: Booking, facts: SlotFacts) -> None:
    """Copy the links, which may arrive later or change without a reschedule."""
    booking.join_url = facts.join_url or booking.join_url
    booking.cancel_url = facts.cancel_url or booking.cancel_url
    booking.reschedule_url = facts.reschedule_url or booking.reschedule_url


def record_slot(
    session: Session, booking: Booking, facts: SlotFacts, cause: Cause, *, hold: timedelta, now: datetime
) -> bool:
    """Record an active invitee of this booking. Returns whether the slot changed.

    The first report counts, from a webhook, the browser or the reconciliation; repeats change nothing. Reports may
    arrive in any order: the newest invitee of a chain of reschedules wins. A second time that was picked beside the
    first, or one for a booking that has ended, is canceled in Calendly.
    """
    if booking.invitee_uri == facts.invitee_uri:
        with revising(booking, now=now):
            refresh_known_slot(booking, facts, from_webhook=cause.is_from_webhook, now=now)
        return False
    if facts.invitee_uri in booking.canceled_invitees:
        return False
    event = _state_event_of(booking, facts)
    if _is_unwanted(booking, facts, event, now=now):
        enqueue_event_cancellation(session, booking, facts.event_uri, facts.invitee_uri, now=now)
        return False
    if event is Event.SLOT_MOVED and booking.event_uri and booking.invitee_uri:
        record_move(session, booking, booking.invitee_uri, at=facts.since, to_start=facts.starts_at)
        if facts.replaces != booking.invitee_uri:
            # Another time was moved than the booking's own, which nothing else would release. Where its own was moved
            # further meanwhile, the job finds nothing to cancel.
            enqueue_event_cancellation(session, booking, booking.event_uri, booking.invitee_uri, now=now)
    # Only the first reschedule renews the hold: an unpaid time cannot be kept for ever by rescheduling it.
    keeps_hold = event is Event.SLOT_MOVED and _was_rescheduled(session, booking)
    with revising(booking, now=now):
        set_slot(booking, facts)
    record_source(booking, from_webhook=cause.is_from_webhook, now=now)
    resolve(
        booking,
        FlagCode.RESCHEDULED_UNKNOWN,
        FlagCode.LATE_PAYMENT_CHECKED,
        FlagCode.TIME_NOT_READABLE,
        *ATTENDANCE_FLAGS,
        now=now,
    )
    transition(session, booking, event, cause, now=now)
    if not confirm_if_settled(session, booking, cause, now=now):
        if booking.status is Status.CONFIRMED:
            enqueue_completion(session, booking, now=now)
            enqueue_reminders(session, booking, now=now)
        elif booking.status is Status.SCHEDULED and event is Event.SLOT_TAKEN:
            set_hold(session, booking, now + limit_hold_of_client(session, booking, hold, now=now), now=now)
        elif booking.status is Status.SCHEDULED and not keeps_hold:
            extend_hold(session, booking, now + hold, now=now)
        limit_hold(session, booking, now=now)
    return True


def _is_unwanted(booking: Booking, facts: SlotFacts, event: Event, *, now: datetime) -> bool:
    """Whether the booking cannot use that time."""
    if is_replaced(booking, facts):
        # Replaced and gone in Calendly already, or picked in another tab.
        return True
    # Calendly omits the type of an event whose type was deleted; then our signed reference is proof enough.
    if facts.event_type_uri and facts.event_type_uri != booking.event_type_uri:
        flag(booking, FlagCode.WRONG_EVENT_TYPE, now=now)
        return True
    return isinstance(decide(booking.status, event), Refusal)


def _state_event_of(booking: Booking, facts: SlotFacts) -> Event:
    if booking.status is Status.EXPIRED and booking.restoring_since is not None:
        return Event.RESTORED
    is_move = facts.replaces is not None and booking.slot is Slot.ACTIVE
    return Event.SLOT_MOVED if is_move else Event.SLOT_TAKEN


def _was_rescheduled(session: Session, booking: Booking) -> bool:
    query = sa.select(HistoryEntry.id).where(
        HistoryEntry.booking_id == booking.id, HistoryEntry.event == Event.SLOT_MOVED
    )
    return session.scalar(query.limit(1)) is not None


def record_slot_canceled(
    session: Session,
    booking: Booking,
    invitee_uri: str,
    cause: Cause,
    *,
    now: datetime,
    cancellation: CancellationTerms | None = None,
) -> bool:
    """Record that an invitee was canceled in Calendly, other than by a reschedule. Returns whether the slot changed."""
    if booking.invitee_uri != invitee_uri:
        # The webhook of its creation may still arrive; then it must not become the booking's time.
        if invitee_uri not in booking.canceled_invitees:
            booking.canceled_invitees = [*booking.canceled_invitees, invitee_uri]
        return False
    resolve(booking, *RELEASE_FLAGS, now=now)
    was, booking.slot = booking.slot, Slot.CANCELED
    booking.moving_since = booking.moving_to = None
    record_source(booking, from_webhook=cause.is_from_webhook, now=now)
    if was in (Slot.CANCELED, Slot.RELEASING):
        return False
    if decide(booking.status, Event.SLOT_LOST) is Refusal.LATE:
        flag(booking, FlagCode.TIME_CANCELED_LATE, now=now)
        return True
    transition(session, booking, Event.SLOT_LOST, cause, now=now, cancellation=cancellation)
    return True


def start_release(booking: Booking) -> None:
    """Mark that we are canceling the booking's event, so that Calendly's webhook about it changes nothing."""
    if booking.slot is Slot.ACTIVE:
        booking.slot = Slot.RELEASING


def enqueue_event_cancellation(
    session: Session,
    booking: Booking,
    event_uri: str,
    invitee_uri: str,
    *,
    everybody: bool = False,
    now: datetime,
) -> None:
    """Enqueue the cancellation of an event in Calendly whose invitee this booking does not keep; of a group event only
    where it is for ``everybody``, or no one else is in it.
    """
    enqueue(
        session,
        CANCEL_EVENT_JOB,
        key=f"cancel-event:{booking.id}:{invitee_uri.rsplit('/', 1)[-1]}",
        args={
            "booking_id": booking.id,
            "event_uri": event_uri,
            "invitee_uri": invitee_uri,
            **({"everybody": True} if everybody else {}),
        },
        run_at=now,
        now=now,
    )
