"""What each kind of delivery does. A handler reads the body and asks the provider where it has to, outside of any
transaction; it returns the step that runs in one transaction with the end of the inbox row.

Which handler serves which delivery is in :mod:`bookingapp.webhooks.routing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy.orm import Session

from bookingapp.bookings import attendance, lookup, unattached
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.reschedule import OldHalf
from bookingapp.bookings.search import add_words, id_words
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import record_seats
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.bookings.withdrawn_types import enqueue_type_check, has_open_bookings
from bookingapp.checkout import cancellation, incoming_payments
from bookingapp.checkout.calendly_invitees import (
    canceled_by_host,
    canonical_event,
    canonical_invitee,
    lock_booking_of,
    seats_of,
    slot_facts,
    with_reference,
)
from bookingapp.checkout.calendly_slot import Timers, record_invitee, record_invitee_rescheduled
from bookingapp.core.queue import WorkState
from bookingapp.integrations.calendly import CalendlyClient, Invitee, ScheduledEvent, parse_delivery
from bookingapp.integrations.stripe_gateway import CheckoutSession, StripeEvent, StripeGateway, parse_event
from bookingapp.payments import disputes, fraud_warnings, ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.session_types import service as session_types
from bookingapp.webhooks.models import DeliveryOutcome

PLATFORM = "platform"
YOUNG = timedelta(minutes=30)
"""How long what a delivery is about may still become known."""


@dataclass(frozen=True)
class Endpoint:
    """Our webhook address for Calendly, and the key that signs what the platform's subscription sends there."""

    url: str
    signing_key: SecretStr | None

    def is_at(self, url: str) -> bool:
        """Whether an address is of this site: others may share the Stripe account."""
        return urlsplit(url)[:2] == urlsplit(self.url)[:2]


@dataclass(frozen=True)
class Context:
    """The collaborators of the handlers. ``is_live`` is the mode of our key for Stripe, None where it does not say."""

    calendly: CalendlyClient
    stripe: StripeGateway
    signer: TrackingSigner
    timers: Timers
    endpoint: Endpoint | None = None
    is_live: bool | None = None


@dataclass(frozen=True)
class Outcome:
    """How a delivery ended. ``early`` asks to retry it while it is young: its booking or payment may still become
    known. ``doubt`` is the attention flag that its booking gets where that never happens.
    """

    code: DeliveryOutcome
    state: WorkState = WorkState.DONE
    booking_id: int | None = None
    early: bool = False
    doubt: FlagCode | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


Step = Callable[[Session, Cause, datetime], Outcome]

NOT_OURS = Outcome(DeliveryOutcome.NOT_OURS, WorkState.IGNORED)
BOOKING_UNKNOWN = Outcome(DeliveryOutcome.BOOKING_UNKNOWN, WorkState.IGNORED, early=True)
PAYMENT_UNKNOWN = Outcome(DeliveryOutcome.PAYMENT_UNKNOWN, WorkState.IGNORED, early=True)


def invitee_created(context: Context, body: bytes) -> Step:
    """Record a time that a client chose, or (with ``old_invitee``) rescheduled to."""
    return record_active_invitee(context, *_invitee_and_event(context, body))


def record_active_invitee(context: Context, invitee: Invitee, event: ScheduledEvent) -> Step:
    """The step that records an active invitee, delivered or fetched; all addresses are canonical."""
    facts = slot_facts(invitee, event)

    def record(session: Session, booking: Booking, cause: Cause, now: datetime) -> bool:
        return record_invitee(session, booking, facts, cause, hold=context.timers.hold, now=now)

    def without_booking(session: Session, now: datetime) -> bool:
        who = invitee.name or invitee.email
        return unattached.record_unattached(
            session, facts, title=event.name or "", name=who, email=invitee.email, now=now
        )

    return _about_booking(
        context, invitee, DeliveryOutcome.SLOT_RECORDED, record, without_booking=without_booking
    )


def invitee_canceled(context: Context, body: bytes) -> Step:
    """Record a cancellation in Calendly, or the old half of a reschedule, whose new half keeps the booking."""
    return record_canceled_invitee(context, _read_invitee(context, body))


