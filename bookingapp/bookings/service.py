"""A booking's life: creating it, its status, its hold, its payment. Slots are in :mod:`bookingapp.bookings.slot`.

Slot and money are recorded as facts and the status follows from them; :func:`transition` is its only writer. Every
function is part of its caller's transaction and commits nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, joinedload, selectinload

from bookingapp.bookings.attention import flag, resolve
from bookingapp.bookings.calendar_revision import revising
from bookingapp.bookings.codes import ATTENDANCE_FLAGS, SESSION_FLAGS, CauseCode, FlagCode
from bookingapp.bookings.holds import Booker, check_holds
from bookingapp.bookings.mail_triggers import CancellationTerms, enqueue_status_mails
from bookingapp.bookings.models import Actor, Booking, EmailProof, HistoryEntry, Slot
from bookingapp.bookings.reminders import enqueue_reminders
from bookingapp.bookings.states import Event, Refusal, Status, decide
from bookingapp.builders.models import Builder
from bookingapp.builders.policy import policy_snapshot
from bookingapp.builders.service import lock_builder
from bookingapp.core.db import changed_rows
from bookingapp.core.errors import Conflict, Gone, NotFound
from bookingapp.core.i18n import SOURCE, gettext
from bookingapp.core.logs import bind_booking
from bookingapp.core.queue import enqueue
from bookingapp.session_types.models import Pathway, SessionType

log = structlog.get_logger(__name__)

LONGEST_NUMBER = 9
EXPIRE_JOB = "bookings.expire"
CANCEL_EVENT_JOB = "calendly.cancel_event"
COMPLETE_JOB = "bookings.complete"
FIND_TIME_JOB = "calendly.find_time"
FIND_AFTER = (timedelta(0), timedelta(minutes=1), timedelta(minutes=4), timedelta(minutes=10))
"""When a paid booking without a time is searched for in Calendly; after the last try it is flagged."""


class StaleBooking(RuntimeError):
    """Another writer changed the booking first; retry the whole step."""


@dataclass(frozen=True)
class Cause:
    """Why a booking changes: who did it and how, with the facts of that code, and the delivery that reported it."""

    actor: Actor
    code: CauseCode
    inbox_id: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_from_webhook(self) -> bool:
        """Whether a delivery reported it; otherwise we asked the provider, or it happened here."""
        return self.inbox_id is not None


@dataclass(frozen=True)
class Client:
    """The person who books, with their IANA time zone and the code of their language; whether this browser has verified
    the address.
    """

    name: str
    email: str
    timezone: str
    language: str = SOURCE
    is_verified: bool = False


@dataclass(frozen=True)
class Offer:
    """The event type as Calendly describes it now."""

    title: str
    duration_minutes: int
    scheduling_url: str


def create_booking(
    session: Session,
    *,
    builder: Builder,
    session_type: SessionType,
    offer: Offer,
    client: Client,
    pending: timedelta,
    booker: Booker | None = None,
    pathway: Pathway | None = None,
    now: datetime,
) -> Booking:
    """Create a pending booking with a snapshot of price, currency and refund policy. Raises
    :class:`~bookingapp.core.errors.TooOften` where the booker has too many unpaid ones.
    """
    if booker is not None:
        lock_builder(session, builder.id)
        check_holds(session, builder, booker, is_free=session_type.price_minor == 0, now=now)
    booking = Booking(
        ref=secrets.token_hex(16),  # 128 bits.
        tracking_id=secrets.token_hex(12),  # Never taken for an option on a command line.
        builder_id=builder.id,
        session_type_id=session_type.id,
        status=Status.PENDING,
        slot=Slot.NONE,
        canceled_invitees=[],
        client_name=client.name,
        client_email=client.email,
        client_timezone=client.timezone,
        language=client.language,
        email_proof=EmailProof.LINK if client.is_verified else None,
        pathway=pathway,
        title=offer.title,
        duration_minutes=offer.duration_minutes,
        event_type_uri=session_type.event_type_uri,
        scheduling_url=offer.scheduling_url,
        price_minor=session_type.price_minor,
        currency=session_type.currency,
        policy=policy_snapshot(builder),
        created_at=now,
        updated_at=now,
    )
    session.add(booking)
    session.flush()
    cause = Cause(Actor.CLIENT, CauseCode.SESSION_TYPE_PICKED, facts=booker.facts if booker else {})
    session.add(_add_history(booking, None, Status.PENDING, None, cause, now))
    set_hold(session, booking, now + pending, now=now)
    return booking


# Built once, because most changes of a booking start with it. A second statement loads the flags: after waiting for the
# lock, PostgreSQL reads the locked row again, but joined rows as they were before the wait.
_LOCK = (
    sa.select(Booking)
    .where(Booking.id == sa.bindparam("booking_id"))
    .with_for_update(of=Booking)
    .options(joinedload(Booking.builder), selectinload(Booking.flags))
    .execution_options(populate_existing=True)
)

# Built once: building one of them takes longer than executing it, and every page of a booking does.
_WHOLE = sa.select(Booking).options(joinedload(Booking.builder), joinedload(Booking.flags))
_BY_REF = _WHOLE.where(Booking.ref == sa.bindparam("name"))
_BY_TRACKING = _WHOLE.where(Booking.tracking_id == sa.bindparam("name"))


def get_by_ref(session: Session, ref: str) -> Booking:
    """The booking with that reference and its builder, for its client to read. Raises :class:`NotFound`, and
    :class:`Gone` once it is erased.
    """
    booking = _get_one(session, _BY_REF, name=ref)
    bind_booking(booking.id)
    if booking.erased_at is not None:
        raise Gone(
            gettext(
                "The personal data of this booking was erased, so there is nothing left to show. What we still keep of "
                "a payment, and for how long, is on our privacy page."
            )
        )
    return booking


def get_by_name(session: Session, name: str) -> Booking:
    """The same by tracking id, reference or the number in log lines, for operators. Raises :class:`NotFound`."""
    number = read_number(name)
    if number is not None:
        return get_by_id(session, number)
    return _get_one(session, _WHOLE.where(sa.or_(Booking.tracking_id == name, Booking.ref == name)))


def read_number(name: str) -> int | None:
    """The id of a booking's row where ``name`` is one, as log lines carry it; no other name is so short."""
    is_number = name.isascii() and name.isdecimal() and len(name) <= LONGEST_NUMBER
    return int(name) if is_number else None


