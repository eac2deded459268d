"""Sends an enqueued refund to Stripe and records the answer. Deciding one is in bookingapp.payments.refunds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.mail_triggers import Mail, enqueue_mail
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.stripe_gateway import Refund as StripeRefund
from bookingapp.integrations.stripe_gateway import (
    StripeBadReply,
    StripeGateway,
    StripeGatewayError,
    StripeRejected,
    StripeUnauthorized,
)
from bookingapp.payments import ledger
from bookingapp.payments.models import Payment, Refund, RefundState
from bookingapp.payments.refunds import (
    METADATA_KEY,
    REFUND_JOB,
    STATES,
    enqueue_refund,
    enqueue_refund_try,
    flag_refund,
    record_refunds,
)

# The wait after each try that Stripe did not accept; the last one repeats.
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60))
# Refusals that pass by themselves (Stripe API, error codes).
PASSING = ("balance_insufficient", "insufficient_funds", "lock_timeout")
log = structlog.get_logger(__name__)


@job(REFUND_JOB, label=lazy_gettext("a refund in Stripe"))
def send_refund(session: Session, stripe: StripeGateway, *, refund_id: int, now: datetime) -> None:
    """Create an enqueued refund in Stripe. Every try uses the same idempotency key, and Stripe's list of refunds is
    checked first, because Stripe forgets keys after a day.

    Passing failures are retried for as long as needed; after any other the booking is flagged.
    """
    refund = session.get(Refund, refund_id)
    payment = session.get(Payment, refund.payment_id) if refund else None
    charged = ledger.charged_and_returned(session, payment)[0] if payment else 0
    end_read(session)
    if refund is None or payment is None or payment.payment_intent_id is None:
        return
    if refund.state is not RefundState.ENQUEUED:
        return
    intent = payment.payment_intent_id
    try:
        known = stripe.list_refunds(intent)
        mine = [one for one in known if one.metadata.get(METADATA_KEY) == refund.token]
        gone = sum(one.amount_minor for one in known if STATES.get(one.status) is not RefundState.FAILED)
        if not mine and refund.amount_minor > charged - gone:
            _refund_what_is_left(session, refund, known, left=charged - gone, now=now)
            return
        answer = mine[0] if mine else _create_refund(stripe, intent, refund)
    except StripeGatewayError as error:
        _record_failed_try(session, refund, error, now=now)
        return
    with transaction(session):
        record_refunds(session, intent, [answer], now=now)


def _create_refund(stripe: StripeGateway, payment_intent: str, refund: Refund) -> StripeRefund:
    return stripe.create_refund(
        payment_intent,
        refund.amount_minor,
        reason="requested_by_customer",
        metadata={METADATA_KEY: refund.token},
        idempotency_key=f"refund-{refund.token}",
    )


def _refund_what_is_left(
    session: Session, refund: Refund, known: Iterable[StripeRefund], *, left: int, now: datetime
) -> None:
    """Replace a refund that is larger than what is left, because part was refunded in Stripe's dashboard."""
    with transaction(session):
        booking = bookings.lock_booking(session, refund.booking_id)
        payment = session.get_one(Payment, refund.payment_id)
        ours = session.get_one(Refund, refund.id, with_for_update=True)
        if ours.state is not RefundState.ENQUEUED:
            return
        ours.state, ours.updated_at, ours.cause = RefundState.DROPPED, now, CauseCode.MADE_IN_STRIPE
        attention.resolve_refund(booking, FlagCode.REFUND_DELAYED, ours.id, now=now)
        record_refunds(session, payment.payment_intent_id or "", known, now=now)
        enqueue_refund(session, payment, amount_minor=left, reason=refund.reason, now=now)


def _record_failed_try(session: Session, refund: Refund, error: StripeGatewayError, *, now: datetime) -> None:
    passes = error.retryable or isinstance(error, StripeUnauthorized | StripeBadReply)
    code = error.code if isinstance(error, StripeRejected) else None
    passes = passes or code in PASSING
    with transaction(session):
        booking = bookings.lock_booking(session, refund.booking_id)
        ours = session.get_one(Refund, refund.id, with_for_update=True)
        if ours.state is not RefundState.ENQUEUED:
            return
        ours.checked_at, ours.updated_at = now, now
        if passes:
            ours.tries += 1
            wait = WAITS[min(ours.tries, len(WAITS)) - 1]
            enqueue_refund_try(session, ours, run_at=now + wait, now=now)
            flag_refund(booking, FlagCode.REFUND_DELAYED, ours, now=now)
        else:
            ours.state, ours.cause = RefundState.FAILED, CauseCode.REFUSED_BY_STRIPE
            ours.cause_facts = {"category": error.category}
            attention.resolve_refund(booking, FlagCode.REFUND_DELAYED, ours.id, now=now)
            flag_refund(booking, FlagCode.REFUND_REFUSED, ours, now=now)
            # A dispute needs no action by the builder: if it is won, the refund is sent again.
            if code != "charge_disputed":
                said = {"refund_minor": ours.amount_minor, "currency": ours.currency}
                mail = Mail.REFUND_REFUSED_BUILDER
                enqueue_mail(session, booking, mail, about=str(ours.id), said=said, now=now)
    log.error("refund_not_accepted", refund=refund.id, category=error.category, code=code, retried=passes)