def record_canceled_invitee(context: Context, invitee: Invitee) -> Step:
    """The step that records a canceled invitee, delivered or fetched; all addresses are canonical."""
    by_host, at = canceled_by_host(invitee)
    event = invitee.scheduled_event

    def record_reschedule(session: Session, booking: Booking, cause: Cause, now: datetime) -> bool:
        by = Actor.BUILDER if by_host else Actor.CLIENT
        half = OldHalf(invitee.uri, invitee.new_invitee, by, min(at, now))
        record_invitee_rescheduled(session, booking, half, cause, now=now)
        return True

    def record_cancellation(session: Session, booking: Booking, cause: Cause, now: datetime) -> bool:
        if invitee.old_invitee:
            # The delivery of its creation may never come.
            half = OldHalf(invitee.old_invitee, invitee.uri, by=None, at=invitee.created_at)
            record_invitee_rescheduled(session, booking, half, cause, now=now)
        if event is not None and booking.invitee_uri == invitee.uri:
            record_seats(booking, seats_of(event))
        return cancellation.record_calendly_cancellation(
            session, booking, invitee.uri, cause, by_host=by_host, at=min(at, now), now=now
        )

    def without_booking(session: Session, now: datetime) -> bool:
        return unattached.resolve_unattached(session, invitee.uri, now=now)

    code, record = DeliveryOutcome.SLOT_CANCELED, record_cancellation
    if invitee.rescheduled or invitee.new_invitee:
        code, record = DeliveryOutcome.RESCHEDULED, record_reschedule
    return _about_booking(context, invitee, code, record, without_booking=without_booking)


def no_show_created(context: Context, body: bytes) -> Step:
    """Record that the client was marked as a no-show in Calendly; it may be the echo of our own mark."""
    invitee = _read_invitee(context, body)
    mark, uri = invitee.no_show, _no_show_uri(context, invitee)
    at = mark.created_at if mark is not None and mark.created_at is not None else invitee.updated_at

    def record(session: Session, booking: Booking, cause: Cause, now: datetime) -> bool:
        return attendance.record_no_show(
            session, booking, cause, invitee_uri=invitee.uri, uri=uri, at=min(at, now), now=now
        )

    return _about_booking(context, invitee, DeliveryOutcome.NO_SHOW_RECORDED, record)


def no_show_deleted(context: Context, body: bytes) -> Step:
    """Record that the no-show mark was removed in Calendly."""
    invitee = _read_invitee(context, body)
    uri = _no_show_uri(context, invitee)

    def record(session: Session, booking: Booking, cause: Cause, now: datetime) -> bool:
        return attendance.record_no_show_undone(
            session, booking, cause, invitee_uri=invitee.uri, uri=uri, now=now
        )

    return _about_booking(context, invitee, DeliveryOutcome.NO_SHOW_UNDONE, record)


def _about_booking(
    context: Context,
    invitee: Invitee,
    code: DeliveryOutcome,
    record: Callable[[Session, Booking, Cause, datetime], bool],
    *,
    without_booking: Callable[[Session, datetime], bool] = lambda _session, _now: False,
) -> Step:
    """The step that locks the invitee's booking and lets ``record`` write; ``code`` is the outcome of news. An invitee
    without a booking and without our reference is left to ``without_booking``.
    """
    invitee = with_reference(context.calendly, context.signer, PLATFORM, invitee)

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking = lock_booking_of(session, context.signer, invitee)
        is_ours = context.signer.read(invitee.tracking.utm_content) is not None
        if booking is None:
            is_young = now - invitee.created_at < YOUNG
            # With our signed reference it may still become known, unless an older copy of the database was restored.
            is_recorded = not (is_ours and is_young) and without_booking(session, now)
            # The invitee that this one replaces may become known too: a reschedule need not carry our reference.
            if (is_ours and not is_recorded) or invitee.old_invitee:
                return BOOKING_UNKNOWN
            return Outcome(DeliveryOutcome.UNATTACHED) if is_recorded else NOT_OURS
        if not is_ours:
            unattached.resolve_unattached(session, invitee.uri, now=now)
        news = record(session, booking, cause, now)
        return Outcome(code if news else DeliveryOutcome.NOTHING_NEW, booking_id=booking.id)

    return apply