def get_by_tracking_id(session: Session, tracking_id: str, *, builder_id: int | None = None) -> Booking:
    """The same by tracking id; with ``builder_id`` only of that builder. Raises :class:`NotFound`."""
    booking = _get_one(session, _BY_TRACKING, name=tracking_id)
    if builder_id not in (None, booking.builder_id):
        raise NotFound
    bind_booking(booking.id)
    return booking


def get_by_id(session: Session, booking_id: int) -> Booking:
    """The same by the id of its row. Raises :class:`NotFound`."""
    return _get_one(session, _WHOLE.where(Booking.id == booking_id))


def _get_one(session: Session, query: sa.Select[Booking], **values: str) -> Booking:
    booking = session.scalars(query, values).unique().one_or_none()
    if booking is None:
        raise NotFound
    return booking


def keep_language(session: Session, which: sa.ColumnElement[bool], code: str) -> None:
    """From now on, write to the clients of these bookings in the language that they have chosen on a page of theirs."""
    is_other = sa.and_(which, Booking.language != code, Booking.erased_at.is_(None))
    statement = sa.update(Booking).where(is_other).values(language=code)
    session.execute(statement.execution_options(synchronize_session=False))


def lock_booking(session: Session, booking_id: int) -> Booking:
    """The booking, locked against other writers until the transaction ends. Raises :class:`NotFound`."""
    booking = session.scalars(_LOCK, {"booking_id": booking_id}).one_or_none()
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
    cancellation: CancellationTerms | None = None,
) -> bool:
    """Apply an event by the table of :mod:`bookingapp.bookings.states`; the only writer of ``status``.

    The write names the status it starts from (compare-and-set); its history row and its mails are in the same commit.
    ``cancellation`` holds the amounts that the mails of a cancellation promise. Returns False where the event changes
    nothing. Raises :class:`Conflict` for a forbidden event and :class:`StaleBooking` when another writer was first.
    """
    decision = decide(booking.status, event)
    if decision is Refusal.FORBIDDEN:
        raise Conflict(
            gettext("This booking has changed, so that is not possible any more. Please reload the page.")
        )
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
        raise StaleBooking
    with revising(booking, now=now):
        session.refresh(booking, ["status", "updated_at"])
    session.add(_add_history(booking, before, decision, event, cause, now))
    if decision is Status.CANCELED:
        booking.canceled_by = _canceled_by(cancellation)
        resolve(booking, *ATTENDANCE_FLAGS, now=now)
    if decision.is_final:
        resolve(booking, *SESSION_FLAGS, now=now)
    if decision.is_final or decision in (Status.PAID, Status.CONFIRMED):
        booking.hold_expires_at = None
    log.info(
        "transition", booking=booking.id, before=before, after=decision, event_name=event, actor=cause.actor
    )
    enqueue_status_mails(session, booking, before=before, event=event, cancellation=cancellation, now=now)
    return True


