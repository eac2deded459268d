"""Taking a time of our own list: the client's choice is committed, then Calendly is asked, then the facts are recorded
as if its webhook had reported them. A priced time is asked for once its payment is authorized.

Calendly has no idempotency keys, so after an answer that was lost our invitee is looked for before a second try.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings import slot_requests
from bookingapp.bookings.addresses import contact_address
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.bookings.models import Actor, Booking, RequestState, SlotRequest
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import SlotFacts, enqueue_event_cancellation
from bookingapp.bookings.slot_requests import Choice, TimeBeingTaken
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.checkout.authorized import SECOND_CHOICE, TAKE_TIME_JOB, enqueue_taking
from bookingapp.checkout.calendly_invitees import (
    canonical_event,
    canonical_invitee,
    find_created_invitee,
    slot_facts,
)
from bookingapp.checkout.calendly_slot import Timers, record_invitee, withdraw_checkout
from bookingapp.core import quotas
from bookingapp.core.db import end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.i18n import gettext, lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import (
    Answer,
    CalendlyClient,
    CalendlyError,
    CalendlyForbidden,
    CalendlyRateLimited,
    CalendlyRejected,
    NewInvitee,
    Place,
)
from bookingapp.payments import service as payments
from bookingapp.session_types.models import NotBookable, SessionType
from bookingapp.session_types.words import why_not_bookable

log = structlog.get_logger(__name__)

PATIENCE = timedelta(minutes=15)
"""How long Calendly may fail to answer before the client is asked to choose again."""
LEAD = timedelta(minutes=2)
STEP = timedelta(minutes=2)
AT_ONCE = timedelta(seconds=0)
# A choice that is taken in the request itself is taken by the worker where that process dies.
SECOND_LOOK = slot_requests.LEASE + timedelta(seconds=15)
TAKEN_HERE = Cause(Actor.CLIENT, CauseCode.TIME_BOOKED_HERE)
FIND_TIME_JOB = "checkout.find_asked_time"


class Taking(enum.Enum):
    """How asking Calendly for a chosen time ended."""

    TAKEN = enum.auto()
    GONE = enum.auto()
    REFUSED = enum.auto()
    UNKNOWN = enum.auto()  # No answer yet; the worker goes on.
    NOTHING = enum.auto()  # There was nothing to ask for (any more).


def choose_time(session: Session, *, ref: str, choice: Choice, timers: Timers, now: datetime) -> bool:
    """Record the time that a client chose on our list. Returns whether it has to be paid for first; otherwise it is to
    be taken now (:func:`take_time`), and the worker does so where this process does not.

    Raises :class:`Conflict` where the booking cannot have a time, or Calendly is being asked for another one.
    """
    with transaction(session):
        booking = bookings.lock_booking(session, bookings.get_by_ref(session, ref).id)
        _check_choosable(booking, now)
        before = slot_requests.find_request(session, booking.id)
        was = before.starts_at if before is not None else None
        request = slot_requests.record_choice(session, booking, choice, now=now)
        bookings.extend_hold(session, booking, now + timers.hold, now=now)
        if booking.is_free or payments.find_authorized_payment(session, booking.id) is not None:
            enqueue_taking(session, booking.id, request.number, run_at=now + SECOND_LOOK, now=now)
            return False
        if was != choice.starts_at:
            withdraw_checkout(session, booking, now=now)
        return True


@job(TAKE_TIME_JOB, label=lazy_gettext("booking a chosen time in Calendly"), revive=True)
def take_chosen_time(
    session: Session,
    calendly: CalendlyClient,
    signer: TrackingSigner,
    *,
    booking_id: int,
    timers: Timers,
    now: datetime,
) -> None:
    """Take a booking's chosen time. Raises the client's errors; the job is then retried."""
    try:
        take_time(session, calendly, signer, booking_id=booking_id, timers=timers, now=now)
    except TimeBeingTaken:
        # Others ask for the same time: that is no failure, so its retries would come too slowly.
        with transaction(session):
            request = slot_requests.find_request(session, booking_id)
            if request is not None:
                soon = now + timedelta(seconds=TimeBeingTaken.retry_after)
                enqueue_taking(session, booking_id, request.number, run_at=soon, now=now, again=True)


def take_time(
    session: Session,
    calendly: CalendlyClient,
    signer: TrackingSigner,
    *,
    booking_id: int,
    timers: Timers,
    now: datetime,
) -> Taking:
    """Ask Calendly for the time that the booking's client chose, and record the answer. Safe to repeat and to run
    concurrently, after a crash at any point: there is never a second invitee.

    Raises the client's errors until ``PATIENCE`` has passed, and :class:`TimeBeingTaken`.
    """
    asking = _start_asking(session, booking_id, timers, now)
    if asking is None:
        return Taking.NOTHING
    error_found: CalendlyError | None = None
    facts: SlotFacts | None = None
    try:
        facts = _find_or_create_invitee(session, calendly, signer, asking, now)
    except CalendlyError as error:
        if not _is_final(error, asking, now):
            _stop_asking(session, asking, now=now)
            raise
        if not (isinstance(error, CalendlyRejected) and error.code == "slot_taken"):
            error_found = error
            log.warning("time_refused", booking=booking_id, category=error.category)
    if facts is not None and asking.booking.is_free:
        quotas.try_spend(quotas.FREE_INVITEES, calendly.account_of(asking.builder.tenant))
    return _record_answer(session, asking, facts, error_found, timers=timers, now=now)


@job(FIND_TIME_JOB, label=lazy_gettext("looking for a time that Calendly was asked for"), revive=True)
def find_asked_time(
    session: Session,
    calendly: CalendlyClient,
    signer: TrackingSigner,
    *,
    booking_id: int,
    number: int,
    start: str,
    timers: Timers,
    now: datetime,
) -> None:
    """Look for the invitee of a choice that was given up without an answer. The client gets that time after all, unless
    they have chosen another one or the booking has ended: then it is released. Raises the client's errors, and
    :class:`TimeBeingTaken` while Calendly is asked for another choice; the job is then retried.
    """
    booking = session.get_one(Booking, booking_id)
    builder = session.get_one(Builder, booking.builder_id)
    end_read(session)
    found = find_created_invitee(calendly, signer, booking, builder, datetime.fromisoformat(start))
    if found is None:
        return
    event = canonical_event(calendly, calendly.scheduled_event(builder.tenant, found.event))
    facts = slot_facts(canonical_invitee(calendly, found), event)
    with transaction(session):
        booking = bookings.lock_booking(session, booking_id)
        request = slot_requests.find_request(session, booking_id)
        if request is None or request.number == number:
            record_invitee(session, booking, facts, TAKEN_HERE, hold=timers.hold, now=now)
        elif request.state.is_open:
            raise TimeBeingTaken
        elif booking.invitee_uri != facts.invitee_uri:
            enqueue_event_cancellation(session, booking, facts.event_uri, facts.invitee_uri, now=now)


@dataclass
class _Asking:
    """A chosen time that Calendly is asked for now, until the ``lease`` ends; rows are detached."""

    booking: Booking
    builder: Builder
    number: int
    lease: datetime
    start: datetime
    details: dict[str, Any]
    was_asked: bool
    chosen_at: datetime


def _check_choosable(booking: Booking, now: datetime) -> None:
    if booking.status is not Status.PENDING:
        raise Conflict(gettext("This booking has a time already, or has ended. Please look at its page."))
    if booking.hold_expires_at is not None and booking.hold_expires_at <= now:
        raise Conflict(gettext("This booking has expired. Please start again."))
    if booking.is_closed:
        raise Conflict(why_not_bookable(NotBookable.CLOSED))


def _start_asking(session: Session, booking_id: int, timers: Timers, now: datetime) -> _Asking | None:
    with transaction(session):
        booking = bookings.lock_booking(session, booking_id)
        request = slot_requests.find_request(session, booking_id)
        if request is None or not request.state.is_open:
            return None
        is_payable = booking.is_free or payments.find_authorized_payment(session, booking_id) is not None
        if booking.status is not Status.PENDING or not is_payable:
            if request.asked_at is not None:
                # Calendly may have made its invitee, without an answer that reached us.
                _enqueue_search(session, request, now=now)
            if booking.status is not Status.PENDING or request.asked_at is not None:
                slot_requests.end_request(request, RequestState.DROPPED, now=now)
            return None
        was_asked = slot_requests.start_asking(session, booking, request, now=now)
        # The hold's end must not overtake Calendly's answer.
        bookings.extend_hold(session, booking, now + PATIENCE + timers.hold, now=now)
        return _Asking(
            booking,
            booking.builder,
            request.number,
            request.leased_until or now,
            request.starts_at,
            request.details,
            was_asked,
            request.chosen_at,
        )


def _find_or_create_invitee(
    session: Session, calendly: CalendlyClient, signer: TrackingSigner, asking: _Asking, now: datetime
) -> SlotFacts | None:
    """The facts of the invitee that we created, now or before; None where the time is not available. Raises
    :class:`TimeBeingTaken` where looking took so long that another process asks by now.
    """
    booking, tenant, start = asking.booking, asking.builder.tenant, asking.start
    found = None
    if asking.was_asked:
        found = find_created_invitee(calendly, signer, booking, asking.builder, start)
    if found is None:
        if start <= now + LEAD:
            return None
        times = calendly.available_times(
            tenant, booking.event_type_uri, start - STEP, start + STEP, at_most=AT_ONCE
        )
        if times.stale or not any(time.start_time == start for time in times.value):
            return None
        _keep_asking(session, asking, now=now)
        found = calendly.create_invitee(
            tenant, booking.event_type_uri, start, _new_invitee(asking, signer.sign(booking.tracking_id))
        )
    event = canonical_event(calendly, calendly.scheduled_event(tenant, found.event))
    return slot_facts(canonical_invitee(calendly, found), event)


def _new_invitee(asking: _Asking, utm_content: str) -> NewInvitee:
    booking, details = asking.booking, asking.details
    place = details.get("place")
    return NewInvitee(
        name=booking.client_name,
        email=contact_address(booking),
        timezone=booking.client_timezone,
        utm_content=utm_content,
        place=Place(**place) if place else None,
        answers=tuple(Answer(**one) for one in details.get("answers", ())),
        guests=tuple(details.get("guests", ())),
    )


def _is_final(error: CalendlyError, asking: _Asking, now: datetime) -> bool:
    """Whether asking again for this time is of no use."""
    left = asking.chosen_at + PATIENCE - now
    if isinstance(error, CalendlyRateLimited) and timedelta(seconds=error.retry_after or 0) > left:
        return True
    return not error.retryable or left <= timedelta(0)


def _keep_asking(session: Session, asking: _Asking, *, now: datetime) -> None:
    """Renew the lease, right before what must not be done twice."""
    with transaction(session):
        bookings.lock_booking(session, asking.booking.id)
        request = slot_requests.find_request(session, asking.booking.id)
        if request is None or not slot_requests.is_held(request, asking.number, asking.lease):
            raise TimeBeingTaken
        asking.lease = slot_requests.renew_lease(request, asking.lease, now=now)


def _stop_asking(session: Session, asking: _Asking, *, now: datetime) -> None:
    """Let the next try begin at once: this one is over, with an answer that is not known."""
    with transaction(session):
        bookings.lock_booking(session, asking.booking.id)
        request = slot_requests.find_request(session, asking.booking.id)
        if request is not None and slot_requests.is_held(request, asking.number, asking.lease):
            slot_requests.end_lease(request, now=now)


def _record_answer(
    session: Session,
    asking: _Asking,
    facts: SlotFacts | None,
    error: CalendlyError | None,
    *,
    timers: Timers,
    now: datetime,
) -> Taking:
    with transaction(session):
        booking = bookings.lock_booking(session, asking.booking.id)
        request = slot_requests.find_request(session, booking.id)
        if facts is not None:
            record_invitee(session, booking, facts, TAKEN_HERE, hold=timers.hold, now=now)
            return Taking.TAKEN
        if request is None or not slot_requests.is_held(request, asking.number, asking.lease):
            return Taking.NOTHING
        state = RequestState.GONE if error is None else RequestState.REFUSED
        slot_requests.end_request(request, state, refusal=error.category if error else None, now=now)
        if error is not None and (asking.was_asked or error.retryable):
            _enqueue_search(session, request, now=now)
        if isinstance(error, CalendlyForbidden):
            # A plan or a scope is missing: the list is not offered until the builder has looked at it.
            types = sa.update(SessionType).where(SessionType.id == booking.session_type_id)
            session.execute(types.values(list_refusal=error.category))
        _keep_for_another_choice(session, booking, request, timers=timers, now=now)
        return Taking.GONE if error is None else Taking.REFUSED


def _enqueue_search(session: Session, request: SlotRequest, *, now: datetime) -> None:
    """Enqueue looking for an invitee that Calendly may have made, without an answer that reached us."""
    args = {
        "booking_id": request.booking_id,
        "number": request.number,
        "start": request.starts_at.isoformat(),
    }
    key = f"find-asked-time:{request.booking_id}:{request.number}"
    enqueue(session, FIND_TIME_JOB, key=key, args=args, run_at=now + STEP, now=now)


def _keep_for_another_choice(
    session: Session, booking: Booking, request: SlotRequest, *, timers: Timers, now: datetime
) -> None:
    """Give the client time to choose again: without paying again where their payment is authorized."""
    if booking.status is not Status.PENDING:
        return
    if payments.find_authorized_payment(session, booking.id) is None:
        bookings.set_hold(session, booking, now + timers.pending, now=now)
    else:
        bookings.set_hold(session, booking, now + SECOND_CHOICE, now=now)
        said = {"start": request.starts_at.isoformat(), "is_gone": request.state is RequestState.GONE}
        enqueue_mail(session, booking, Mail.TIME_GONE, about=str(request.number), said=said, now=now)
