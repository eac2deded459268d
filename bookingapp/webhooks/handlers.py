"""What each delivery means. A handler reads the body, asks the provider where it has to (outside of any
transaction), and returns the step that is then done in one transaction with the end of the inbox row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr
from sqlalchemy.orm import Session

from bookingapp.bookings import attendance, lookup
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.service import Cause
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.bookings.withdrawn_types import enqueue_type_check, has_open_bookings
from bookingapp.checkout import cancellation, incoming_payments
from bookingapp.checkout.calendly_invitees import (
    canceled_by_host,
    canonical_event,
    canonical_invitee,
    lock_booking_of,
    slot_facts,
)
from bookingapp.checkout.calendly_slot import Timers, record_invitee, record_invitee_rescheduled
from bookingapp.core.queue import WorkState
from bookingapp.integrations.calendly import CalendlyClient, Invitee, ScheduledEvent, parse_delivery
from bookingapp.integrations.stripe_gateway import CheckoutSession, StripeEvent, StripeGateway, parse_event
from bookingapp.payments import disputes, ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.session_types import service as session_types

PLATFORM = "platform"


@dataclass(frozen=True)
class Endpoint:
    """Where Calendly is to send, and the key with which it signs what the platform's subscription brings."""

    url: str
    signing_key: SecretStr | None


@dataclass(frozen=True)
class Context:
    """The collaborators of the handlers."""

    calendly: CalendlyClient
    stripe: StripeGateway
    signer: TrackingSigner
    timers: Timers
    endpoint: Endpoint | None = None


@dataclass(frozen=True)
class Outcome:
    """How a delivery ended. ``early`` asks to try again while it is young: what it speaks of is not known yet.
    ``doubt`` is what its booking is flagged with where it never is.
    """

    note: str
    state: WorkState = WorkState.DONE
    booking_id: int | None = None
    early: bool = False
    doubt: FlagCode | None = None


Step = Callable[[Session, Cause, datetime], Outcome]

NOT_OURS = Outcome("not made through this site", WorkState.IGNORED)
UNKNOWN_BOOKING = Outcome("its booking is not known here", WorkState.IGNORED, early=True)
UNKNOWN_PAYMENT = Outcome("its payment is not known here", WorkState.IGNORED, early=True)


def invitee_created(context: Context, body: bytes) -> Step:
    """A time was taken, or (with ``old_invitee``) a time was moved to another."""
    return record_active_invitee(context, *_invitee_and_event(context, body))


def record_active_invitee(context: Context, invitee: Invitee, event: ScheduledEvent) -> Step:
    """The same for an active invitee, whoever told us of it; every address in the one spelling."""
    facts = slot_facts(invitee, event)

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking = lock_booking_of(session, context.signer, invitee)
        if booking is None:
            return _unknown(context, invitee)
        news = record_invitee(session, booking, facts, cause, hold=context.timers.hold, now=now)
        return Outcome("slot recorded" if news else "nothing new", booking_id=booking.id)

    return apply


def invitee_canceled(context: Context, body: bytes) -> Step:
    """A time was given up; or it is the old half of a reschedule, whose new half keeps the booking."""
    return record_canceled_invitee(
        context, canonical_invitee(context.calendly, parse_delivery(body).invitee())
    )


def record_canceled_invitee(context: Context, invitee: Invitee) -> Step:
    """The same for a canceled invitee, whoever told us of it; every address in the one spelling."""
    by_host, at = canceled_by_host(invitee)

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking = lock_booking_of(session, context.signer, invitee)
        if booking is None:
            return _unknown(context, invitee)
        if invitee.rescheduled or invitee.new_invitee:
            record_invitee_rescheduled(
                session, booking, old=invitee.uri, new=invitee.new_invitee, cause=cause, now=now
            )
            return Outcome("rescheduled: the new time keeps the booking", booking_id=booking.id)
        if invitee.old_invitee:
            # It may be all that we ever hear of the time that took the old one's place.
            record_invitee_rescheduled(
                session, booking, old=invitee.old_invitee, new=invitee.uri, cause=cause, now=now
            )
        news = cancellation.record_calendly_cancellation(
            session, booking, invitee.uri, cause, by_host=by_host, at=min(at, now), now=now
        )
        return Outcome("slot lost" if news else "nothing new", booking_id=booking.id)

    return apply


def no_show_created(context: Context, body: bytes) -> Step:
    """The host noted in Calendly that the invitee did not come, or it is the echo of our saying so."""
    invitee = canonical_invitee(context.calendly, parse_delivery(body).invitee())
    said, uri = invitee.no_show, _no_show_uri(context, invitee)
    at = said.created_at if said is not None and said.created_at is not None else invitee.updated_at

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking = lock_booking_of(session, context.signer, invitee)
        if booking is None:
            return _unknown(context, invitee)
        at_most_now = min(at, now)
        news = attendance.record_no_show(
            session, booking, cause, invitee_uri=invitee.uri, uri=uri, at=at_most_now, now=now
        )
        return Outcome("no-show recorded" if news else "nothing new", booking_id=booking.id)

    return apply


def no_show_deleted(context: Context, body: bytes) -> Step:
    """That note was taken back."""
    invitee = canonical_invitee(context.calendly, parse_delivery(body).invitee())
    uri = _no_show_uri(context, invitee)

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking = lock_booking_of(session, context.signer, invitee)
        if booking is None:
            return _unknown(context, invitee)
        news = attendance.record_no_show_undone(
            session, booking, cause, invitee_uri=invitee.uri, uri=uri, now=now
        )
        return Outcome("no-show taken back" if news else "nothing new", booking_id=booking.id)

    return apply


