"""Recording what Calendly reports about a booking's time, with what follows for its payment page."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.bookings import attention, reschedule, slot, slot_requests
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.hosts import record_hosts
from bookingapp.bookings.mail_triggers import enqueue_place_mail
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.overlaps import flag_overlap
from bookingapp.bookings.places import is_provisional
from bookingapp.bookings.reminders import enqueue_reminders
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import SlotFacts
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.bookings.unattached import resolve_unattached
from bookingapp.checkout import unreferenced
from bookingapp.checkout.authorized import CLOSE_CHECKOUT_JOB, CLOSE_FOR_BOOKING_JOB, follow_authorization
from bookingapp.checkout.calendly_invitees import (
    canonical_event,
    canonical_invitee,
    fetch_latest_invitee,
    slot_facts,
)
from bookingapp.core.db import end_request_read, transaction
from bookingapp.core.errors import Conflict, Invalid
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import enqueue
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyForbidden,
    CalendlyRejected,
    Purpose,
)
from bookingapp.payments import service as payments
from bookingapp.payments.models import PaymentState

READ_EVENT_JOB = "calendly.read_event"
READ_AGAIN_AFTER = (timedelta(minutes=2), timedelta(minutes=10))
"""When the event of a conference without a link of its own is read again; after that, every hour."""


@dataclass(frozen=True)
class Timers:
    """How long a booking is kept open: ``pending`` without a time, ``hold`` with an unpaid one."""

    pending: timedelta
    hold: timedelta


def record_invitee(
    session: Session, booking: Booking, facts: SlotFacts, cause: Cause, *, hold: timedelta, now: datetime
) -> bool:
    """Record an active invitee, in the caller's transaction. Returns whether the slot changed.

    Where Calendly has taken a payment itself, the booking is flagged, nothing is charged here and no hold ends.
    """
    before = booking.starts_at if booking.slot is Slot.ACTIVE else None
    where, ends_at = _where(booking), booking.ends_at
    changed = slot.record_slot(session, booking, facts, cause, hold=hold, now=now)
    if changed:
        slot_requests.record_slot_taken(session, booking, now=now)
        flag_overlap(session, booking, now=now)
        _settle_payment(session, booking, is_first=before is None, now=now)
    is_ours = booking.invitee_uri == facts.invitee_uri
    if is_ours and (changed or not cause.is_from_webhook):
        record_hosts(booking, facts, now=now)
        if not changed and _is_elsewhere(booking, where):
            enqueue_place_mail(session, booking, now=now)
    if not changed and booking.ends_at != ends_at and booking.status is Status.CONFIRMED:
        bookings.enqueue_completion(session, booking, now=now)
    if changed and is_ours and facts.is_link_pending:
        for wait in READ_AGAIN_AFTER:
            key = f"read-event:{facts.invitee_uri.rpartition('/')[2]}:{int(wait.total_seconds())}"
            enqueue(
                session, READ_EVENT_JOB, key=key, args={"booking_id": booking.id}, run_at=now + wait, now=now
            )
    if is_ours and facts.paid_in_calendly and not booking.paid_in_calendly:
        booking.paid_in_calendly = True
        attention.flag(booking, FlagCode.PAID_IN_CALENDLY, now=now)
        key, args = f"close-for:{booking.id}:paid-in-calendly", {"booking_id": booking.id}
        enqueue(session, CLOSE_FOR_BOOKING_JOB, key=key, args=args, run_at=now, now=now)
    elif changed and not facts.event_type_uri:
        attention.flag(booking, FlagCode.UNKNOWN_EVENT_TYPE, now=now)
    if booking.paid_in_calendly:
        booking.hold_expires_at = None
        # Their keys have the end and the start, so that each is enqueued once.
        bookings.enqueue_completion(session, booking, now=now)
        enqueue_reminders(session, booking, now=now)
    return changed


def _settle_payment(session: Session, booking: Booking, *, is_first: bool, now: datetime) -> None:
    """Capture what is authorized for a booking that has a new time. An open payment page that names another time, or
    would only authorize the money, is withdrawn.
    """
    payment = payments.find_live_payment(session, booking.id)
    if payment is None:
        return
    if payment.is_authorized:
        follow_authorization(session, booking, payment, now=now)
    elif not is_first or payment.captures_later:
        withdraw_checkout(session, booking, now=now)


_Where = tuple[str | None, str | None, str | None, str | None]


def _where(booking: Booking) -> _Where:
    """How the client comes to the session."""
    return booking.host_name, booking.place_kind, booking.place, booking.join_url


def _is_elsewhere(booking: Booking, before: _Where) -> bool:
    """Whether the client has to know of a change. A place that is known for the first time is none, and neither is the
    conference's own link after a provisional one: both links work.
    """
    host, kind, place, link = before
    if (host, kind, place) != _where(booking)[:3]:
        return kind is not None
    return link != booking.join_url and not (link is not None and is_provisional(booking, link))


def record_invitee_rescheduled(
    session: Session, booking: Booking, half: reschedule.OldHalf, cause: Cause, *, now: datetime
) -> bool:
    """Record that an invitee was rescheduled, in the caller's transaction. Returns whether the booking changed."""
    changed = reschedule.record_reschedule_started(session, booking, half, cause, now=now)
    if changed:
        withdraw_checkout(session, booking, now=now)
    return changed