def _no_show_uri(context: Context, invitee: Invitee) -> str | None:
    return context.calendly.canonical_no_show_uri(invitee.no_show.uri) if invitee.no_show else None


def event_type_changed(context: Context, body: bytes) -> Step:
    """Invalidate the cached event types of the builder; where open bookings have this type, enqueue a check whether
    Calendly still offers it.
    """
    event_type = parse_delivery(body).event_type()
    uri = context.calendly.canonical_event_type_uri(event_type.uri)
    # No database accepts what cannot even be printed; then the type itself tells whose it is.
    owner = event_type.owner if event_type.owner and event_type.owner.isprintable() else None

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        known = session_types.invalidate_event_types(session, event_type_uri=uri, owner=owner)
        if has_open_bookings(session, uri):
            enqueue_type_check(session, uri, occasion=f"inbox-{cause.inbox_id}", now=now)
        return Outcome(DeliveryOutcome.EVENT_TYPES_INVALIDATED) if known else NOT_OURS

    return apply


def checkout_session(context: Context, body: bytes) -> Step:
    """Record a Checkout Session that was completed, paid late, failed late or expired. The event is a hint: the
    session is fetched from Stripe before money moves on it.
    """
    event = parse_event(body)
    fresh = context.stripe.retrieve_checkout_session(event.object_id or "")
    failed = event.type == "checkout.session.async_payment_failed"

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking_id = incoming_payments.record_checkout(
            session, fresh, cause, now=now, failed=failed, hold=context.timers.hold
        )
        if booking_id is None:
            return _without_attempt(session, fresh, context.endpoint)
        return _checkout_recorded(booking_id, fresh)

    return apply


def _checkout_recorded(booking_id: int, fresh: CheckoutSession) -> Outcome:
    facts = {"status": fresh.status, "payment_status": fresh.payment_status}
    return Outcome(DeliveryOutcome.CHECKOUT_SESSION_RECORDED, booking_id=booking_id, facts=facts)


def _without_attempt(session: Session, fresh: CheckoutSession, endpoint: Endpoint | None) -> Outcome:
    """The outcome of a session that is no attempt of ours to be paid. If it names a booking of ours, or was paid on
    this site, its money is not ignored.
    """
    named = fresh.metadata.get("booking")
    booking_id = lookup.find_id_by_name(session, named or fresh.client_reference_id or "")
    is_of_this_site = endpoint is not None and endpoint.is_at(fresh.success_url or "")
    if booking_id is None and named and fresh.is_paid and is_of_this_site:
        # An older copy of the database was restored, and does not have the booking.
        amount = {"amount_minor": fresh.amount_total, "currency": fresh.currency}
        facts = {"payment_intent": fresh.payment_intent, **amount}
        return Outcome(DeliveryOutcome.BOOKING_LOST, WorkState.DEAD, facts=facts)
    if booking_id is None:
        return BOOKING_UNKNOWN if named else NOT_OURS
    return Outcome(
        DeliveryOutcome.ATTEMPT_UNKNOWN,
        WorkState.IGNORED,
        booking_id=booking_id,
        early=True,
        doubt=FlagCode.PAYMENT_UNEXPECTED if fresh.is_paid else None,
    )


def refund(context: Context, body: bytes) -> Step:
    """Record the refunds of a payment, ours and those made in Stripe's dashboard: the whole list is fetched."""
    event = parse_event(body)
    payment_intent, charge = _payment_intent(event), _charge(event)
    known = context.stripe.list_refunds(payment_intent) if payment_intent else ()

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        if payment_intent is None:
            return NOT_OURS
        booking_id = refunds.record_refunds(session, payment_intent, known, cause=cause, now=now)
        if booking_id is None:
            return PAYMENT_UNKNOWN
        add_words(session, booking_id, id_words(charge))
        return Outcome(DeliveryOutcome.REFUNDS_RECORDED, booking_id=booking_id)

    return apply