def _unknown(context: Context, invitee: Invitee) -> Outcome:
    """An invitee whose booking we do not have. With our signed reference it is to come; so may be the invitee that it
    replaces, for a reschedule need not carry our reference.
    """
    is_ours = context.signer.read(invitee.tracking.utm_content) is not None
    return UNKNOWN_BOOKING if is_ours or invitee.old_invitee else NOT_OURS


def _no_show_uri(context: Context, invitee: Invitee) -> str | None:
    return context.calendly.canonical_no_show_uri(invitee.no_show.uri) if invitee.no_show else None


def event_type_changed(context: Context, body: bytes) -> Step:
    """An event type is new, changed or gone: what we remember of them is asked for again, and where bookings hang
    on it, whether Calendly still offers it.
    """
    event_type = parse_delivery(body).event_type()
    uri = context.calendly.canonical_event_type_uri(event_type.uri)
    # No database takes what cannot even be printed; then the type itself tells whose it is.
    owner = event_type.owner if event_type.owner and event_type.owner.isprintable() else None

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        known = session_types.invalidate_event_types(session, event_type_uri=uri, owner=owner)
        if has_open_bookings(session, uri):
            enqueue_type_check(session, uri, occasion=f"inbox-{cause.inbox_id}", now=now)
        return Outcome("event types will be read again") if known else NOT_OURS

    return apply


def checkout_session(context: Context, body: bytes) -> Step:
    """A Checkout Session was completed, paid late, failed late or expired. The event is a hint: the session is
    read fresh from Stripe before money moves on it.
    """
    event = parse_event(body)
    fresh = context.stripe.retrieve_checkout_session(event.object_id or "")
    failed = event.type == "checkout.session.async_payment_failed"

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking_id = incoming_payments.record_checkout(
            session, fresh, cause, now=now, failed=failed, hold=context.timers.hold
        )
        if booking_id is None:
            return _without_attempt(session, fresh)
        return Outcome(f"checkout session is {fresh.status}, {fresh.payment_status}", booking_id=booking_id)

    return apply


def _without_attempt(session: Session, fresh: CheckoutSession) -> Outcome:
    """A session that is no attempt of ours to be paid. Where it names a booking of ours, its money is not ignored."""
    named = fresh.metadata.get("booking")
    booking_id = lookup.find_id_by_ref(session, named or fresh.client_reference_id or "")
    if booking_id is None:
        return UNKNOWN_BOOKING if named else NOT_OURS
    return Outcome(
        "its attempt to pay is not known here",
        WorkState.IGNORED,
        booking_id=booking_id,
        early=True,
        doubt=FlagCode.PAYMENT_UNEXPECTED if fresh.is_paid else None,
    )


def refund(context: Context, body: bytes) -> Step:
    """Money went back, by our hand or by somebody's in Stripe's dashboard: the whole list is read and entered."""
    payment_intent = _payment_intent(parse_event(body))
    known = context.stripe.list_refunds(payment_intent) if payment_intent else ()

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        if payment_intent is None:
            return NOT_OURS
        booking_id = refunds.record_refunds(session, payment_intent, known, cause=cause, now=now)
        if booking_id is None:
            return UNKNOWN_PAYMENT
        return Outcome("ledger brought up to date", booking_id=booking_id)

    return apply


def dispute(context: Context, body: bytes) -> Step:
    """A client disputes a charge with their bank, or the bank goes on with it: the dispute is read fresh."""
    fresh = context.stripe.retrieve_dispute(parse_event(body).object_id or "")

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking_id = disputes.record_dispute(session, fresh, cause, now=now)
        if booking_id is None:
            return UNKNOWN_PAYMENT
        return Outcome(f"dispute is {fresh.status}", booking_id=booking_id)

    return apply


def charge_updated(context: Context, body: bytes) -> Step:
    """Stripe may tell what it kept of a charge only a while after it was paid."""
    event = parse_event(body)
    payment_intent = _payment_intent(event)
    is_told = payment_intent is not None and event.data.get("balance_transaction") is not None
    balance = context.stripe.retrieve_payment_intent(payment_intent or "").balance if is_told else None

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        payment = payments.find_by_payment_intent(session, payment_intent) if payment_intent else None
        if payment is None:
            return UNKNOWN_PAYMENT if payment_intent else NOT_OURS
        ledger.enter_fee(session, payment, balance, now=now)
        return Outcome("fee entered" if balance else "nothing new", booking_id=payment.booking_id)

    return apply


def _invitee_and_event(context: Context, body: bytes) -> tuple[Invitee, ScheduledEvent]:
    invitee = canonical_invitee(context.calendly, parse_delivery(body).invitee())
    # Bodies from before 2023 carry no event; then it is read from the API.
    if invitee.scheduled_event is not None:
        return invitee, invitee.scheduled_event
    return invitee, canonical_event(
        context.calendly, context.calendly.scheduled_event(PLATFORM, invitee.event)
    )


def _payment_intent(event: StripeEvent) -> str | None:
    found = event.data.get("payment_intent")
    return found if isinstance(found, str) and found.isprintable() else None