def withdraw_checkout(session: Session, booking: Booking, *, now: datetime) -> None:
    """Withdraw the open Checkout Session, which names an old time: its URL is not used any more, and a job expires it.
    The next press of Pay opens a new one. A payment that is under way through the old one still counts.
    """
    payment = payments.find_live_payment(session, booking.id)
    if payment is None or payment.state is PaymentState.PROCESSING:
        return
    payment.checkout_url = None
    key, args = f"close:{payment.id}:moved", {"payment_id": payment.id}
    enqueue(session, CLOSE_CHECKOUT_JOB, key=key, args=args, run_at=now, now=now, booking_id=booking.id)


def verify_claim(
    session: Session,
    calendly: CalendlyClient,
    signer: TrackingSigner,
    *,
    ref: str,
    event_uri: str,
    invitee_uri: str,
    mine: Collection[str],
    timers: Timers,
    now: datetime,
) -> None:
    """Record the time that a browser reports. Its two URIs are only hints: invitee and event are fetched from Calendly,
    and must be active, of this booking's event type, and carry its signed reference. An invitee that carries none of
    ours has to fit this booking and no other of this browser's, whose references are ``mine``. One that was rescheduled
    meanwhile stands for the newest of its chain.

    Raises :class:`Invalid` for URIs that are not Calendly's, :class:`Conflict` for an invitee of another booking, and
    the client's errors.
    """
    booking = bookings.get_by_ref(session, ref)
    tenant, calendly = booking.builder.tenant, calendly.for_purpose(Purpose.VERIFICATION)
    end_request_read()
    try:
        event_uri, invitee_uri = _same_event(calendly, event_uri, invitee_uri)
    except CalendlyRejected:
        raise Invalid(
            gettext(
                "Calendly's answer could not be read. Your time is safe; this page will find it by itself."
            )
        ) from None
    try:
        picked = canonical_invitee(calendly, calendly.invitee(tenant, invitee_uri))
        event = canonical_event(calendly, calendly.scheduled_event(tenant, event_uri))
        newest = (
            fetch_latest_invitee(calendly, tenant, picked.new_invitee, None) if picked.new_invitee else None
        )
    except CalendlyForbidden as error:
        _flag_not_readable(session, booking.id, error, now=now)
        raise
    invitee, event = newest or (picked, event)
    references = {signer.read(one.tracking.utm_content) for one in (picked, invitee)} - {None}
    if (
        references - {booking.tracking_id}
        or event.event_type not in (None, booking.event_type_uri)
        or invitee.status != "active"
    ):
        raise not_this_bookings()
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        if not references and locked.invitee_uri != invitee.uri:
            if unreferenced.find_fitting_booking(session, (picked, invitee), event, refs=mine) != locked.id:
                raise not_this_bookings()
            for uri in (picked.uri, invitee.uri):
                resolve_unattached(session, uri, now=now)
        cause = Cause(Actor.CLIENT, CauseCode.TIME_REPORTED)
        record_invitee(session, locked, slot_facts(invitee, event), cause, hold=timers.hold, now=now)


def _flag_not_readable(session: Session, booking_id: int, error: CalendlyForbidden, *, now: datetime) -> None:
    """Flag that Calendly refuses to show the time: no webhook will report it either."""
    with transaction(session):
        locked = bookings.lock_booking(session, booking_id)
        if locked.slot is Slot.NONE:
            facts = {"scope": ", ".join(error.missing_scopes)} if error.missing_scopes else {}
            attention.flag(locked, FlagCode.TIME_NOT_READABLE, now=now, **facts)


def not_this_bookings() -> Conflict:
    """The refusal of a time that another booking has, or none of ours."""
    return Conflict(gettext("This time does not belong to this booking."))


def not_known_yet() -> Conflict:
    """The refusal of a time that Calendly does not know: it was asked too early, or there is none."""
    return Conflict(
        gettext(
            "Calendly does not know this time yet. If you have just picked it, your booking shows it in a moment."
        )
    )


def _same_event(calendly: CalendlyClient, event_uri: str, invitee_uri: str) -> tuple[str, str]:
    event_id = calendly.scheduled_event_id(event_uri)
    of_event, _ = calendly.invitee_ids(invitee_uri)
    if of_event != event_id:
        raise Invalid(gettext("These two addresses are not of one booking."))
    return calendly.canonical_event_uri(event_uri), calendly.canonical_invitee_uri(invitee_uri)