def dispute(context: Context, body: bytes) -> Step:
    """Record a dispute that was opened, changed or closed: it is fetched from Stripe."""
    event = parse_event(body)
    fresh = context.stripe.retrieve_dispute(event.object_id or "")

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking_id = disputes.record_dispute(session, fresh, cause, now=now)
        if booking_id is None:
            return PAYMENT_UNKNOWN
        add_words(session, booking_id, id_words(_charge(event)))
        facts = {"status": fresh.status}
        return Outcome(DeliveryOutcome.DISPUTE_RECORDED, booking_id=booking_id, facts=facts)

    return apply


def fraud_warning(context: Context, body: bytes) -> Step:
    """Record an early fraud warning that was sent or changed: it is fetched from Stripe."""
    fresh = context.stripe.retrieve_fraud_warning(parse_event(body).object_id or "")

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking_id = fraud_warnings.record_fraud_warning(session, fresh, now=now)
        if booking_id is None:
            return PAYMENT_UNKNOWN
        return Outcome(DeliveryOutcome.FRAUD_WARNING_RECORDED, booking_id=booking_id)

    return apply


def payment_failed(context: Context, body: bytes) -> Step:
    """Record that a try to pay failed: the payment intent is fetched from Stripe."""
    fresh = context.stripe.retrieve_payment_intent(parse_event(body).object_id or "")

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        booking_id = incoming_payments.record_failed_try(session, fresh, cause, now=now)
        if booking_id is None:
            return NOT_OURS
        return Outcome(DeliveryOutcome.FAILED_TRY_RECORDED, booking_id=booking_id)

    return apply


def payment_intent(context: Context, body: bytes) -> Step:
    """Record that a payment was authorized or released: its Checkout Session is fetched from Stripe."""
    intent_id = parse_event(body).object_id or ""
    fresh = context.stripe.find_checkout_session(intent_id)

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        if fresh is None:
            return NOT_OURS
        hold = context.timers.hold
        booking_id = incoming_payments.record_checkout(session, fresh, cause, now=now, hold=hold)
        return NOT_OURS if booking_id is None else _checkout_recorded(booking_id, fresh)

    return apply


def charge_updated(context: Context, body: bytes) -> Step:
    """Record the fee that Stripe kept of a charge, which Stripe may name only a while after the payment."""
    event = parse_event(body)
    payment_intent = _payment_intent(event)
    has_balance = payment_intent is not None and event.data.get("balance_transaction") is not None
    balance = context.stripe.retrieve_payment_intent(payment_intent or "").balance if has_balance else None

    def apply(session: Session, cause: Cause, now: datetime) -> Outcome:
        payment = payments.find_by_payment_intent(session, payment_intent) if payment_intent else None
        if payment is None:
            return PAYMENT_UNKNOWN if payment_intent else NOT_OURS
        ledger.enter_fee(session, payment, balance, now=now)
        add_words(session, payment.booking_id, id_words(event.object_id))
        code = DeliveryOutcome.FEE_RECORDED if balance else DeliveryOutcome.NOTHING_NEW
        return Outcome(code, booking_id=payment.booking_id)

    return apply


def _read_invitee(context: Context, body: bytes) -> Invitee:
    return canonical_invitee(context.calendly, parse_delivery(body).invitee())


def _invitee_and_event(context: Context, body: bytes) -> tuple[Invitee, ScheduledEvent]:
    invitee = _read_invitee(context, body)
    # Bodies from before 2023 carry no event; then it is fetched.
    if invitee.scheduled_event is not None:
        return invitee, invitee.scheduled_event
    return invitee, canonical_event(
        context.calendly, context.calendly.scheduled_event(PLATFORM, invitee.event)
    )


def _charge(event: StripeEvent) -> str | None:
    """The id of the charge that the event is about, by which a person may look for the booking."""
    found = event.object_id if event.type.startswith("charge.refunded") else event.data.get("charge")
    return found if isinstance(found, str) and found.isprintable() else None


def _payment_intent(event: StripeEvent) -> str | None:
    found = event.data.get("payment_intent")
    return found if isinstance(found, str) and found.isprintable() else None