def _canceled_by(terms: CancellationTerms | None) -> Actor | None:
    """Whose decision a cancellation was; None where nobody has said so."""
    if terms is None:
        return None
    if terms.unanswered:
        return Actor.SYSTEM
    if terms.by_operator:
        return Actor.OPERATOR
    return Actor.BUILDER if terms.by_builder else Actor.CLIENT


def record_payment(session: Session, booking: Booking, cause: Cause, *, now: datetime) -> bool:
    """Record that the price was paid in full. Returns False where it was recorded before."""
    if booking.paid_at is not None:
        return False
    booking.paid_at = now
    if decide(booking.status, Event.PAYMENT_RECEIVED) is Refusal.LATE:
        flag(booking, FlagCode.LATE_PAYMENT, now=now)
        return True
    transition(session, booking, Event.PAYMENT_RECEIVED, cause, now=now)
    if not confirm_if_settled(session, booking, cause, now=now):
        for number, wait in enumerate(FIND_AFTER):
            args = {"booking_id": booking.id, "last": wait == FIND_AFTER[-1]}
            key = f"find-time:{booking.id}:{number}"
            enqueue(session, FIND_TIME_JOB, key=key, args=args, run_at=now + wait, now=now)
    return True


def confirm_if_settled(session: Session, booking: Booking, cause: Cause, *, now: datetime) -> bool:
    """Confirm the booking once it has a time and is paid or free. Returns whether it was confirmed now."""
    if not booking.is_settled or booking.status not in (Status.SCHEDULED, Status.PAID):
        return False
    resolve(booking, FlagCode.PAID_WITHOUT_TIME, now=now)
    transition(session, booking, Event.SETTLED, cause, now=now)
    enqueue_completion(session, booking, now=now)
    enqueue_reminders(session, booking, now=now)
    return True


def record_act(session: Session, booking: Booking, cause: Cause, *, now: datetime) -> None:
    """Write a history row of something that a person did and that leaves the status as it is."""
    session.add(_add_history(booking, booking.status, booking.status, None, cause, now))


def resolve_flags(session: Session, booking: Booking, actor: Actor, *codes: FlagCode, now: datetime) -> None:
    """Resolve the booking's open flags with these codes, or all of them, with a history row for each. One about who
    came stays: it is answered or decided.
    """
    for one in booking.open_flags:
        if one.code not in ATTENDANCE_FLAGS and (not codes or one.code in codes):
            cause = Cause(actor, CauseCode.FLAG_RESOLVED, facts={"flag": one.code})
            record_act(session, booking, cause, now=now)
            resolve(booking, one.code, now=now, by=actor)


def has_begun(booking: Booking, now: datetime) -> bool:
    """Whether the session has started: then nothing is held and nothing can be paid any more."""
    return booking.starts_at is not None and booking.starts_at <= now


def has_ended(booking: Booking, now: datetime) -> bool:
    """Whether the time of the session is over."""
    return booking.ends_at is not None and booking.ends_at <= now


def limit_hold(session: Session, booking: Booking, *, now: datetime) -> None:
    """Shorten a hold that outlives the start of a session which was moved to an earlier time."""
    if booking.hold_expires_at is not None and has_begun(booking, booking.hold_expires_at):
        set_hold(session, booking, booking.hold_expires_at, now=now)


def _before_start(booking: Booking, until: datetime) -> datetime:
    return until if booking.starts_at is None else min(until, booking.starts_at)


def extend_hold(session: Session, booking: Booking, until: datetime, *, now: datetime) -> None:
    """Keep the booking's place until ``until`` (UTC), unless its hold is longer already."""
    if booking.hold_expires_at is None or booking.hold_expires_at < _before_start(booking, until):
        set_hold(session, booking, until, now=now)


def set_hold(session: Session, booking: Booking, until: datetime, *, now: datetime) -> None:
    """Keep the booking's place until ``until`` (UTC), at most until the session begins, and enqueue the expiry."""
    until = max(_before_start(booking, until), now)
    booking.hold_expires_at = until
    # To the microsecond: of two holds that end in one second, the timer of the first would find the second still held.
    stamp = f"{until.timestamp():.6f}"
    enqueue(
        session,
        EXPIRE_JOB,
        key=f"expire:{booking.id}:{stamp}",
        args={"booking_id": booking.id},
        run_at=until,
        now=now,
    )


def enqueue_completion(session: Session, booking: Booking, *, now: datetime) -> None:
    """Enqueue the completion of a booking for the end of its session."""
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


def _add_history(
    booking: Booking, before: Status | None, after: Status, event: Event | None, cause: Cause, now: datetime
) -> HistoryEntry:
    return HistoryEntry(
        booking_id=booking.id,
        from_status=before,
        to_status=after,
        event=event,
        actor=cause.actor,
        cause=cause.code,
        cause_facts=dict(cause.facts),
        inbox_id=cause.inbox_id,
        at=now,
    )
